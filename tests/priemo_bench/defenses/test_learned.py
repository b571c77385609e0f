"""Learned purifiers: the network, the way back of a diffusion, and what the embedded weights do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.victim import GREY
from priemo_bench.defenses import Denoiser, Diffusion, learned
from priemo_bench.defenses.diffusion import kept_after, purified
from priemo_bench.defenses.residual import denoised
from priemo_bench.defenses.unet import UNet
from priemo_bench.errors import PriemoError

LEARNED = ["denoiser", "diffusion-25", "diffusion-50", "diffusion-100", "diffusion-150"]


def wild(net: UNet) -> UNet:
    """The network as if it were trained: its last layer is not zero."""
    torch.manual_seed(0)
    nn.init.normal_(net.leave.weight, std=0.1)
    return net.double().eval()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In dB, the mean over images in [0, 1]."""
    return float((-10 * np.log10(((a - b) ** 2).mean((1, 2, 3)))).mean())


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """(12, 1, 48, 48) uint8: held-out rendered faces."""
    faces = registry.get("datasets", "rendered")(None, 48).split("test").images[::40][:12]
    grey = (faces * np.array(GREY)[:, None, None]).sum(1, keepdims=True)
    return np.rint(grey).astype(np.uint8)


@pytest.mark.parametrize("size", [(48, 48), (8, 8), (17, 30), (1, 5)])
def test_an_untrained_network_gives_zeros_of_any_size(size: tuple[int, int]) -> None:
    net = UNet(3, (8, 16))
    assert torch.equal(net(torch.rand(2, 3, *size)), torch.zeros(2, 3, *size))


def test_without_biases_twice_the_input_gives_twice_the_output() -> None:
    net, x = wild(UNet(1, (8, 16), bias=False)), torch.randn(2, 1, 20, 24).double()
    assert net(x).abs().mean() > 1e-3
    assert torch.allclose(net(3 * x), 3 * net(x))
    assert not net(torch.zeros_like(x)).any()


def test_a_denoiser_commutes_with_brightness_and_contrast() -> None:
    net, x = wild(UNet(1, (8, 16), bias=False)), torch.rand(2, 3, 20, 24).double()
    assert torch.allclose(denoised(net, 0.4 * x + 0.3), 0.4 * denoised(net, x) + 0.3)


def test_steps_differ_in_a_timed_network() -> None:
    net, x = wild(UNet(1, (8, 16), timed=True)), torch.rand(2, 1, 16, 16).double()
    early, late = (net(x, torch.full((2,), t)) for t in (1.0, 150.0))
    assert (early - late).abs().mean() > 1e-3
    mixed = net(x, torch.tensor([1.0, 150.0]))
    assert torch.allclose(mixed, torch.stack([early[0], late[1]]))


def test_the_variance_that_is_left_is_that_of_the_paper() -> None:
    """Ho, Jain & Abbeel 2020: from 1 to 4e-5 in 1,000 steps; the sum of logs as an integral."""
    assert kept_after(0) == 1
    assert kept_after(1) == pytest.approx(1 - 1e-4)
    assert kept_after(1000) == pytest.approx(4.04e-5, rel=0.01)
    for t in (25, 50, 100, 150):
        assert np.log(kept_after(t)) == pytest.approx(-(1e-4 * t + 0.0199 * t**2 / 2000), rel=0.03)


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_a_network_that_knows_the_noise_gives_the_image_back(passes: int) -> None:
    torch.manual_seed(0)
    x, noise = torch.rand(3, 1, 48, 48).double(), torch.randn(3, 1, 48, 48).double()
    back = purified(lambda now, step: noise, x, noise, 100, passes)  # type: ignore[arg-type]
    assert torch.allclose(back, x, atol=1e-12)


def test_the_way_back_for_gaussian_images_is_that_of_the_flow() -> None:
    """Pixels of N(0, s^2): the noise has a closed form, and so has the ODE that DDIM follows."""
    torch.manual_seed(0)
    s, t = 0.2, 150
    x, noise = torch.full((1, 1, 48, 48), 0.5).double(), torch.randn(1, 1, 48, 48).double()

    def ideal(now: Tensor, step: Tensor) -> Tensor:
        kept = kept_after(int(step[0]))
        return now * (1 - kept) ** 0.5 / (kept * s**2 + 1 - kept)

    back = purified(ideal, x, noise, t, t)  # type: ignore[arg-type]
    kept = kept_after(t)
    flow = noise * (1 - kept) ** 0.5 * s / (kept * s**2 + 1 - kept) ** 0.5
    assert torch.allclose(2 * back - 1, flow, atol=0.02)


