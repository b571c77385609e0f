"""The page of the embedded victims, from their cards: `python -m priemo_bench.training.page`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from priemo_bench import registry
from priemo_bench.images import EMOTIONS
from priemo_bench.victim import Card

HEAD = """# Embedded victims

Written by `python -m priemo_bench.training.page > victims/README.md` from `cards/`. Each was
trained by `priemo-bench train NAME --data PATH --out victims`, from `specs/NAME.toml`; `curves/`
has its epochs, `weights/` its float16 weights. Shares are in %, with Wilson 95 % intervals over
persons where they are known, else over images. The epoch was chosen on the choice split, so that
figure is a little too good; test was looked at once.
"""


def _rate(rate: dict[str, float]) -> str:
    return f"{rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})".replace("%", "")


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines) + "\n"


def page(cards: Sequence[Card]) -> str:
    """Markdown: what each victim is, its accuracy on every set, and its recall per emotion."""
    what = [["victim", "architecture", "parameters", "input", "training data", "licence"]]
    for card in cards:
        size = f"{card.parameters / 1e6:.2f} M"
        what.append(
            [card.name, card.architecture, size, card.input, card.training_data, card.licence]
        )
    parts = [HEAD, _table(what)]
    for name in dict.fromkeys(key for card in cards for key in card.accuracy):
        parts += [f"## {name}\n", _table(_accuracies(cards, name))]
    return "\n".join(parts)


def _accuracies(cards: Sequence[Card], name: str) -> list[list[str]]:
    rows = [["victim", "n", "accuracy", *EMOTIONS]]
    for card in cards:
        if name in card.accuracy:
            report: dict[str, Any] = card.accuracy[name]
            recall = [
                f"{100 * report['recall'][e]['value']:.0f}" if e in report["recall"] else ""
                for e in EMOTIONS
            ]
            overall = report["overall"]
            rows.append([card.name, str(overall["n"]), _rate(overall), *recall])
    return rows


def main() -> None:
    """Prints the page of all victims that were trained here."""
    entries = [registry.get("victims", name) for name in registry.names("victims")]
    print(page([entry.card for entry in entries if hasattr(entry, "spec")]), end="")


if __name__ == "__main__":
    main()
