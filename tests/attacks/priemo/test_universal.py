"""How universal perturbations are fitted: sharpness, augmentation and balanced emotions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from priemo_bench.attacks.priemo import ClassPriEMO, UniversalPriEMO
from priemo_bench.attacks.priemo.fitted import FitSet, sample_weights


class TwoWells:
    """Loss over the mean change m of an image: a narrow deep well at .1, a wide one at -.3."""

    passes = 0

    def __call__(self, inputs: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, None]:
        self.passes += 1
        m = inputs.mean((1, 2, 3)) - 0.5
        narrow = torch.exp(-((m - 0.1) ** 2) / (2 * 0.05**2))
        wide = torch.exp(-((m + 0.3) ** 2) / (2 * 0.12**2))
        return -(narrow + 0.9 * wide), None


def train(x: torch.Tensor, objective: Any, eps: float, **params: float) -> np.ndarray:
    """The perturbation of (8, c, h, w) faces after 60 mini-batches of 4, over eps."""
    attack = UniversalPriEMO(
        None, ssim_floor=None, eps=eps, steps=30, batch_size=4, verbose=False, **params  # type: ignore[arg-type]
    )  # fmt: skip
    zeros = torch.zeros(8, dtype=torch.long)
    attack._train(FitSet(x, zeros, zeros, torch.ones(8)), objective)
    assert attack.noise is not None
    return attack.noise[0, 0] / eps


def train_in_wells(sharpness: float) -> tuple[float, int]:
    """Where in [-.5, .5] the perturbation of grey faces ends, and the passes that took."""
    wells = TwoWells()
    u = train(torch.full((8, 1, 16, 16), 0.5), wells, 0.5, diversity=0, sharpness=sharpness)
    return float(u.mean()) * 0.5, wells.passes


def test_sharpness_does_not_settle_in_the_narrow_well() -> None:
    plain, passes = train_in_wells(0)
    assert plain == pytest.approx(0.1, abs=0.02)
    assert passes == 60
    flatter, passes = train_in_wells(0.3)
    assert flatter < 0
    assert passes == 120


class Bright:
    """Loss over the pixels of an image above .6."""

    def __call__(self, inputs: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, None]:
        return (inputs - 0.6).relu().sum((1, 2, 3)), None


def test_augmentation_covers_where_no_fit_face_has_its_mark() -> None:
    x = torch.full((8, 1, 16, 16), 0.5)
    x[..., 4:12, 2:6] = 0.8
    plain, augmented = (train(x, Bright(), 0.3, diversity=d) for d in (0, 1))
    assert plain[6:10, 3:5].max() < -0.9
    assert (plain[:, 8:] == 0).all()
    assert augmented[6:10, 3:5].max() < -0.5
    assert augmented[6:10, 11:13].max() < -0.5  # mirrored


def test_an_emotion_without_a_face_in_the_mini_batch_is_not_moved() -> None:
    """Adam's momentum would move it; two emotions in turn, one face a mini-batch."""
    attack = ClassPriEMO(
        None, ssim_floor=None, eps=0.3, steps=1, batch_size=1, diversity=0, verbose=False
    )
    x, groups = torch.full((2, 1, 16, 16), 0.8), torch.tensor([0, 1])
    objective: Any = Bright()
    attack._train(FitSet(x, groups, groups, torch.ones(2)), objective)
    assert attack.noise is not None
    # the first step of Adam has the size of the learning rate, which falls from .055 to .01
    sizes = sorted(np.abs(attack.noise[:2] / 0.3).max((1, 2, 3)))
    assert sizes[0] < 0.02
    assert 0.05 < sizes[1] < 0.06
    assert (attack.noise[2:] == 0).all()


def test_balance_1_gives_emotions_one_weight() -> None:
    emotions = torch.tensor([0, 0, 0, 0, 0, 0, 3, 3, 5])
    weights = sample_weights(emotions, 1)
    sums = [weights[emotions == k].sum().item() for k in (0, 3, 5)]
    assert sums == pytest.approx([3, 3, 3])
    assert sample_weights(emotions, 0).tolist() == [1.0] * 9
    half = sample_weights(emotions, 0.5)
    assert (half[8] / half[0]).item() == pytest.approx(6**0.5)
