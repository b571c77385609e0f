"""Two claims about other kinds of protection, and whether what was measured bears them out.

Zeng et al. 2023 (Pri-EMO), abstract: cryptographic methods are computationally costly; transforms
are tied to specific recognisers.
"""

from __future__ import annotations

import pandas as pd

from priemo_bench.judge.columns import CLAIMS
from priemo_bench.report.formatting import lines_of, percent

FEW = 3
"""Victims without which nothing is said of how they differ."""


def claims(table: pd.DataFrame) -> pd.DataFrame:
    """What an attack costs, what it leaves of the picture, how victims differ: a line for each.

    Args:
        table: of a study (`table.COLUMNS`).

    Returns:
        attack, ssim_floor, family; `ms_per_image` (CPU), `fit_passes`; `ssim_to_clean`; `victims`
        that predicted, and the `least`, `mean` and `most` protection among them; `trained`,
        accuracy on published faces of a small network that learnt from them alone.
    """
    lines = []
    for (attack, family), own in table.groupby(["attack", "family"], sort=False):
        for floor, part in own.groupby("ssim_floor", dropna=False, sort=False):
            read = part[part["adversary"].isin(["none", "newer model"])]
            if read.empty:
                continue
            alone = part[(part["adversary"] == "train from scratch") & (part["strength"] == 1)]
            lines.append(
                {
                    "attack": attack,
                    "ssim_floor": floor,
                    "family": family,
                    "ms_per_image": part["ms_per_image"].mean(),
                    "fit_passes": part["fit_passes"].mean(),
                    "ssim_to_clean": read["ssim_to_clean"].mean(),
                    "victims": len(read),
                    "least": read["protection"].min(),
                    "mean": read["protection"].mean(),
                    "most": read["protection"].max(),
                    "trained": alone["accuracy_after"].mean(),
                }
            )
    return pd.DataFrame(lines, columns=CLAIMS)


def verdicts(table: pd.DataFrame) -> list[str]:
    """A sentence or two on each claim that the lines of `claims` can tell of."""
    return [text for text in (_costly(table), _tied(table)) if text]


def _costly(table: pd.DataFrame) -> str:
    timed = table.dropna(subset=["ms_per_image"])
    ciphers = timed[timed["family"] == "cryptographic"]
    fitted = timed[timed["family"] == "universal"]
    fitted = fitted[fitted["attack"].str.startswith("priemo")]
    if ciphers.empty or fitted.empty:
        return ""
    base = lines_of(fitted.sort_values("ms_per_image"))[0]
    ratios = ciphers["ms_per_image"] / base["ms_per_image"]
    parts = [
        f"{name} {ratio:.2g} times" for name, ratio in zip(ciphers["attack"], ratios, strict=True)
    ]
    word = "yes" if (ratios > 1).all() else "no" if (ratios <= 1).all() else "of some"
    price = percent(1 - ciphers["ssim_to_clean"].max(), 0)
    return (
        f"Ciphers are computationally costly: {word}. An image costs {', '.join(parts)} what "
        f"{base['attack']}, once fitted, does ({base['ms_per_image']:.2g} ms of one core). What "
        f"they cost is the picture: at least {price} % of SSIM."
    )


def _tied(table: pd.DataFrame) -> str:
    own = table[(table["family"] == "transform") & (table["victims"] >= FEW)]
    other = table[table["attack"].str.startswith("priemo-") & (table["victims"] >= FEW)]
    if own.empty:
        return ""
    parts = [
        f"{r['attack']} protects {percent(r['least'], 0)} to {percent(r['most'], 0)} %"
        for r in lines_of(own)
    ]
    others = [
        f"{r['attack']} at SSIM {r['ssim_floor']:g} {percent(r['least'], 0)} to "
        f"{percent(r['most'], 0)} %"
        for r in lines_of(other)
    ]
    wide = (own["most"] - own["least"]).min()
    narrow = (own["most"] - own["least"]).max()
    rival = (other["most"] - other["least"]).max() if len(other) else float("nan")
    word = "yes" if wide > rival else "no more than Pri-EMO is" if narrow <= rival else "of some"
    text = f"Transforms are tied to specific recognisers: {word}. Over {own['victims'].max()} "
    text += f"victims {', '.join(parts)}"
    return text + (f"; {', '.join(others)}." if others else ".")