def test_the_denoiser_takes_noise_away_from_faces_it_has_not_seen(photos: np.ndarray) -> None:
    rng, clean = np.random.default_rng(0), photos / 255
    for sigma, least in ((4, 1), (8, 2), (16, 3)):
        noisy = np.rint(photos + sigma * rng.standard_normal(photos.shape)).clip(0, 255)
        out = Denoiser()(noisy.astype(np.uint8))
        assert psnr(out, clean) > psnr(noisy / 255, clean) + least
    assert psnr(Denoiser()(photos), clean) > 45


def test_the_denoiser_takes_each_channel_alone(photos: np.ndarray) -> None:
    rgb = np.concatenate([photos[:1], photos[1:2], photos[2:3]], 1)
    alone = np.concatenate([Denoiser()(photos[i : i + 1]) for i in range(3)], 1)
    assert np.abs(Denoiser()(rgb) - alone).max() < 1e-5


def test_more_steps_of_a_diffusion_change_more_and_keep_the_face(photos: np.ndarray) -> None:
    clean = photos / 255
    found = [psnr(Diffusion(t)(photos), clean) for t in (25, 50, 100, 150)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 30
    assert found[-1] > 20


def test_a_diffusion_takes_more_noise_away_than_it_leaves(photos: np.ndarray) -> None:
    noise = 16 * np.random.default_rng(0).standard_normal(photos.shape)
    noisy = np.rint(photos + noise).clip(0, 255).astype(np.uint8)
    assert psnr(Diffusion(50)(noisy), photos / 255) > psnr(noisy / 255, photos / 255) + 1


def test_a_diffusion_leaves_colour_and_fine_detail(rendered: np.ndarray) -> None:
    """What it changes is one smooth picture, the same in every channel."""
    x = rendered[:2, :, :100, :90].clip(100, 150)
    change = Diffusion(25)(x) - x / 255
    assert np.abs(change).max() > 0.01
    assert np.abs(change - change[:, :1]).max() < 1e-5
    small = change[:, :1]
    bends = np.abs(np.diff(small, 2, axis=2)).mean(), np.abs(np.diff(small, axis=2)).mean()
    assert bends[0] < bends[1]


@pytest.mark.parametrize("name", ["denoiser", "diffusion-50"])
def test_the_slope_is_that_of_differences(name: str, photos: np.ndarray) -> None:
    defense = registry.get("defenses", name)
    x = torch.from_numpy(photos[:1].clip(40, 215) / 255).requires_grad_()
    torch.manual_seed(0)
    pattern, way = torch.randn(x.shape).double(), torch.randn(x.shape).double()

    def value(images: Tensor) -> Tensor:
        return (defense.smooth(images) * pattern).sum()

    (slope,) = torch.autograd.grad(value(x), x)
    with torch.no_grad():
        difference = (value(x + 1e-6 * way) - value(x - 1e-6 * way)) / 2e-6
    assert float((slope * way).sum()) == pytest.approx(float(difference), rel=1e-3)


@pytest.mark.parametrize("name", LEARNED)
def test_damaged_weights_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: np.ndarray
) -> None:
    monkeypatch.setattr(learned, "WEIGHTS", tmp_path)
    learned.trained.cache_clear()
    defense = registry.get("defenses", name)
    with pytest.raises(PriemoError, match="missing"):
        defense(photos[:1])
    for file in ("denoiser", "diffusion"):
        (tmp_path / f"{file}.safetensors").write_bytes(b"damaged")
    with pytest.raises(PriemoError, match="SHA-256"):
        defense(photos[:1])


def test_embedded_weights_are_small() -> None:
    sizes = {p.stem: p.stat().st_size for p in learned.WEIGHTS.glob("*.safetensors")}
    assert sizes["denoiser"] <= 400 * 1024
    assert sizes["diffusion"] <= 3 * 1024**2


def test_steps_that_were_not_learnt_are_refused() -> None:
    with pytest.raises(PriemoError, match="from 1 to 200"):
        Diffusion(201)
    with pytest.raises(PriemoError, match="passes"):
        Diffusion(4, passes=5)
