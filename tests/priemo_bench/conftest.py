"""Toy faces, toy victims and hand-made attacks, all registered under short names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from priemo_bench import registry
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.testing import ToyVictim, toy_faces


@dataclass
class ToyFaces:
    """28 test and 42 fit faces of one channel, each person shown twice."""

    data: Path | None = None
    size: int | None = None
    name: str = "toys"

    def split(self, split: Split) -> FaceSet:
        n = 28 if split == "test" else 42
        x, y = toy_faces(n, size=self.size or 32, seed=1 if split == "test" else 2)
        ids = np.array([f"{split}{i:03}" for i in range(n)])
        persons = np.array([f"{split}-person{i // 2}" for i in range(n)])
        return FaceSet("toys", split, np.rint(x * 255).astype(np.uint8), y, ids, persons)


class Shift:
    """Adds eps to every pixel."""

    traits = Traits("control", knob="eps", strengths=(0.5,))

    def __init__(self, classifier: Any = None, eps: float = 0.01) -> None:
        self.eps = eps

    def generate(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        return np.clip(x + np.float32(self.eps), 0, 1)


class Gradient:
    """FGSM: one step along the sign of the gradient."""

    traits = Traits("per-image", "image", "many", targeted=True, knob="eps", strengths=(0.1,))

    def __init__(
        self, classifier: Any, eps: float = 0.03, targeted: bool = False, surrogates: Any = ()
    ) -> None:
        self.classifier, self.eps, self.targeted = classifier, eps, targeted

    def generate(self, x: FloatImages, y: Labels) -> FloatImages:
        step = np.sign(self.classifier.loss_gradient(x, np.eye(7, dtype=np.float32)[y]))
        return np.clip(x + (-1 if self.targeted else 1) * self.eps * step, 0, 1).astype(np.float32)


class Shared(Gradient):
    """One perturbation for all faces: the sign of the mean gradient over the fit faces."""

    traits = Traits("universal", "universal", "one", targeted=True, knob="eps", strengths=(0.1,))

    def fit(self, x: FloatImages, y: Labels) -> Shared:
        gradient = self.classifier.loss_gradient(x, np.eye(7, dtype=np.float32)[y])
        self.noise = self.eps * np.sign(gradient.mean(0)).astype(np.float32)
        return self

    def apply(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        return np.clip(x + self.noise, 0, 1)


class Failing(Shift):
    """Always fails."""

    def generate(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        raise RuntimeError("out of\nluck")


@dataclass
class Point:
    """As much of an entry point as the registry needs."""

    name: str
    thing: Any

    def load(self) -> Any:
        return self.thing


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Point]]:
    """Registers the toys beside the installed entry points; tests may add to what is returned."""
    kinds = {kind: dict(registry._points(kind)) for kind in registry.GROUPS}

    def add(kind: str, name: str, thing: Any) -> None:
        kinds[kind][name] = Point(name, thing)

    add("datasets", "toys", ToyFaces)
    add("victims", "toy-a", partial(ToyVictim, 0))
    add("victims", "toy-b", partial(ToyVictim, 1))
    add("victims", "toy-c", partial(ToyVictim, 2))
    add("attacks", "shift", Shift)
    add("attacks", "gradient", Gradient)
    add("attacks", "shared", Shared)
    add("attacks", "broken", Failing)
    monkeypatch.setattr(registry, "_points", kinds.__getitem__)
    return kinds
