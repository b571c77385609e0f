"""The metric of the budget against SSIM itself, and its projections."""

from __future__ import annotations

import pytest
import torch

from priemo_bench.attacks.priemo.geometry import Ball, Box, cut, rms
from priemo_bench.quality import Budget


def smooth_faces(n: int = 4, side: int = 48) -> torch.Tensor:
    coarse = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.nn.functional.interpolate(coarse, side, mode="bicubic").clamp(0.1, 0.9)


@pytest.mark.parametrize("floor", [0.999, 0.997])
def test_a_perturbation_on_the_ball_has_the_ssim_drop_of_the_floor(floor: float) -> None:
    x = smooth_faces()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    ball = Ball(x, floor)
    inner, full = ball.reference.ssim(x + ball.weights * noise / rms(noise))
    assert (1 - (inner + full) / 2).tolist() == pytest.approx([1 - floor] * len(x), rel=0.1)


def test_following_the_measured_drop_makes_both_means_meet_the_floor() -> None:
    """A perturbation that would rather be in the middle ends with both means at the floor."""
    x = smooth_faces()
    wish = torch.zeros_like(x)
    wish[..., 8:40, 8:40] = 1
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    gradient = noise * (wish + 0.3)
    ball = Ball(x, 0.997)
    for _ in range(30):
        seen = x + ball.weights * ball.steepest(gradient * ball.weights)
        ball.follow(seen)
    drops = torch.stack([1 - mean for mean in ball.reference.ssim(seen)])
    assert drops.flatten().tolist() == pytest.approx([0.003] * 8, rel=0.05)


@pytest.mark.parametrize(
    "shape", [Ball(smooth_faces(1, 16), 0.997), Box(smooth_faces(1, 16), 0.03)]
)
def test_steepest_maximises_a_linear_loss_over_the_body(shape: Ball | Box) -> None:
    gradient = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    others = torch.randn(200, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    best = (gradient * shape.project(shape.steepest(gradient))).sum()
    inside = torch.cat([shape.project(other[None] * 100) for other in others])
    assert ((gradient * inside).sum((1, 2, 3)) <= best + 1e-3).all()


def test_projection_leaves_what_is_inside() -> None:
    x = smooth_faces(1, 16)
    u = torch.full_like(x, 0.5)
    assert torch.equal(Ball(x, 0.9).project(u), u)
    assert torch.equal(Box(x, 0.1).project(u), u)
    assert rms(Ball(x, 0.9).project(u * 10)).item() == pytest.approx(1)


def test_cut_keeps_whole_grey_levels() -> None:
    d = torch.tensor([-1.0, 1.0])
    assert cut(d, Budget(0.9, 1.5 / 255)).tolist() == pytest.approx([-1 / 255, 1 / 255])
    assert torch.equal(cut(d, Budget(0.9, None)), d)
