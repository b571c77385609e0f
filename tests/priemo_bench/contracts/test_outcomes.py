"""What a perturbation did to an image, against examples worked out by hand."""

from __future__ import annotations

import numpy as np

from priemo_bench.contracts.outcomes import hit, protected

LABEL = np.array([0, 0, 1, 1, 3, 3])
CLEAN = np.array([0, 2, 1, 1, 3, 3])  # the second is misclassified when clean
AFTER = np.array([3, 0, 1, 3, 3, 0])


def test_protection_counts_only_correctly_classified_faces() -> None:
    assert np.array_equal(protected(LABEL, CLEAN, AFTER), [1, np.nan, 0, 1, 0, 1], equal_nan=True)


def test_protection_of_a_targeted_row_leaves_out_faces_of_the_target() -> None:
    outcome = protected(LABEL, CLEAN, AFTER, np.full(6, 3))
    assert np.array_equal(outcome, [1, np.nan, 0, 1, np.nan, np.nan], equal_nan=True)


def test_targeted_leaves_out_faces_labelled_or_classified_as_target() -> None:
    clean = np.array([0, 3, 1, 1, 3, 3])
    outcome = hit(LABEL, clean, AFTER, np.full(6, 3))
    assert np.array_equal(outcome, [1, np.nan, 0, 1, np.nan, np.nan], equal_nan=True)
