"""What shared perturbations are fitted by: sharpness, and emotions that count alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from priemo_bench.attacks.priemo import universal as shared
from priemo_bench.attacks.priemo.attack import _emphasis
from priemo_bench.quality.budget import Budget


class TwoWells:
    """Loss over the mean change m of an image: a narrow deep well at .1, a wide one at -.3."""

    passes = 0

    def __call__(self, seen: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, None]:
        self.passes += 1
        m = seen.mean((1, 2, 3)) - 0.5
        narrow = torch.exp(-((m - 0.1) ** 2) / (2 * 0.05**2))
        wide = torch.exp(-((m + 0.3) ** 2) / (2 * 0.12**2))
        return -(narrow + 0.9 * wide), None


def learn(sharpness: float) -> tuple[float, int]:
    """Where in [-.5, .5] a pattern for grey faces ends, and the passes that took."""
    wells: Any = TwoWells()
    x, zeros = torch.full((8, 1, 16, 16), 0.5), torch.zeros(8, dtype=torch.long)
    pattern = shared.learn(
        x, zeros, zeros, 1, wells, Budget(None, 0.5), 60, 4, 0, sharpness, torch.ones(8),
        torch.Generator().manual_seed(0), False,
    )  # fmt: skip
    return pattern.u.mean().item() * 0.5, wells.passes


def test_sharpness_does_not_settle_in_the_narrow_well() -> None:
    plain, passes = learn(0)
    assert plain == pytest.approx(0.1, abs=0.02)
    assert passes == 60
    flatter, passes = learn(0.3)
    assert flatter < 0
    assert passes == 120


class Bright:
    """Loss over what of an image is lighter than .6."""

    def __call__(self, seen: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, None]:
        return (seen - 0.6).relu().sum((1, 2, 3)), None


def test_altered_faces_prepare_for_where_no_fit_face_has_its_mark() -> None:
    bright: Any = Bright()
    x, zeros = torch.full((8, 1, 16, 16), 0.5), torch.zeros(8, dtype=torch.long)
    x[..., 4:12, 2:6] = 0.8

    def learned(diversity: float) -> torch.Tensor:
        return shared.learn(
            x, zeros, zeros, 1, bright, Budget(None, 0.3), 60, 4, diversity, 0, torch.ones(8),
            torch.Generator().manual_seed(0), False,
        ).u[0, 0]  # fmt: skip

    as_they_are, altered = learned(0), learned(1)
    assert as_they_are[6:10, 3:5].max() < -0.9
    assert torch.all(as_they_are[:, 8:] == 0)
    assert altered[6:10, 3:5].max() < -0.5
    assert altered[6:10, 11:13].max() < -0.5  # in the mirror


def test_emotions_weigh_alike_as_far_as_balance_says() -> None:
    emotions = torch.tensor([0, 0, 0, 0, 0, 0, 3, 3, 5])
    weights = _emphasis(emotions, 1)
    sums = [weights[emotions == k].sum().item() for k in (0, 3, 5)]
    assert sums == pytest.approx([3, 3, 3])
    assert _emphasis(emotions, 0).tolist() == [1.0] * 9
    half = _emphasis(emotions, 0.5)
    assert (half[8] / half[0]).item() == pytest.approx(6**0.5)
