"""Pri-EMO's universal scope against ART's UniversalPerturbation: same data, eps and victim.

ART's runs through this project's adapter (`uap`: DeepFool inside, `uap-pgd`), 3 passes.

    pytest -m slow -s tests/benchmarks/test_universal.py

prints held-out protection, seconds and pass counts of both; the assertion is on protection. Beside
it: what it costs to use a fitted perturbation, as ratios within one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from priemo_bench import registry
from priemo_bench.attacks.priemo import PriEMO
from priemo_bench.contracts.image import publish, to_float
from priemo_bench.contracts.victim import as_art
from priemo_bench.run.profiling import PassCounter

EPS = 8 / 255


@dataclass
class Arena:
    """One embedded victim with its correctly read rendered faces, 64x64."""

    victim: torch.nn.Module
    classifier: Any
    fit: np.ndarray
    test: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module")
def arena() -> Arena:
    victim = registry.get("victims", "resnet")()
    faces = registry.get("datasets", "rendered")(None, 64)
    classifier = as_art(victim, 3, 64)
    fit, test = faces.split("fit"), faces.split("test")
    x = to_float(test.images)
    read = classifier.predict(x).argmax(1)
    right = read == test.labels
    fit_x = to_float(fit.images)
    return Arena(victim, classifier, fit_x[:100], x[right], read[right])


def measure(arena: Arena, name: str, run: Callable[[], np.ndarray]) -> float:
    """Held-out protection rate of `run`, with seconds and passes printed."""
    with PassCounter([arena.victim]) as passes:
        start = time.perf_counter()
        noise = run()
        seconds = time.perf_counter() - start
    published = to_float(publish(np.clip(arena.test + noise, 0, 1)))
    rate = float((arena.classifier.predict(published).argmax(1) != arena.labels).mean())
    print(
        f"\n{name:12s} protection {rate:.3f} on {len(arena.labels)} held-out faces, "
        f"fit {seconds:.1f} s, {passes.forwards} forward and {passes.backwards} backward images"
    )
    return rate


def priemo(arena: Arena) -> np.ndarray:
    attack = PriEMO(
        arena.classifier, "universal", ssim_floor=None, eps=EPS, random_state=0, verbose=False
    )
    noise = attack.fit(arena.fit).noise
    assert noise is not None
    return noise


def art(arena: Arena, entry: str) -> np.ndarray:
    attack = registry.get("attacks", entry)(arena.classifier, eps=EPS, max_iter=3, random_state=0)
    noise = attack.fit(arena.fit).noise
    assert noise is not None
    return np.asarray(noise)


@pytest.mark.slow
@pytest.mark.parametrize("entry", ["uap", "uap-pgd"])
def test_higher_held_out_protection_than_art(arena: Arena, entry: str) -> None:
    ours = measure(arena, "Pri-EMO", lambda: priemo(arena))
    theirs = measure(arena, f"ART {entry}", lambda: art(arena, entry))
    assert ours > theirs


def best(act: Callable[[], object], times: int = 7) -> float:
    """Shortest of some runs, in seconds, after one to warm up."""
    act()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["universal", "class"])
def test_to_fit_takes_no_more_than_thirty_passes(arena: Arena, scope: Any) -> None:
    """On 1,000 faces, against 30 forward and backward passes over them."""
    x = np.concatenate([arena.fit, arena.test] * 10)[:1000]

    def one_pass() -> None:
        for part in torch.from_numpy(x).split(128):
            seen = part.clone().requires_grad_()
            torch.autograd.grad(arena.victim(seen).logsumexp(1).sum(), seen)

    attack = PriEMO(arena.classifier, scope, random_state=0, verbose=False)
    passes = best(lambda: attack.fit(x), 1) / best(one_pass, 3)
    print(f"\nfitting scope {scope} takes the time of {passes:.1f} passes")
    assert passes <= 30


@pytest.mark.slow
def test_to_apply_is_to_add_and_clip(arena: Arena) -> None:
    """Without an SSIM floor, against add, clip and round of the same array."""
    attack = PriEMO(arena.classifier, "universal", ssim_floor=None, steps=1, verbose=False)
    noise = attack.fit(arena.fit).noise
    x = np.concatenate([arena.test] * 5)
    plain = best(lambda: (np.clip(x + noise, 0, 1) * 255).round().astype(np.uint8))
    ratio = best(lambda: attack.apply(x)) / plain
    print(f"\napply takes {ratio:.2f} of a plain add, clip and round")
    assert ratio <= 2


@pytest.mark.slow
def test_the_generator_is_cheaper_than_pgd(arena: Arena) -> None:
    """With the SSIM floor, against ten steps of PGD."""
    attack = PriEMO(arena.classifier, "generator", steps=1, verbose=False).fit(arena.fit)
    pgd = registry.get("attacks", "pgd")(arena.classifier, max_iter=10)
    x = arena.test[:64]
    ratio = best(lambda: pgd.generate(x), 3) / best(lambda: attack.apply(x), 3)
    print(f"\nPGD-10 takes {ratio:.1f} times the generator")
    assert ratio >= 5
