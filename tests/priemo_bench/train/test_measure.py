"""Figures of a card against closed forms."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.victim import freeze
from priemo_bench.train.measure import (
    attack_with_pgd,
    brier,
    ece,
    measure,
    robust_accuracy,
)

Faces = Callable[..., FaceSet]


def test_ece_is_the_gap_between_confidence_and_accuracy() -> None:
    """Four confident predictions, one of them wrong, and two at 0.6, one of them wrong."""
    sure, unsure = [0.98, 0.02], [0.6, 0.4]
    found = np.array([sure] * 4 + [unsure] * 2)
    labels = np.array([0, 0, 0, 1, 0, 1])
    assert ece(found, labels) == pytest.approx(4 / 6 * (0.98 - 0.75) + 2 / 6 * (0.6 - 0.5))
    assert ece(np.eye(7), np.arange(7)) == 0


def test_ece_is_that_of_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(0)
    found, labels = rng.dirichlet(np.full(7, 0.3), 500), rng.integers(0, 7, 500)
    theirs = functional.multiclass_calibration_error(
        torch.from_numpy(found), torch.from_numpy(labels), 7, n_bins=15
    )
    assert ece(found, labels) == pytest.approx(float(theirs), abs=1e-6)


def test_brier_is_zero_for_truth_and_two_for_its_opposite() -> None:
    truth = np.eye(7)
    assert brier(truth, np.arange(7)) == 0
    assert brier(truth, (np.arange(7) + 1) % 7) == 2
    assert brier(np.full((1, 7), 1 / 7), np.array([3])) == pytest.approx(6 / 7)


class Brightness(nn.Module):
    """Happy where the mean pixel is above `level`, else sad: fooled by a known budget."""

    size = 16

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, x: Tensor) -> Tensor:
        above = x.mean((1, 2, 3)) - self.level
        rest = torch.full((len(x), 5), -9.0)
        happy, sad = above[:, None], -above[:, None]
        return torch.cat([rest[:, :3], happy, sad, rest[:, 3:]], 1)


@pytest.mark.parametrize(("distance", "fooled_by"), [(0.5, 1), (1.5, 2), (3.5, 4), (7.5, 8)])
def test_robust_accuracy_of_a_linear_victim_is_its_distance(
    distance: float, fooled_by: int, faces: Faces
) -> None:
    bright = faces("test", n=21)
    bright = FaceSet(
        "bright", "test", np.full_like(bright.images, 120), np.full(21, 3), bright.ids, bright.ids
    )
    victim = freeze(Brightness((120 - distance) / 255))
    found = robust_accuracy(victim, bright)
    assert {int(b): rate["value"] for b, rate in found.items()} == {
        b: float(b < fooled_by) for b in (0, 1, 2, 4, 8)
    }


def test_pgd_stays_within_its_budget(build: Callable[[], nn.Module], faces: Faces) -> None:
    test = faces("test", n=14)
    found = attack_with_pgd(freeze(build()), test.images, test.labels, 4, steps=5)
    change = found.astype(int) - test.images
    assert found.dtype == np.uint8
    assert 1 <= np.abs(change).max() <= 4


def test_all_of_a_card_is_measured(build: Callable[[], nn.Module], faces: Faces) -> None:
    found = measure(freeze(build()), {"toy test": faces("test")}, ["toy test"])
    assert set(found) == {"accuracy", "calibration", "robust_accuracy", "speed"}
    values = [found["robust_accuracy"]["toy test"][b]["value"] for b in "01248"]
    assert values == sorted(values, reverse=True)
    assert values[0] == found["accuracy"]["toy test"]["overall"]["value"]
    one = found["speed"]["1"]
    assert one["forward"] > one["forward_backward"] > 0
