"""Tables as a reader wants them: few columns, shares in per cent with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

Cell = Callable[[pd.Series], str]
BUDGETS = {"equal": "equal SSIM", "equal-psnr": "equal PSNR", "conventional": "usual settings"}
"""What the tables call the budgets."""


def percent(value: Any, digits: int = 1) -> str:
    """A share in per cent, "-" where there is none."""
    return "-" if pd.isna(value) else f"{100 * value:.{digits}f}"


def between(line: pd.Series, name: str = "protection", value: str = "") -> str:
    """ "97.1 [94.0, 98.6]"."""
    rate = line[value or f"{name}_rate"]
    if pd.isna(rate):
        return "-"
    return f"{percent(rate)} {_range(line, name)}"


def _range(line: pd.Series, name: str) -> str:
    """ "[94.0, 98.6]", "-" where there is none."""
    if pd.isna(line[f"{name}_low"]):
        return "-"
    return f"[{percent(line[f'{name}_low'])}, {percent(line[f'{name}_high'])}]"


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
    """The attack, and how what faces share is scaled where that makes a difference."""
    scales = {"one": ", one strength", "per image": ", scaled per image"}
    equal = line["budget"] != "conventional"
    return line["attack"] + (scales.get(line["scale"], "") if equal else "")


def _rank(value: Any) -> str:
    return "-" if pd.isna(value) else str(int(value))


def _without_kin(line: pd.Series) -> str:
    """ "35.1 (1 of 3)", "none (0 of 3)": how many victims are left, and their rate."""
    if pd.isna(line["n_without_kin"]):
        return "-"
    left = f"({line['n_without_kin']:.3g} of {line['n_transfer']:.0f})"
    rate = percent(line["transfer_without_kin"]) if line["n_without_kin"] else "none"
    return f"{rate} {left}"


def _used(line: pd.Series) -> str:
    """ "99.6 (98.2)": share of the budget used, and of the images that are on the floor."""
    if pd.isna(line["budget_used"]):
        return "-"
    return f"{percent(line['budget_used'])} ({percent(line['on_floor'])})"


def _within(line: pd.Series) -> str:
    return "yes" if line["within_budget"] else "no"


def methods(table: pd.DataFrame) -> pd.DataFrame:
    """Methods, pooled over surrogates, best first."""
    order = table.assign(place=table["rank"].fillna(10**6))
    order = order.sort_values(
        ["threat", "place", "protection_rate"], ascending=[False, True, False], kind="stable"
    )
    order = order[~((order["scale"] == "one") & (order["untouched"] == 1))]
    columns: dict[str, Cell] = {"rank": lambda r: _rank(r["rank"])}
    if order["rank_other"].notna().any():
        other = "PSNR" if (order["budget"] == "equal").all() else "SSIM"
        columns[f"rank at equal {other}"] = lambda r: _rank(r["rank_other"])
    columns |= {
        "attack": _name,
        "scope": lambda r: r["scope"],
        "threat model": lambda r: r["threat"],
        "protection %": between,
        "worst surrogate": lambda r: percent(r["lowest"]),
        "macro %": lambda r: between(r, "macro", "macro_protection_rate"),
        "transfer %": lambda r: between(r, "transfer"),
        "next recogniser": lambda r: _range(r, "next"),
        "without kin": _without_kin,
        "minus noise": lambda r: percent(r["transfer_minus_noise"]),
        "budget used (on floor)": _used,
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
        "seeds": lambda r: str(int(r["seeds"])),
    }
    return _shown(order, columns)


def targeted(table: pd.DataFrame) -> pd.DataFrame:
    """Targeted methods, pooled over surrogates and targets."""
    return _shown(
        table.sort_values("targeted_rate", ascending=False),
        {
            "attack": _name,
            "scope": lambda r: r["scope"],
            "read as the target %": lambda r: percent(r["targeted_rate"]),
            "protection %": between,
            "transfer %": lambda r: between(r, "transfer"),
            "next recogniser": lambda r: _range(r, "next"),
            "budget used (on floor)": _used,
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
            "budget": lambda r: BUDGETS[r["budget"]],
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
    board = board[~((board["scale"] == "one") & (board["untouched"] == 1))]
    return _shown(
        board,
        {
            "rank": lambda r: _rank(r["rank"]),
            "budget": lambda r: BUDGETS[r["budget"]],
            "attack": _name,
            "scope": lambda r: r["scope"],
            "surrogate": lambda r: r["surrogate"],
            "target": lambda r: r["target"],
            "protection %": between,
            "macro %": lambda r: percent(r["macro_protection_rate"]),
            "to target": lambda r: percent(r["targeted_rate"]),
            "transfer %": lambda r: between(r, "transfer"),
            "without kin": _without_kin,
            "worst SSIM": lambda r: plain(r["ssim_worst"], 4),
            "within": _within,
            "used": lambda r: percent(r["budget_used"]),
            "eps": lambda r: _eps(r),
            "seeds (sd)": lambda r: (
                f"{r['seeds']}"
                + ("" if pd.isna(r["seed_spread"]) else f" ({percent(r['seed_spread'])})")
            ),
            "flags": lambda r: r["flags"] or "",
        },
    )


def _eps(line: pd.Series) -> str:
    """At which eps a perturbation was computed, in grey levels; "-" for other knobs or none."""
    known = line["surrogate"] != "-" and not pd.isna(line["strength"])
    return plain(255 * line["strength"], 2) if known else "-"


def defenses(table: pd.DataFrame) -> pd.DataFrame:
    """Protection % by attack and defense, pooled over surrogates, untargeted."""
    texts = [
        f"{between(line)} of {line['n']} (clean {percent(line['clean_accuracy'])})"
        for _, line in table.iterrows()
    ]
    names = [_name(line) for _, line in table.iterrows()]
    wide = table.assign(name=names, text=texts).pivot_table(
        index=["name", "scope", "threat"], columns="defense", values="text", aggfunc="first",
        observed=True, sort=False,
    )  # fmt: skip
    wide = wide.fillna("-").reset_index()
    return wide.rename(columns={"name": "attack", "threat": "threat model"}).rename_axis(
        None, axis=1
    )


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


def changes(table: pd.DataFrame) -> pd.DataFrame:
    """What `compare` prints."""

    return _shown(
        table,
        {
            "budget": lambda r: BUDGETS[r["budget"]],
            "attack": _name,
            "surrogate": lambda r: r["surrogate"],
            "target": lambda r: r["target"],
            "rank": lambda r: f"{_rank(r['rank_old'])} > {_rank(r['rank_new'])}",
            "old %": lambda r: percent(r["rate_old"]),
            "new %": lambda r: percent(r["rate_new"]),
            "change": lambda r: (
                f"{percent(r['change'])} [{percent(r['change_low'])}, {percent(r['change_high'])}]"
            ),
            "p (Holm)": lambda r: plain(r["p"], 3),
        },
    )
