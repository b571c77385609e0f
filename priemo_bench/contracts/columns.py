"""The columns that name and number the rows of a run."""

from __future__ import annotations

METHOD = ["dataset", "budget", "attack", "family", "scope", "scale"]
ROW = [*METHOD, "surrogate", "target"]
"""What one row of the leaderboard is."""

NAMED = [*ROW, "defense", "victim", "image", "person"]
"""Columns of text."""
NUMBERS = ["seed", "label", "clean", "prediction", "target_label"]
"""Columns of integers."""
PROBABILITIES = ["clean_probability", "label_probability", "prediction_probability"]
"""Columns of probabilities, to 1/1000, NaN where a victim gives none: that of the clean prediction,
and on the published image those of the label and of the prediction."""
