"""How a network that makes perturbations is fitted: it learns its task, with all its weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from priemo_bench.attacks import unet
from priemo_bench.attacks.unet import UNet, learn, restored
from priemo_bench.errors import PriemoError

SIDE, STEPS = 16, 60


def faces(n: int, seed: int) -> Tensor:
    """(n, 1, SIDE, SIDE) coarse random pictures."""
    coarse = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, SIDE, mode="bilinear")


def wanted(x: Tensor) -> Tensor:
    """Lighter where darker than mid-grey, and the other way round."""
    return 1 - 2 * x


def fit(seed: int = 0) -> UNet:
    def loss(net: UNet, x: Tensor, rows: Tensor) -> Tensor:
        return (net(x) - wanted(x)).square().mean()

    return learn(lambda: UNet(1, (SIDE, SIDE)), faces(64, 1), loss, STEPS, 16, seed, 2e-3)


def test_learns_a_map_from_images_to_perturbations() -> None:
    x = faces(32, 2)
    error = (fit()(x) - wanted(x)).square().mean()
    assert error < 0.05 * wanted(x).square().mean()


def test_every_weight_takes_part() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = UNet(1, (SIDE, SIDE)).state_dict()
    still = [k for k, v in fit().state_dict().items() if torch.equal(v, untrained[k])]
    assert not still


def test_equal_seeds_equal_networks_and_no_other_random_number_is_used_up() -> None:
    before = torch.random.get_rng_state()
    one, same, other = fit(0).state_dict(), fit(0).state_dict(), fit(1).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one["leave.weight"], other["leave.weight"])


def test_weights_of_another_architecture_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net = UNet(1, (SIDE, SIDE))
    assert restored(UNet(1, (SIDE, SIDE)), net.state_dict())(faces(1, 0)).equal(net(faces(1, 0)))
    monkeypatch.setattr(unet, "WIDTHS", (32, 64, 128))
    with pytest.raises(PriemoError, match="another architecture"):
        restored(UNet(1, (SIDE, SIDE)), net.state_dict())
