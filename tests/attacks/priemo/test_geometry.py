"""The metric of the budget against SSIM itself, and its projections."""

from __future__ import annotations

import pytest
import torch

from priemo_bench.attacks.priemo.geometry import Ball, Box, cut, rms
from priemo_bench.quality import Budget, Reference


def smooth_faces(n: int = 4, side: int = 48) -> torch.Tensor:
    coarse = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.nn.functional.interpolate(coarse, side, mode="bicubic").clamp(0.1, 0.9)


@pytest.mark.parametrize("floor", [0.999, 0.997])
def test_a_perturbation_on_the_ball_has_the_ssim_drop_of_the_floor(floor: float) -> None:
    x = smooth_faces()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    ball = Ball(floor)
    d = ball.weights(x) * noise / rms(noise)
    drop = 1 - Reference(x).ssim(x + d)[1]
    assert drop.tolist() == pytest.approx([1 - floor] * len(x), rel=0.1)


def test_steepest_maximises_a_linear_loss_over_the_ball_and_the_box() -> None:
    gradient = torch.randn(2, 1, 12, 12, generator=torch.Generator().manual_seed(2))
    others = torch.randn(200, 1, 12, 12, generator=torch.Generator().manual_seed(3))
    ball, box = Ball(0.997), Box(8 / 255)
    for shape in (ball, box):
        best = (gradient * shape.project(shape.steepest(gradient))).sum((1, 2, 3))
        inside = shape.project(others * 100)
        assert ((gradient[:1] * inside).sum((1, 2, 3)) <= best[0] + 1e-3).all()


def test_projection_leaves_what_is_inside() -> None:
    u = torch.full((1, 1, 4, 4), 0.5)
    assert torch.equal(Ball(0.9).project(u), u)
    assert torch.equal(Box(0.1).project(u), u)
    assert rms(Ball(0.9).project(u * 10)).item() == pytest.approx(1)


def test_cut_keeps_whole_grey_levels() -> None:
    d = torch.tensor([-1.0, 1.0])
    assert cut(d, Budget(0.9, 1.5 / 255)).tolist() == pytest.approx([-1 / 255, 1 / 255])
    assert torch.equal(cut(d, Budget(0.9, None)), d)
