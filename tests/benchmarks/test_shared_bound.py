"""Why one perturbation cannot protect many faces at a small loss: a bound to first order.

In the metric of the budget a face i is protected, to first order, when the shared direction has a
cosine of at least c_i with its own steepest one, c_i being the share of the budget that it would
need alone. Since [cos >= c] <= cos^2 / c^2, no direction protects a larger share of the faces than
the largest eigenvalue of the mean of g_i g_i' / c_i^2, with c_i no smaller than some c0 and faces
below c0 counted as protected.

    PRIEMO_FER2013=fer2013.csv pytest -m slow -s tests/benchmarks/test_shared_bound.py

prints it for scopes universal and class beside what a fit reaches on its own faces.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from priemo_bench import registry
from priemo_bench.attacks.priemo import PriEMO
from priemo_bench.attacks.priemo.geometry import scale_map
from priemo_bench.contracts.image import to_float
from priemo_bench.contracts.predict import margin
from priemo_bench.contracts.victim import as_art
from priemo_bench.data.sampling import sample
from priemo_bench.quality.budget import Budget

FACES = 1000


def first_order(victim: Any, x: torch.Tensor, y: torch.Tensor, budget: Budget) -> Any:
    """Steepest directions (n, d) of length 1, and the share (n,) of the budget that each needs."""
    directions, needs = [], []
    for part, own in zip(x.split(64), y.split(64), strict=True):
        u = torch.zeros_like(part).requires_grad_()
        left = margin(victim(part + scale_map(part, budget) * u), own)
        (gradient,) = torch.autograd.grad(left.sum(), u)
        gradient = gradient.flatten(1)
        size = gradient.norm(dim=1)
        directions.append(gradient / size[:, None])
        needs.append((left / (size * gradient.shape[1] ** 0.5)).detach())
    return torch.cat(directions), torch.cat(needs)


def bound(directions: torch.Tensor, needs: torch.Tensor) -> float:
    """Largest share that one direction can protect, by the best of some c0."""
    best = 1.0
    for least in (0.02, 0.05, 0.1, 0.15, 0.2):
        cheap = needs < least
        rest = directions[~cheap] / needs[~cheap, None]
        top = float(torch.linalg.matrix_norm(rest, 2) ** 2) if len(rest) else 0.0
        best = min(best, float(cheap.float().mean()) + top / len(needs))
    return best


def test_the_bound_is_reached_where_all_faces_want_the_same() -> None:
    same = torch.eye(4)[:1].expand(10, -1)
    assert bound(same, torch.full((10,), 1.0)) == pytest.approx(1)
    assert bound(torch.eye(10), torch.full((10,), 1.0)) == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.skipif("PRIEMO_FER2013" not in os.environ, reason="PRIEMO_FER2013 names no file")
@pytest.mark.parametrize("name", ["resnet", "vgg", "repvgg"])
@pytest.mark.parametrize(("floor", "eps"), [(0.997, 8 / 255), (0.99, 16 / 255)])
def test_no_fit_beats_the_bound(name: str, floor: float, eps: float) -> None:
    victim = registry.get("victims", name)()
    classifier = as_art(victim, 1, 48)
    faces = sample(
        registry.get("datasets", "fer2013")(os.environ["PRIEMO_FER2013"], None).split("fit"),
        FACES,
        0,
    )
    x, y = torch.from_numpy(to_float(faces.images)), torch.as_tensor(faces.labels).long()
    right = torch.from_numpy(classifier.predict(x.numpy()).argmax(1)) == y
    x, y = x[right], y[right]
    directions, needs = first_order(victim, x, y, Budget(floor, eps))
    bounds = {"universal": bound(directions, needs), "class": 0.0}
    for k in y.unique():
        own = y == k
        bounds["class"] += bound(directions[own], needs[own]) * float(own.float().mean())
    alone = float((needs <= 1).float().mean())
    print(f"\n{name}, SSIM {floor}, {len(x)} faces: each alone {alone:.3f} to first order")
    for scope, most in bounds.items():
        attack = PriEMO(classifier, scope, ssim_floor=floor, eps=eps, random_state=0, verbose=False)
        attack.fit(x.numpy(), y.numpy())
        assert attack.fooling_rate is not None
        print(f"  {scope}: at most {most:.3f}, fitted {attack.fooling_rate:.3f}")
        assert attack.fooling_rate <= most
