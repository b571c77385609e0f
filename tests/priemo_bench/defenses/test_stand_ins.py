"""Differentiable stand-ins: near their filters, with a slope that is of use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from priemo_bench import registry
from priemo_bench.contracts.defense import HasStandIn
from priemo_bench.defenses.soft_coding import TO_YCBCR, soft_round

NAMES = [n for n in registry.names("defenses") if hasattr(registry.get("defenses", n), "smooth")]
WITHOUT = {
    "bits3", "bits4", "bits5", "bits6", "tv0.03", "tv0.1", "nlm", "wavelet", "clahe", "equalise",
}  # fmt: skip
EXACT = (
    "none", "median", "blur", "bilateral", "wiener", "gamma", "turn", "denoiser", "diffusion",
)  # fmt: skip
"""Floats from end to end: what the filter gives, to float32."""
PIXEL = ("x", "crop")
"""The filter rounds to 8 bits up to four times."""

IN_CHROMA = ("webp", "screenshot")
"""What they do to brightness has no stand-in."""


def noisy(faces: np.ndarray) -> np.ndarray:
    """Faces with a perturbation as of an attack: filters are to be imitated on these."""
    rng = np.random.default_rng(0)
    return np.rint(faces + 4 * rng.standard_normal(faces.shape)).clip(0, 255).astype(np.uint8)


def given(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x / np.float32(255)).requires_grad_()


def test_which_have_none() -> None:
    assert set(registry.names("defenses")) - set(NAMES) == WITHOUT
    assert all(isinstance(registry.get("defenses", name), HasStandIn) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_near_the_filter_and_of_finite_slope(name: str, faces: np.ndarray) -> None:
    defense, images = registry.get("defenses", name), noisy(faces)
    x = given(images)
    out = defense.smooth(x)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert 0 <= out.min() <= out.max() <= 1.0001
    real = defense(images)
    away = np.abs(out.detach().numpy() - real) * 255
    change = np.abs(real - images / 255) * 255
    if name.startswith(EXACT):
        assert np.quantile(away, 0.999) < 0.05
    elif name.startswith(PIXEL):
        assert away.max() < 8
        assert away.mean() < 0.8
    else:
        closer = 1.01 if name.startswith(IN_CHROMA) and faces.shape[1] == 1 else 0.9
        assert np.sqrt((away**2).mean()) < closer * np.sqrt((change**2).mean())
    slope = torch.autograd.grad(out.square().sum(), x)[0]
    assert torch.isfinite(slope).all()
    assert (slope.abs().amax((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("quality", [95, 90, 75, 50, 30])
def test_soft_jpeg_is_much_nearer_than_the_image_itself(quality: int, faces: np.ndarray) -> None:
    defense, images = registry.get("defenses", f"jpeg{quality}"), noisy(faces)
    real = defense(images)
    soft = defense.smooth(given(images)).detach().numpy()
    assert ((soft - real) ** 2).mean() < 0.15 * ((images / 255 - real) ** 2).mean()


@pytest.mark.parametrize("name", NAMES)
def test_flat_and_black_images_have_a_finite_slope(name: str) -> None:
    defense = registry.get("defenses", name)
    for level in (0, 128, 255):
        x = given(np.full((2, 3, 20, 17), level, np.uint8))
        out = defense.smooth(x)
        assert torch.isfinite(out).all()
        assert torch.isfinite(torch.autograd.grad(out.sum(), x)[0]).all()


@pytest.mark.parametrize("name", NAMES)
def test_double_precision_and_each_image_on_its_own(name: str, rendered: np.ndarray) -> None:
    defense = registry.get("defenses", name)
    x = torch.from_numpy(noisy(rendered)[:2] / 255)
    out = defense.smooth(x)
    assert out.dtype == torch.float64
    alone = torch.cat([defense.smooth(image[None]) for image in x])
    assert torch.allclose(out, alone, atol=1e-9)


@pytest.mark.parametrize("name", ["upload", "jpeg50", "x50-area", "median3", "bilateral", "blur"])
def test_a_step_along_its_slope_moves_the_real_filter(name: str, rendered: np.ndarray) -> None:
    """Of a projection on a smooth pattern; as far as the stand-in says, and the right way."""
    defense = registry.get("defenses", name)
    side = torch.linspace(0, 12, 112)
    pattern = torch.sin(side)[:, None] * torch.cos(side)[None]
    x = given(rendered)
    (defense.smooth(x) * pattern).sum().backward()
    assert x.grad is not None
    step = np.rint(rendered + 6 * np.sign(x.grad.numpy())).clip(0, 255).astype(np.uint8)
    said = float((x.grad * torch.from_numpy(step / 255 - rendered / 255)).sum())
    real = float(((defense(step) - defense(rendered)) * pattern.numpy()).sum())
    assert said > 0
    assert 0.5 * said < real < 3 * said


def test_soft_rounding_is_near_the_integers_and_has_a_slope() -> None:
    v = torch.linspace(-3, 3, 601, dtype=torch.float64, requires_grad=True)
    out = soft_round(v)
    nearest = v.detach().round()
    assert (out - nearest).abs().max() <= 0.125 + 1e-9
    (slope,) = torch.autograd.grad(out.sum(), v)
    assert torch.allclose(slope, 3 * (v - nearest).detach() ** 2)


def test_luma_of_white_is_white() -> None:
    assert np.allclose(TO_YCBCR @ np.ones(3), [1, 0, 0], atol=1e-6)
