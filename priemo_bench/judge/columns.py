"""The columns of the tables of a run."""

from __future__ import annotations

from priemo_bench.contracts.columns import METHOD, NAMED, NUMBERS, PROBABILITIES, ROW

SURVIVAL = [
    "survival", "survival_low", "survival_high", "n_survival", "worst_defense", "worst_filter",
    "filter_set", "filter_cost",
]  # fmt: skip
"""Columns of `judge.survival`."""
BOUNDS = ["ssim_floor", "psnr_floor", "eps"]
"""What the budget of a line allows."""
COLUMNS = [
    "rank", "attack", "family", "scope", "scale", "surrogate", "target", "n", "dataset", "budget",
    *BOUNDS, "threat", "seeds", "n_victims", "protection_rate", "protection_low", "protection_high",
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
    *METHOD, "targeted", "threat", *BOUNDS, *POOLED, *CHOSEN, *COSTS, "protection_rate",
    "protection_low", "protection_high", *SURVIVAL, "macro_protection_rate", "macro_low",
    "macro_high", "macro_left_out", "transfer_rate", "transfer_low", "transfer_high", "n_transfer",
    "next_low", "next_high",
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
TRANSFER = [
    *ROW, "victim", "threat", "n", "protection_rate", "protection_low", "protection_high",
    "targeted_rate", "flip_rate", "clean_accuracy",
]  # fmt: skip
"""Of transfer.csv."""
TOGETHER = [
    *ROW, "threat", "n_victims", "together", "together_low", "together_high", "n_together",
    "protection_rate",
]  # fmt: skip
"""Of `Results.together()`."""
CURVES = [
    "dataset", "measure", "attack", "scope", "scale", "targeted", "threat", "area", "budget",
    *BOUNDS, "n", "seeds", "surrogates", "rank", "protection_rate", "protection_low",
    "protection_high", "survival", "survival_low", "survival_high", "macro_protection_rate",
    "transfer_rate", "transfer_low", "transfer_high", "next_low", "next_high", "targeted_rate",
    "ssim", "ssim_worst", "psnr", "ms_per_image", "within_budget", "budget_used", "on_floor",
    "unused",
]  # fmt: skip
"""Of curves.csv; further metrics of the run follow."""
OPTIMALITY = [
    "dataset", "attack", "scope", "scale", "threat", "n_victims", "n", "area", "envelope",
    "optimality", "drop_median",
]  # fmt: skip
"""Of optimality.csv."""
READINGS = [*NAMED, *NUMBERS, "ssim", "ssim_full", "psnr", "linf", *PROBABILITIES]
"""Of results.parquet; further metrics of the run follow."""
METRICS = ["lpips", "face_found", "same_person"]
"""The further metrics that come with the project."""
ADVERSARIES = [
    "attack", "family", "scope", "surrogates", "ssim_floor", "adversary", "threat", "given",
    "strength", "victim", "n", "protection", "protection_low", "protection_high", "n_after",
    "protection_after", "after_low", "after_high", "kept", "ssim_to_clean", "clean_accuracy",
    "clean_accuracy_after", "accuracy", "accuracy_after", "accuracy_low", "accuracy_high", "error",
    "auroc", "tpr_at_1fpr", "hidden", "hidden_low", "hidden_high", "ms_per_image", "fit_passes",
    "seconds",
]  # fmt: skip
"""Of adversaries.csv."""
CLAIMS = [
    "attack", "ssim_floor", "family", "ms_per_image", "fit_passes", "ssim_to_clean", "victims",
    "least", "mean", "most", "trained",
]  # fmt: skip
"""Of claims.csv."""
TABLES = {
    "methods": METHODS, "leaderboard": COLUMNS, "transfer": TRANSFER,
    "defenses": [*ROW, *DEFENDED], "curves": CURVES, "optimality": OPTIMALITY, "together": TOGETHER,
    "costs": COSTS_BY_CELL, "failures": FAILURES, "results": READINGS,
    "victims": ["dataset", "victim", "defense", "images", "correct", "low", "high"],
    "filters": ["defense", "what", "source"], "code": ["part", "name", "digest"],
    "metrics": METRICS, "adversaries": ADVERSARIES, "claims": CLAIMS,
}  # fmt: skip
"""Every table and its columns, in order; "metrics" are columns that several may have besides."""
