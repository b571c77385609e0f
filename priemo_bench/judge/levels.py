"""Levels that decide what counts as a difference, and what is ranked."""

from __future__ import annotations

ALPHA = 0.05
"""Two rows differ when the p-value of their difference, corrected, is below this."""
EXACT_BELOW = 10
"""With fewer clusters that differ at all, a difference is tested exactly."""
MIN_USED = 0.95
"""A gradient attack that uses less of its budget is not ranked."""
