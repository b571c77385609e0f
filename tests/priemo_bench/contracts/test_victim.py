"""Preprocessing of victims against closed forms, and ensembles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from priemo_bench.contracts.victim import Ensemble, Victim, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.testing import ToyVictim, toy_faces


class Pixels(Victim):
    """Its features are its input."""

    def __init__(self, channels: int) -> None:
        super().__init__(4, channels, (0.5,) * channels, (0.25,) * channels)

    def embed(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def head(self, f: Tensor) -> Tensor:
        return f[:, :7]


def test_rgb_becomes_luma_and_grey_is_repeated() -> None:
    x = torch.rand(2, 3, 4, 4)
    luma = 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]
    torch.testing.assert_close(Pixels(1).features(x), (luma.flatten(1) - 0.5) / 0.25)
    grey = x[:, :1]
    expected = ((grey - 0.5) / 0.25).repeat(1, 3, 1, 1).flatten(1)
    torch.testing.assert_close(Pixels(3).features(grey), expected)


def test_halving_the_side_keeps_linear_ramps() -> None:
    """The antialiased filter is symmetric: away from the edge, a ramp has its block means."""
    ramp = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)
    found = Pixels(1).prepare(ramp) * 0.25 + 0.5
    expected = ramp.reshape(1, 1, 8, 4, 2).mean(-1)[:, :, ::2]
    torch.testing.assert_close(found[..., 1:-1], expected[..., 1:-1])


def test_rounding_outside_is_clamped_with_its_gradient() -> None:
    x = torch.full((1, 1, 4, 4), 1 + 5e-7, requires_grad=True)
    features = Pixels(1).features(x)
    assert torch.equal(features, torch.full((1, 16), 2.0))
    features.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full_like(x, 4))


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (torch.zeros(1, 4, 4), "has shape"),
        (torch.zeros(1, 2, 4, 4), "has shape"),
        (torch.full((1, 1, 4, 4), 1.01), "must be in"),
        (torch.full((1, 1, 4, 4), torch.nan), "must be in"),
    ],
)
def test_other_images_are_refused(x: Tensor, reason: str) -> None:
    with pytest.raises(PriemoError, match=reason):
        Pixels(1)(x)


def test_an_ensemble_is_the_mean_of_logits() -> None:
    x = torch.from_numpy(toy_faces(3)[0])
    victims = [ToyVictim(seed) for seed in range(3)]
    expected = np.mean([victim(x).numpy() for victim in victims], 0)
    np.testing.assert_allclose(Ensemble(victims)(x).numpy(), expected, atol=1e-6)


def test_a_frozen_network_does_not_train() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Dropout())
    assert freeze(net) is net
    assert not net.training
    assert not net[1].training
    assert not any(p.requires_grad for p in net.parameters())
