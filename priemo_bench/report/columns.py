"""The columns of a report's tables: what stands under each heading."""

from __future__ import annotations

from priemo_bench.judge.glossary import Column, by_heading, column
from priemo_bench.report.formatting import (
    Formatter,
    Line,
    budget_name,
    decimal,
    interval,
    percent,
    rate,
    unknown,
    whole,
)


def method_name(line: Line) -> str:
    """The attack, and how a universal perturbation is scaled where that makes a difference."""
    scales = {"one": ", one strength", "per image": ", scaled per image"}
    equal = line.get("budget") != "conventional"
    return str(line["attack"]) + (scales.get(line["scale"], "") if equal else "")


def _without_kin(line: Line) -> str:
    """ "35.1 (1 of 3)", "none (0 of 3)": the rate, and over how many of the transfer victims."""
    if unknown(line["n_without_kin"]):
        return "-"
    left = f"({line['n_without_kin']:.3g} of {line['n_transfer']:.0f})"
    return f"{percent(line['transfer_without_kin']) if line['n_without_kin'] else 'none'} {left}"


def _used(line: Line) -> str:
    """ "99.6 (98.2)": mean part of the budget used, and images that are on the floor, per cent."""
    if unknown(line["budget_used"]):
        return "-"
    return f"{percent(line['budget_used'])} ({percent(line['on_floor'])})"


def _worst_filter(line: Line) -> str:
    """ "22.0 (median3)": the lowest rate under one filter, and which it is."""
    if unknown(line["worst_defense"]):
        return "-"
    return f"{percent(line['worst_defense'])} ({line['worst_filter']})"


def _eps(line: Line) -> str:
    """The eps at which a perturbation was computed, in grey levels; "-" for other attacks."""
    return decimal(255 * line["strength"], 2) if line["surrogate"] != "-" else "-"


def _seeds(line: Line) -> str:
    spread = line["seed_spread"]
    return whole(line["seeds"]) + ("" if unknown(spread) else f" ({percent(spread)})")


def _passes(line: Line) -> str:
    """ "25+25": forward and backward passes per image."""
    forwards, backwards = line["forwards_per_image"], line["backwards_per_image"]
    return f"{decimal(forwards, 0)}+{decimal(backwards, 0)}"


FORMATTERS: dict[str, Formatter] = {
    "rank": lambda r: whole(r["rank"]),
    "budget": budget_name,
    "attack": method_name,
    "scope": lambda r: str(r["scope"]),
    "surrogate": lambda r: str(r["surrogate"]),
    "target": lambda r: str(r["target"]),
    "threat model": lambda r: str(r["threat"]),
    "protection %": rate,
    "worst surrogate %": lambda r: percent(r["lowest"]),
    "survival %": lambda r: rate(r, "survival", "survival"),
    "worst filter %": _worst_filter,
    "clean cost %": lambda r: percent(r["filter_cost"]),
    "survival n": lambda r: whole(r["n_survival"]),
    "macro %": lambda r: rate(r, "macro", "macro_protection_rate"),
    "targeted %": lambda r: percent(r["targeted_rate"]),
    "transfer %": lambda r: rate(r, "transfer"),
    "next victim %": lambda r: interval(r, "next"),
    "without kin %": _without_kin,
    "minus noise %": lambda r: percent(r["transfer_minus_noise"]),
    "budget used % (on floor)": _used,
    "SSIM": lambda r: decimal(r["ssim"], 4),
    "worst SSIM": lambda r: decimal(r["ssim_worst"], 4),
    "PSNR": lambda r: decimal(r["psnr"], 1),
    "within": lambda r: "yes" if r["within_budget"] else "no",
    "used %": lambda r: percent(r["budget_used"]),
    "eps (of 255)": _eps,
    "ms/image": lambda r: decimal(r["ms_per_image"], 1),
    "passes f+b": _passes,
    "fit s": lambda r: decimal(r["fit_seconds"], 1),
    "n": lambda r: whole(r["n"]),
    "seeds": lambda r: whole(r["seeds"]),
    "seeds (sd %)": _seeds,
    "flags": lambda r: r["flags"] or "",
}
"""By heading of a column."""

BEHIND: dict[str, tuple[str, ...]] = {
    "budget": ("budget",), "attack": ("attack", "scale"), "scope": ("scope",),
    "protection %": ("protection_rate", "protection_low", "protection_high"),
    "survival %": ("survival", "survival_low", "survival_high"),
    "worst filter %": ("worst_defense", "worst_filter"),
    "macro %": ("macro_protection_rate", "macro_low", "macro_high"),
    "transfer %": ("transfer_rate", "transfer_low", "transfer_high"),
    "next victim %": ("next_low", "next_high"),
    "without kin %": ("transfer_without_kin", "n_without_kin", "n_transfer"),
    "budget used % (on floor)": ("budget_used", "on_floor"), "used %": ("budget_used",),
    "passes f+b": ("forwards_per_image", "backwards_per_image"),
    "seeds (sd %)": ("seeds", "seed_spread"),
}  # fmt: skip
"""Columns that stand together under one heading, the one that it is named after first."""


def behind(heading: str) -> tuple[Column, ...]:
    """The columns of the glossary that stand under a heading; none where it has none.

    Example:
        >>> [own.name for own in behind("next victim %")]
        ['next_low', 'next_high']
    """
    if heading in BEHIND:
        return tuple(column(name) for name in BEHIND[heading])
    found = by_heading(heading)
    return (found,) if found else ()


def columns(*headings: str) -> dict[str, Formatter]:
    """The formatters of these headings, in this order."""
    return {heading: FORMATTERS[heading] for heading in headings}
