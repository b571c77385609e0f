"""The columns of the tables of a run."""

from __future__ import annotations

from priemo_bench.contracts.columns import METHOD, ROW

SURVIVAL = [
    "survival", "survival_low", "survival_high", "n_survival", "worst_defense", "worst_filter",
    "filter_set", "filter_cost",
]  # fmt: skip
"""Columns of `judge.survival`."""
COLUMNS = [
    "rank", "attack", "family", "scope", "scale", "surrogate", "target", "n", "dataset", "budget",
    "threat", "seeds", "n_victims", "protection_rate", "protection_low", "protection_high",
    *SURVIVAL, "macro_protection_rate", "macro_low", "macro_high", "transfer_rate", "transfer_low",
    "transfer_high", "n_transfer", "next_low", "next_high", "targeted_rate", "ssim", "ssim_drop",
    "ssim_worst", "psnr", "within_budget", "budget_used", "on_floor", "fit_seconds",
    "ms_per_image", "forwards_per_image", "backwards_per_image", "status", "collapse_class",
    "collapse_share", "flip_rate", "transfer_minus_noise", "transfer_without_kin",
    "n_without_kin", "seed_spread", "macro_left_out", "ssim_p05", "ssim_full_worst", "linf",
    "untouched", "strength", "factor", "unchanged", "fit_forwards", "fit_backwards", "peak_mb",
    "flags",
]  # fmt: skip
"""Of leaderboard.csv, in this order; further metrics of the run follow."""

COSTS = [
    "fit_seconds", "ms_per_image", "forwards_per_image", "backwards_per_image", "fit_forwards",
    "fit_backwards",
]  # fmt: skip
CHOSEN = ["strength", "factor"]
GROUP = ["dataset", "budget", "threat"]
"""Rows are ranked within these, and within surrogate and target."""
POOLED = [
    "transfer_minus_noise", "transfer_without_kin", "n_without_kin", "targeted_rate", "flip_rate",
    "collapse_share", "ssim", "ssim_drop", "psnr", "budget_used", "on_floor", "untouched",
    "seed_spread",
]  # fmt: skip
"""Columns that a method's line averages over its rows."""

USABILITY = [
    "dataset", "budget", "attack", "scope", "scale", "within_budget", "protection_rate",
    "protection_low", "protection_high", "ssim", "psnr",
]  # fmt: skip
"""Columns of `Tables.usability` before the further metrics."""
DEFENDED = [
    "defense", "threat", "n", "clean_accuracy", "protection_rate", "protection_low",
    "protection_high", "targeted_rate", "transfer_rate", "transfer_low", "transfer_high", "draws",
    "draw_spread",
]  # fmt: skip
"""Columns of the tables of defenses, after those that say what a line is.

Rates are means over the `draws` of a random defense; `draw_spread` is the standard deviation of its
protection rate over them.
"""
METHODS = [
    *METHOD, "targeted", "threat", *POOLED, *CHOSEN, *COSTS, "protection_rate", "protection_low",
    "protection_high", *SURVIVAL, "macro_protection_rate", "macro_low", "macro_high",
    "macro_left_out",
    "transfer_rate", "transfer_low", "transfer_high", "n_transfer", "next_low", "next_high",
    "lowest", "surrogates", "n", "seeds", "ssim_worst", "within_budget", "flags", "rank", "unused",
    "rank_other",
]  # fmt: skip
"""Of methods.csv; further metrics of the run stand before `fit_seconds`."""
STAGES = ["fit", "choose", "attack", "match", "measure", "predict", "write"]
"""Of a cell, whose seconds are told apart."""
COSTS_BY_CELL = [
    "dataset", "attack", "surrogate", "target", "budget", "scale", "seed", "status",
    *(f"{stage}_s" for stage in STAGES), "total_s", "forwards_per_image", "backwards_per_image",
    "fit_forwards", "fit_backwards", "peak_mb",
]  # fmt: skip
"""Of costs.csv, seconds of a stage as `STAGE_s`; NaN where a version did not record them."""
FAILURES = [*ROW, "seed", "part", "reason"]
"""Of failures.csv: `part` is what a cell has lost, WHOLE for all of it."""
WHOLE = "cell"
