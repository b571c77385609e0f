"""Labels, seeds and the base of attacks without a model."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from priemo_bench.attacks.base import check_labels, temporary_seed
from priemo_bench.attacks.control import Nothing
from priemo_bench.errors import PriemoError


@pytest.mark.parametrize("y", [[0, 6, 3], [[0], [6], [3]], np.eye(7)[[0, 6, 3]], [0.0, 6.0, 3.0]])
def test_labels_in_any_form(y: object) -> None:
    assert check_labels(y, 3, 7).tolist() == [0, 6, 3]
    assert check_labels(y, 3, 7).dtype == np.int64


@pytest.mark.parametrize("y", [[0, 7, 3], [-1, 0, 0], [0, 1], [0.5, 1, 2], np.zeros((3, 6))])
def test_labels_that_do_not_exist(y: object) -> None:
    with pytest.raises(PriemoError, match="3 labels from 0 to 6"):
        check_labels(y, 3, 7)


def test_temporary_seed_repeats_and_restores() -> None:
    def sample() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    with temporary_seed(5):
        first = sample()
    outside = sample()
    with temporary_seed(5):
        assert sample() == first
    with temporary_seed(None):
        assert sample() not in (first, outside)


def test_temporary_seed_restores_after_an_error() -> None:
    state = random.getstate()
    with pytest.raises(ZeroDivisionError), temporary_seed(1):
        _ = random.random() / 0
    assert random.getstate() == state


def test_a_model_free_attack_takes_any_classifier_or_none() -> None:
    assert Nothing(None).estimator is None
    assert Nothing().estimator is None
