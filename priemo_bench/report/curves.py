"""The page of protection-quality curves: curves.csv, a figure for each data set, README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from priemo_bench.contracts.storage import write_file, write_text
from priemo_bench.report import tables as shown

HEAD = """# Protection against quality

Made by

```sh
{command}
```

Protection % of each method, pooled over its surrogates, when every published image keeps the SSIM
floor at the head of the column, with and without its border, and the linf bound beside it. *Area*:
the mean of the protection rate over the logarithm of the allowed SSIM drop, 1 at most. Brackets:
95 % intervals for faces, these victims; *next*: where the rate of one more such victim is to be
expected. A *u* marks a row that leaves more than 5 % of its budget unused. Each column is a run of
its own, in the folder of its name, with ranks.
"""
EQUAL_PSNR = "At equal energy, every image on the PSNR floor at the head of the column:\n"


def write_curve(out: Path, table: pd.DataFrame, command: str, old: str = "") -> None:
    """Write what the table of `priemo_bench.curve.curves` says, below `old` if there is a word."""
    write_text(out / "curves.csv", table.to_csv(index=False, float_format="%.6g"))
    parts = [HEAD.format(command=command)]
    parts[0] = parts[0].replace("\n\n", f"\n\n> {old}\n\n", 1) if old else parts[0]
    for dataset, part in table.groupby("dataset", sort=False):
        name = f"figures/curves-{dataset}.png"
        _draw(part[~part["targeted"] & (part["budget"] == "equal")], out / name)
        parts += [f"## {dataset}\n", f"![Protection against the SSIM floor]({name})\n"]
        for (budget, targeted), own in part.groupby(["budget", "targeted"]):
            what = "targeted" if targeted else "protection"
            parts += [EQUAL_PSNR] if budget == "equal-psnr" else []
            parts += ["Read as the target %:\n"] if targeted else []
            parts += [shown.markdown(_wide(own, what)) + "\n"]
        looking = (part["threat"] == "white-box") & ~part["targeted"] & (part["budget"] == "equal")
        unseen = part[looking & part["transfer_rate"].notna()]
        if len(unseen):
            parts += ["Protection % of victims that were not looked into, their mean:\n"]
            parts += [shown.markdown(_wide(unseen, "transfer").drop(columns="area")) + "\n"]
    write_text(out / "README.md", "\n".join(parts))


def _wide(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """A line per method, a column per floor."""

    def cell(line: Any) -> str:
        text = (
            shown.percent(line["targeted_rate"])
            if what == "targeted"
            else shown.between(line, what)
        )
        if (what == "transfer" or line["threat"] == "transfer") and not pd.isna(line["next_low"]):
            text += f", next {shown.between(line, 'next', 'transfer_rate').partition(' ')[2]}"
        text += " u" if line["unused"] else ""
        return text if line["within_budget"] else f"{text} (not within)"

    lines = []
    for (attack, scope, scale), part in table.groupby(["attack", "scope", "scale"], sort=False):
        name = f"{attack}, one strength" if scale == "one" else attack
        line = {"attack": name, "scope": scope, "area": shown.plain(part["area"].iloc[0], 3)}
        for _, own in part.iterrows():
            floor = own["psnr_floor"] if own["budget"] == "equal-psnr" else own["ssim_floor"]
            unit = " dB" if own["budget"] == "equal-psnr" else ""
            line[f"{floor:g}{unit}, {255 * own['eps']:.0f}/255"] = cell(own)
        lines.append(line)
    return pd.DataFrame(lines).fillna("-")


def _draw(table: pd.DataFrame, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="paper")
    own = table.assign(
        drop=1 - table["ssim_floor"],
        name=table["attack"] + table["scale"].map(lambda s: " (one)" if s == "one" else ""),
    )
    figure, axis = plt.subplots(figsize=(6.4, 4.6))
    sns.lineplot(
        own, x="drop", y="protection_rate", hue="name", style="scope", markers=True, dashes=True,
        errorbar=None, ax=axis,
    )  # fmt: skip
    for _, part in own.groupby(["name", "scope"]):
        axis.fill_between(
            part["drop"], part["protection_low"], part["protection_high"], alpha=0.1, linewidth=0
        )
    drops = sorted(own["drop"].unique())
    axis.set(
        xscale="log", ylim=(-0.03, 1.05), xlabel="allowed loss of SSIM", ylabel="protection rate",
        xticks=drops, xticklabels=[f"{d:g}" for d in drops],
    )  # fmt: skip
    axis.minorticks_off()
    axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.01, 0.5))
    write_file(path, lambda file: figure.savefig(file, format="png", dpi=110, bbox_inches="tight"))
    plt.close(figure)
