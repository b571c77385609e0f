"""Training of the U-Net: it learns its task, with all its weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from priemo_bench.attacks.unet import UNet, restore, train
from priemo_bench.errors import PriemoError

SIDE, STEPS = 16, 60


def faces(n: int, seed: int) -> Tensor:
    """(n, 1, SIDE, SIDE) coarse random pictures."""
    coarse = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, SIDE, mode="bilinear")


def wanted(x: Tensor) -> Tensor:
    """Lighter where darker than mid-grey, and the other way round."""
    return 1 - 2 * x


def fit(seed: int = 0, steps: int = STEPS) -> UNet:
    def loss(net: UNet, x: Tensor, rows: Tensor) -> Tensor:
        return (net(x) - wanted(x)).square().mean()

    return train(
        lambda: UNet(1, (SIDE, SIDE)), faces(64, 1), loss, steps=steps, batch_size=16, rate=2e-3,
        seed=seed,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> UNet:
    return fit()


def test_learns_a_map_from_images_to_perturbations(fitted: UNet) -> None:
    x = faces(32, 2)
    error = (fitted(x) - wanted(x)).square().mean()
    assert error < 0.05 * wanted(x).square().mean()


def test_every_weight_is_trained(fitted: UNet) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = UNet(1, (SIDE, SIDE)).state_dict()
    still = [k for k, v in fitted.state_dict().items() if torch.equal(v, untrained[k])]
    assert not still


def test_equal_seeds_equal_networks_and_the_global_generator_is_unchanged() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (fit(seed, steps=3).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one["leave.weight"], other["leave.weight"])


def test_weights_of_another_architecture_are_refused() -> None:
    net = UNet(1, (SIDE, SIDE))
    assert restore(UNet(1, (SIDE, SIDE)), net.state_dict())(faces(1, 0)).equal(net(faces(1, 0)))
    with pytest.raises(PriemoError, match="another architecture"):
        restore(UNet(1, (SIDE, SIDE), width=16), net.state_dict())
