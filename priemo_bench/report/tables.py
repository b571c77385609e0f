"""Tables as a reader wants them: few columns, shares in per cent with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

Cell = Callable[[pd.Series], str]
LOOKED_INTO = {"white-box": "its victim", "transfer": "other victims", "no-model": "no model"}


def percent(value: Any, digits: int = 1) -> str:
    """A share in per cent, "-" where there is none."""
    return "-" if pd.isna(value) else f"{100 * value:.{digits}f}"


def between(line: pd.Series, name: str = "protection") -> str:
    """ "97.1 [94.0, 98.6]"."""
    value = line[f"{name}_rate"]
    if pd.isna(value):
        return "-"
    return f"{percent(value)} [{percent(line[f'{name}_low'])}, {percent(line[f'{name}_high'])}]"


def plain(value: Any, digits: int) -> str:
    """A number with `digits` decimals, "-" where there is none."""
    return "-" if pd.isna(value) else f"{value:.{digits}f}"


def markdown(table: pd.DataFrame) -> str:
    """A table of texts in Markdown; bars and line breaks in cells are made harmless."""

    def row(cells: Any) -> str:
        return (
            "| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in cells) + " |"
        )

    lines = [row(table.columns), "|" + "---|" * len(table.columns)]
    return "\n".join([*lines, *(row(line) for line in table.itertuples(index=False))])


def _shown(table: pd.DataFrame, columns: dict[str, Cell]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: [cell(line) for _, line in table.iterrows()] for name, cell in columns.items()}
    )


def _name(line: pd.Series) -> str:
    one = line["scale"] == "one" and line["budget"] == "equal"
    return line["attack"] + (", one strength" if one else "")


def _rank(line: pd.Series) -> str:
    return "-" if pd.isna(line["rank"]) else str(int(line["rank"]))


def _within(line: pd.Series) -> str:
    return "yes" if line["within_budget"] else "no"


def methods(table: pd.DataFrame) -> pd.DataFrame:
    """Methods, pooled over surrogates, best first."""
    order = table.assign(place=table["rank"].fillna(10**6))
    order = order.sort_values(
        ["threat", "place", "protection_rate"], ascending=[False, True, False], kind="stable"
    )
    return _shown(
        order,
        {
            "rank": _rank,
            "attack": _name,
            "scope": lambda r: r["scope"],
            "looks into": lambda r: LOOKED_INTO[r["threat"]],
            "protection %": between,
            "worst surrogate": lambda r: percent(r["lowest"]),
            "macro": lambda r: percent(r["macro_protection_rate"]),
            "transfer": lambda r: percent(r["transfer_rate"]),
            "without kin": lambda r: percent(r["transfer_without_kin"]),
            "minus noise": lambda r: percent(r["transfer_minus_noise"]),
            "SSIM": lambda r: plain(r["ssim"], 4),
            "worst SSIM": lambda r: plain(r["ssim_worst"], 4),
            "PSNR": lambda r: plain(r["psnr"], 1),
            "within": _within,
            "ms/image": lambda r: plain(r["ms_per_image"], 1),
            "passes f+b": lambda r: (
                f"{plain(r['forwards_per_image'], 0)}+{plain(r['backwards_per_image'], 0)}"
            ),
            "fit s": lambda r: plain(r["fit_seconds"], 1),
            "n": lambda r: str(int(r["n"])),
        },
    )


def targeted(table: pd.DataFrame) -> pd.DataFrame:
    """Targeted methods, pooled over surrogates and targets."""
    return _shown(
        table.sort_values("targeted_rate", ascending=False),
        {
            "attack": _name,
            "scope": lambda r: r["scope"],
            "read as the target %": lambda r: percent(r["targeted_rate"]),
            "protection %": between,
            "transfer": lambda r: percent(r["transfer_rate"]),
            "SSIM": lambda r: plain(r["ssim"], 4),
            "within": _within,
            "n": lambda r: str(int(r["n"])),
        },
    )


def usability(table: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """Untargeted methods with the metrics that a run was asked for, best protection first."""

    def metric(name: str) -> Cell:
        return lambda r: plain(r[name], 3)

    order = ["budget", "within_budget", "protection_rate"]
    return _shown(
        table[~table["targeted"]].sort_values(order, ascending=False, kind="stable"),
        {
            "budget": lambda r: r["budget"],
            "attack": _name,
            "scope": lambda r: r["scope"],
            "protection %": between,
            "SSIM": lambda r: plain(r["ssim"], 4),
            "PSNR": lambda r: plain(r["psnr"], 1),
            **{name: metric(name) for name in metrics},
        },
    )


def surrogates(board: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard row by row: one line per surrogate and target."""
    return _shown(
        board,
        {
            "rank": _rank,
            "attack": _name,
            "scope": lambda r: r["scope"],
            "surrogate": lambda r: r["surrogate"],
            "target": lambda r: r["target"],
            "protection %": between,
            "macro": lambda r: percent(r["macro_protection_rate"]),
            "to target": lambda r: percent(r["targeted_rate"]),
            "transfer": lambda r: percent(r["transfer_rate"]),
            "worst SSIM": lambda r: plain(r["ssim_worst"], 4),
            "within": _within,
            "seeds (spread)": lambda r: (
                f"{r['seeds']}"
                + ("" if pd.isna(r["seed_spread"]) else f" ({percent(r['seed_spread'])})")
            ),
            "flags": lambda r: r["flags"] or "",
        },
    )


def defenses(table: pd.DataFrame) -> pd.DataFrame:
    """Protection % by attack and defense, mean over surrogates, untargeted."""
    own = table[table["target"] == "-"]
    wide = own.assign(name=[_name(line) for _, line in own.iterrows()]).pivot_table(
        index=["name", "scope"], columns="defense", values="protection_rate", aggfunc="mean",
        observed=True, sort=False,
    )  # fmt: skip
    wide = wide.map(percent).reset_index().rename(columns={"name": "attack"})
    return wide.rename_axis(None, axis=1)


def victims(table: pd.DataFrame) -> pd.DataFrame:
    """Clean accuracy % of each victim under each defense."""
    text = [
        f"{percent(r['correct'])} [{percent(r['low'])}, {percent(r['high'])}]"
        for _, r in table.iterrows()
    ]
    wide = table.assign(text=text).pivot_table(
        index=["dataset", "victim"], columns="defense", values="text", aggfunc="first",
        observed=True, sort=False,
    )  # fmt: skip
    return wide.fillna("-").reset_index().rename_axis(None, axis=1)


def failures(table: pd.DataFrame) -> pd.DataFrame:
    """Cells that failed, with their reason."""
    names = ["dataset", "budget", "attack", "surrogate", "target", "seed", "reason"]
    return table[names].astype(str)


def is_empty(table: pd.DataFrame) -> bool:
    """Whether there is nothing to show."""
    return table.empty or bool(np.all(table.isna()))


def changes(table: pd.DataFrame) -> pd.DataFrame:
    """What `compare` prints."""

    def rank(value: Any) -> str:
        return "-" if pd.isna(value) else str(int(value))

    return _shown(
        table,
        {
            "budget": lambda r: r["budget"],
            "attack": _name,
            "surrogate": lambda r: r["surrogate"],
            "target": lambda r: r["target"],
            "rank": lambda r: f"{rank(r['rank_old'])} > {rank(r['rank_new'])}",
            "old %": lambda r: percent(r["rate_old"]),
            "new %": lambda r: percent(r["rate_new"]),
            "change": lambda r: (
                f"{percent(r['change'])} [{percent(r['change_low'])}, {percent(r['change_high'])}]"
            ),
        },
    )
