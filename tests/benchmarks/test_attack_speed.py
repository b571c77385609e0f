"""What attacks cost beside the passes they need, as ratios within one run.

    pytest -m slow -s tests/benchmarks/test_attack_speed.py

Each is compared with ten steps of PGD written down in torch, on the same victim and faces. Times
are processor seconds of one thread, the least of several rounds that take turns, so that what else
the machine does hardly matters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from torch.nn.functional import cross_entropy

from priemo_bench import registry
from priemo_bench.attacks.art_adapter import ArtAttack
from priemo_bench.attacks.priemo import ImagePriEMO
from priemo_bench.attacks.torchattacks_adapter import TorchAttack
from priemo_bench.contracts.image import to_float
from priemo_bench.contracts.victim import as_art

pytestmark = pytest.mark.slow

STEPS, EPS, BATCH = 10, 8 / 255, 128
ROUNDS = 4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def classifier() -> Any:
    return as_art(registry.get("victims", "resnet")(), 3, 112)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return to_float(registry.get("datasets", "rendered")().split("fit").images[:BATCH])


@pytest.fixture(scope="module")
def y(classifier: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(classifier.predict(x).argmax(1))


def bare_pgd(model: torch.nn.Module, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Madry et al. 2018 without random start, and without anything else."""
    start, labels = torch.from_numpy(x), torch.from_numpy(y)
    now = start.clone()
    for _ in range(STEPS):
        now.requires_grad_()
        loss = cross_entropy(model(now), labels)
        (gradient,) = torch.autograd.grad(loss, now)
        moved = now.detach() + EPS / 4 * gradient.sign()
        now = (start + (moved - start).clamp(-EPS, EPS)).clamp(0, 1)
    return now.numpy()


def seconds(ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Least processor seconds of each, in turns; printed as ratios to the first."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    least = {name: min(found) for name, found in times.items()}
    first = next(iter(least.values()))
    print("\n" + ", ".join(f"{name} {value / first:.2f}" for name, value in least.items()))
    return {name: value / first for name, value in least.items()}


def test_scope_image_costs_at_most_two_bare_loops(
    classifier: Any, x: np.ndarray, y: np.ndarray
) -> None:
    def attack(floor: float | None) -> Callable[[], object]:
        made = ImagePriEMO(
            classifier, ssim_floor=floor, eps=EPS, steps=STEPS, restarts=0, verbose=False
        )
        made.fit(x, y)
        return lambda: made.generate(x, y)

    ratios = seconds({
        "bare": lambda: bare_pgd(classifier.model, x, y),
        "scope image": attack(0.997),
        "without a floor": attack(None),
    })  # fmt: skip
    assert ratios["scope image"] <= 2.0
    assert ratios["without a floor"] <= 1.2


def test_pgd_through_the_adapter_costs_what_a_bare_loop_does(
    classifier: Any, x: np.ndarray, y: np.ndarray
) -> None:
    pytest.importorskip("torchattacks")
    one_hot = np.eye(7, dtype=np.float32)[y]
    own = ProjectedGradientDescent(
        classifier, eps=EPS, eps_step=EPS / 4, max_iter=STEPS, batch_size=BATCH, verbose=False
    )
    adapted = ArtAttack(classifier, eps=EPS, max_iter=STEPS, batch_size=BATCH)
    other = TorchAttack(classifier, eps=EPS, steps=STEPS, batch_size=BATCH)
    ratios = seconds({
        "bare": lambda: bare_pgd(classifier.model, x, y),
        "adapter": lambda: adapted.generate(x, y),
        "ART": lambda: own.generate(x, one_hot),
        "torchattacks": lambda: other.generate(x, y),
    })  # fmt: skip
    assert ratios["adapter"] <= 1.05
