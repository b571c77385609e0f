"""The page of protection-quality curves: curves.csv, a figure for each data set, README.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from priemo_bench.contracts.storage import write_text
from priemo_bench.judge.levels import MIN_USED
from priemo_bench.report.figures import save, styled
from priemo_bench.report.files import file_names
from priemo_bench.report.formatting import (
    Line,
    TextTable,
    csv,
    decimal,
    inline,
    interval,
    lines_of,
    markdown,
    one_line,
    percent,
    plain,
    rate,
    unknown,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAD = """# Protection against quality

Made by

```sh
{command}
```

Protection % of each method, pooled over its surrogates, when every published image keeps the SSIM
floor in the heading of the column, with and without its border, and the linf bound beside it.
*Area*: the mean of the protection rate over the logarithm of the allowed SSIM drop, 1 at most.
Brackets: 95 % intervals for faces, these victims; *next*: where the rate of one more such victim is
to be expected. A *u* marks a row that leaves more than {unused:.0f} % of its budget unused. Each
column is a run of its own, in the folder of its name, with ranks.
"""
EQUAL_PSNR = "At equal energy, every image on the PSNR floor in the heading of the column:\n"
TARGETED = "Classified as the target %:\n"
TRANSFER = "Protection % of the transfer victims (no surrogates), their mean:\n"


def write_curve(out: Path, table: pd.DataFrame, command: str, old: str = "") -> None:
    """Write curves.csv, README.md and a figure per data set.

    Args:
        table: `priemo_bench.judge.curves.curves`. command: that made it. old: a remark on top, for
            runs of older versions.
    """
    write_text(out / "curves.csv", csv(table))
    head = HEAD.format(command=one_line(command).replace("```", "'''"), unused=100 * (1 - MIN_USED))
    parts = [head.replace("\n\n", f"\n\n> {old}\n\n", 1) if old else head]
    for dataset, file in file_names(table["dataset"].unique()).items():
        part = table[table["dataset"] == dataset]
        name = f"figures/curves-{file}.png"
        untargeted = part[~part["targeted"] & (part["budget"] == "equal")]
        parts += [f"## {inline(dataset)}\n"]
        drawn = untargeted.dropna(subset=["protection_rate"])
        if len(drawn):
            _draw(drawn, out / name)
            parts += [f"![Protection against the SSIM floor]({name})\n"]
        for (budget, targeted), own in part.groupby(["budget", "targeted"]):
            parts += [EQUAL_PSNR] if budget == "equal-psnr" else []
            parts += [TARGETED] if targeted else []
            parts += [markdown(_wide(own, "targeted" if targeted else "protection")) + "\n"]
        transfer = untargeted[untargeted["threat"] == "white-box"]
        transfer = transfer[transfer["transfer_rate"].notna()]
        if len(transfer):
            parts += [TRANSFER, markdown(_wide(transfer, "transfer", area=False)) + "\n"]
    write_text(out / "README.md", "\n".join(parts))


def _wide(table: pd.DataFrame, name: str, area: bool = True) -> TextTable:
    """A line per method, a column per floor, with the rate `name`; with the area before them."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for line in lines_of(table):
        method = f"{line['attack']}, one strength" if line["scale"] == "one" else line["attack"]
        key = (method, line["scope"], *([decimal(line["area"], 3)] if area else []))
        found.setdefault(key, {})[_floor(line)] = _cell(line, name)
    floors = dict.fromkeys(floor for own in found.values() for floor in own)
    headings = ["attack", "scope", *(["area"] if area else []), *floors]
    rows = [[*key, *(own.get(floor, "-") for floor in floors)] for key, own in found.items()]
    return TextTable(headings, rows)


def _floor(line: Line) -> str:
    """ "0.997, 8/255"; "42 dB, 8/255" under an equal PSNR."""
    equal_psnr = line["budget"] == "equal-psnr"
    floor = f"{line['psnr_floor']:g} dB" if equal_psnr else f"{line['ssim_floor']:g}"
    return floor if unknown(line["eps"]) else f"{floor}, {255 * line['eps']:.0f}/255"


def _cell(line: Line, name: str) -> str:
    """ "97.1 [94.0, 98.6], next [80.2, 99.5] u (not within)"."""
    text = percent(line["targeted_rate"]) if name == "targeted" else rate(line, name)
    if (name == "transfer" or line["threat"] == "transfer") and not unknown(line["next_low"]):
        text += f", next {interval(line, 'next')}"
    text += " u" if line["unused"] else ""
    return text if line["within_budget"] else f"{text} (not within)"


def _draw(table: pd.DataFrame, path: Path) -> None:
    with styled():
        save(_figure(table), path)


def _figure(table: pd.DataFrame) -> Figure:
    import seaborn as sns
    from matplotlib.figure import Figure

    one = table["scale"].map({"one": " (one)"}).fillna("")
    own = table.assign(
        drop=1 - table["ssim_floor"],
        name=table["attack"].astype(str).map(plain) + one,
        scope=table["scope"].astype(str).map(plain),
    )
    names = own["name"].unique()
    colours = sns.color_palette("husl" if len(names) > 10 else None, len(names))
    palette = dict(zip(names, colours, strict=True))
    figure = Figure(figsize=(6.4, 4.6))
    axis = figure.subplots()
    sns.lineplot(
        own, x="drop", y="protection_rate", hue="name", style="scope", palette=palette,
        markers=True, dashes=True, errorbar=None, ax=axis,
    )  # fmt: skip
    for (name, _), part in own.groupby(["name", "scope"]):
        axis.fill_between(
            part["drop"], part["protection_low"], part["protection_high"], alpha=0.1, linewidth=0,
            color=palette[name],
        )  # fmt: skip
    drops = sorted(own["drop"].unique())
    axis.set(
        xscale="log", ylim=(-0.03, 1.05), xlabel="allowed loss of SSIM", ylabel="protection rate"
    )
    axis.minorticks_off()
    axis.set_xticks(drops, [f"{d:g}" for d in drops])
    axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
