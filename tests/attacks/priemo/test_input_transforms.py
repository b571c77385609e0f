"""Input diversity at probability 0 and 1, and a blur against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage, signal

from priemo_bench.attacks.priemo import input_transforms
from priemo_bench.attacks.priemo.input_transforms import KERNEL, input_diversity, smooth_gradient


def faces(n: int) -> torch.Tensor:
    return torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def mirror_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROTATION", "SCALE", "SHIFT"):
        monkeypatch.setattr(input_transforms, name, 0.0)


def mirrored(inputs: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(n,) which images are mirror images; each is that or what it was."""
    as_was = torch.isclose(inputs, x, atol=1e-4).all(1).all(1).all(1)
    turned = torch.isclose(inputs, x.flip(-1), atol=1e-4).all(1).all(1).all(1)
    assert (as_was ^ turned).all()
    return turned


def test_probability_0_is_the_image_itself() -> None:
    x = faces(2)
    assert input_diversity(x, 0, seeded()) is x


@pytest.mark.usefixtures("mirror_only")
def test_half_of_the_transformed_faces_are_exact_mirror_images() -> None:
    x = faces(1).expand(400, -1, -1, -1)
    assert mirrored(input_diversity(x, 1, seeded()), x).float().mean().item() == pytest.approx(
        0.5, abs=0.1
    )
    share = mirrored(input_diversity(x, 0.4, seeded()), x).float().mean().item()
    assert share == pytest.approx(0.2, abs=0.08)


def test_it_is_differentiable_and_images_stay_in_range() -> None:
    x = faces(8).requires_grad_()
    inputs = input_diversity(x, 1, seeded())
    assert 0 <= inputs.min() <= inputs.max() <= 1
    assert not torch.equal(inputs, x)
    (gradient,) = torch.autograd.grad(inputs.sum(), x)
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


def test_gradients_are_smoothed_by_a_gaussian_blur() -> None:
    g, sigma = torch.randn(1, 1, 16, 16, generator=seeded()), 1.5
    kernel = signal.windows.gaussian(KERNEL, sigma)
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    expected = ndimage.correlate(g[0, 0].numpy(), kernel, mode="mirror")
    assert np.allclose(smooth_gradient(g, sigma)[0, 0].numpy(), expected, atol=1e-5)
    assert smooth_gradient(g, 0) is g
