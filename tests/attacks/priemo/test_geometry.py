"""The metric of the budget against SSIM itself, and its projections."""

from __future__ import annotations

import pytest
import torch

from priemo_bench.attacks.priemo.geometry import (
    LinfBall,
    SSIMEllipsoid,
    clip_to_cap,
    dot,
    rms,
    scale_map,
)
from priemo_bench.quality.budget import Budget
from priemo_bench.quality.structural import blur


def smooth_faces(n: int = 4, side: int = 48) -> torch.Tensor:
    coarse = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.nn.functional.interpolate(coarse, side, mode="bicubic").clamp(0.1, 0.9)


def noise(x: torch.Tensor, seed: int = 1) -> torch.Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)


def test_the_form_is_the_ssim_drop_of_changes_without_a_local_mean() -> None:
    x = smooth_faces()
    d = noise(x)
    for _ in range(3):
        d = d - blur(d)
    feasible = SSIMEllipsoid(x, 0.999)
    inner, full = feasible.reference.ssim(x + d / feasible.norm(d))
    assert (1 - (inner + full) / 2).tolist() == pytest.approx([0.001] * len(x), rel=0.1)


@pytest.mark.parametrize("smoothing", [1, 3])
def test_smooth_changes_cost_less_than_the_form_says(smoothing: int) -> None:
    x = smooth_faces()
    d = noise(x)
    for _ in range(smoothing):
        d = blur(d)
    feasible = SSIMEllipsoid(x, 0.999)
    inner, full = feasible.reference.ssim(x + d / feasible.norm(d))
    assert ((1 - (inner + full) / 2) < 0.0009).all()


@pytest.mark.parametrize("floor", [0.999, 0.997])
def test_scale_maps_have_the_ssim_drop_of_the_floor(floor: float) -> None:
    x = smooth_faces()
    u = noise(x) / rms(noise(x))
    drop = 1 - SSIMEllipsoid(x, floor).reference.ssim(x + scale_map(x, Budget(floor, None)) * u)[1]
    assert drop.tolist() == pytest.approx([1 - floor] * len(x), rel=0.1)


def test_adapting_to_the_measured_drop_makes_both_means_meet_the_floor() -> None:
    """Of a perturbation that is mostly in the middle too."""
    x = smooth_faces()
    wish = torch.zeros_like(x)
    wish[..., 8:40, 8:40] = 1
    gradient = noise(x) * (wish + 0.3)
    feasible = SSIMEllipsoid(x, 0.997)
    for _ in range(30):
        protected = x + feasible.steepest(gradient)
        feasible.adapt(protected)
    drops = torch.stack([1 - mean for mean in feasible.reference.ssim(protected)])
    assert drops.flatten().tolist() == pytest.approx([0.003] * 8, rel=0.05)


def second_order(feasible: SSIMEllipsoid, x: torch.Tensor) -> torch.Tensor:
    """The matrix Q of geometry.py for one image, from the Hessian of SSIM itself."""

    def drop(d: torch.Tensor) -> torch.Tensor:
        full = feasible.reference.drop_map(x + d.view(x.shape))
        inner = full[..., 5:-5, 5:-5]
        return (full.mean() + inner.mean()) / 2

    q = torch.autograd.functional.hessian(drop, torch.zeros(x.numel(), dtype=x.dtype)) / 2
    return torch.as_tensor(q)


def test_steepest_approaches_the_optimum_under_ssim_itself() -> None:
    """Of a unit of SSIM drop it makes more than the gradient does, and the share of Q^-1 g."""
    x = smooth_faces(1, 20)
    feasible = SSIMEllipsoid(x, 0.997)
    q, gradient = second_order(feasible, x), noise(x)

    def gain(d: torch.Tensor) -> float:
        flat = d.flatten()
        return float(dot(gradient, d)) / float(flat @ q @ flat) ** 0.5

    best = gain(torch.linalg.solve(q, gradient.flatten()).view(x.shape))
    found = gain(feasible.steepest(gradient))
    assert gain(gradient) < found < best
    assert found > 0.9 * best


@pytest.mark.parametrize("feasible", [SSIMEllipsoid(smooth_faces(1, 16), 0.997), LinfBall(0.03)])
def test_steepest_beats_other_directions(
    feasible: SSIMEllipsoid | LinfBall,
) -> None:
    x = smooth_faces(1, 16)
    gradient = noise(x)
    best = dot(gradient, feasible.project(feasible.steepest(gradient)))
    others = [dot(gradient, feasible.project(noise(x, seed) * 100)) for seed in range(2, 60)]
    assert (torch.cat(others) < best).all()


def test_projection_leaves_feasible_perturbations_unchanged() -> None:
    x = smooth_faces(1, 16)
    feasible = SSIMEllipsoid(x, 0.9)
    d = noise(x) / feasible.norm(noise(x))
    assert torch.equal(feasible.project(d * 0.5), d * 0.5)
    assert feasible.norm(feasible.project(d * 10)).item() == pytest.approx(1)
    assert LinfBall(0.1).project(d * 1000).abs().max() == 0.1


def test_the_cap_is_in_whole_grey_levels() -> None:
    d = torch.tensor([-1.0, 1.0])
    assert clip_to_cap(d, Budget(0.9, 1.5 / 255)).tolist() == pytest.approx([-1 / 255, 1 / 255])
    assert torch.equal(clip_to_cap(d, Budget(0.9, None)), d)
