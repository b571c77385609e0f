"""The table of the README, from a published page.

    python docs/table.py            # prints it
    python docs/table.py --write    # writes it into README.md, between its two marks

Which page and which methods are the two constants below.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd

from priemo_bench import load_results

README = Path(__file__).parents[1] / "README.md"
PAGE = "curve"
METHODS = {
    "priemo-image": "Pri-EMO, one perturbation per image",
    "priemo-logit": "the same without feature vectors",
    "pgd": "PGD, 25 steps",
    "mifgsm": "MI-FGSM",
    "priemo-universal": "Pri-EMO, one perturbation for all",
    "sga": "SGA, one perturbation for all",
    "noise": "random noise",
}
FLOORS = {"equal": "SSIM 0.997, 8/255", "equal-0.98": "0.98, 16/255", "equal-0.95": "0.95, 32/255"}
BEGIN, END = "<!-- TABLE: begin, by docs/table.py -->", "<!-- TABLE: end -->"


def table() -> str:
    """Markdown: a row a method, its protection at each floor, and its transfer at each."""
    methods = load_results(PAGE)
    methods = methods[~methods["targeted"] & (methods["scale"] != "one")]
    cells = methods.set_index(["attack", "budget"])
    heads = ["% protected, at", *FLOORS.values(), "transfer, the same floors"]
    lines = [heads, ["---"] * len(heads)]
    for attack, name in METHODS.items():
        own = [cells.loc[(attack, budget)] for budget in FLOORS]
        transfer = " / ".join(f"{100 * line['transfer_rate']:.1f}" for line in own)
        lines.append([name, *map(_rate, own), transfer])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rate(line: pd.Series) -> str:
    rate, low, high = (100 * line[f"protection_{name}"] for name in ("rate", "low", "high"))
    return f"{rate:.1f} [{low:.1f}, {high:.1f}]"


def written(text: str) -> str:
    """README with the table of today between its marks."""
    pattern = f"({re.escape(BEGIN)}\n).*?({re.escape(END)})"
    return re.sub(pattern, lambda marks: f"{marks[1]}{table()}\n{marks[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    if "--write" in sys.argv:
        README.write_text(written(README.read_text("utf-8")), "utf-8")
    else:
        print(table())
