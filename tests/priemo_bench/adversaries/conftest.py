"""A study of toys, with every adversary; purifier and detectors are stand-ins that take no time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from priemo_bench.adversaries.study import Study
from priemo_bench.testing import ToyVictim


class TrainableToy(ToyVictim):
    """A toy that takes the arguments of a spec, with random weights."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(0)
        torch.nn.init.normal_(self.last.weight, std=options.get("spread", 0.1))


class ToyEntry:
    """Entry point of a victim that is trained here."""

    spec = SimpleNamespace(model={"options": {"spread": 0.2}})

    def build(self) -> TrainableToy:
        return TrainableToy({})

    def __call__(self) -> ToyVictim:
        return ToyVictim(0)


class Blur:
    """A purifier that has learnt to do nothing."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x / 255).astype(np.float32)


class Mean:
    """A detector: the brightness of an image."""

    def __init__(self, predict: Any = None) -> None: ...

    @classmethod
    def fitted(cls, clean: np.ndarray, protected: np.ndarray, seed: int = 0) -> Mean:
        return cls()

    def scores(self, images: np.ndarray) -> np.ndarray:
        return images.mean((1, 2, 3))


STUDY: dict[str, Any] = {
    "name": "toys",
    "dataset": {"name": "toys", "limit": 14},
    "surrogates": ["toy-a"],
    "victims": ["toy-a"],
    "newer": ["toy-b"],
    "fit_limit": 14,
    "averaging": {"amounts": [1, 20]},
    "retraining": {
        "victim": "toy-net", "faces": 30, "epochs": 1, "batch": 8, "shares": [0.1, 1.0],
        "tuned": ["toy-a"], "tuned_faces": 16, "tuned_epochs": 1,
    },
    "purifying": {"pairs": [20, 5000], "other_pairs": 10},
    "detecting": {"pairs": 20, "held": 14},
    "attacks": [
        {
            "name": "shared", "ssim_floor": 0.3, "eps": 0.3, "seen": 30,
            "adversaries": [
                "reading", "cost", "averaging", "leak", "retraining", "tuning", "purifier",
                "detector",
            ],
            "purified_from": ["gradient"],
        },
        {
            "name": "gradient", "ssim_floor": 0.8, "eps": 0.2, "seen": 20,
            "adversaries": ["reading", "adaptive"],
        },
        {
            "name": "blur", "ssim_floor": "none", "eps": "none", "seen": 30,
            "adversaries": ["reading", "retraining"],
        },
    ],
}  # fmt: skip


@pytest.fixture
def study(world: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Study:
    world["victims"]["toy-net"] = SimpleNamespace(name="toy-net", load=ToyEntry)
    from priemo_bench import registry

    known = registry.get

    def get(kind: str, name: str) -> Any:
        return ToyEntry() if (kind, name) == ("victims", "toy-net") else known(kind, name)

    monkeypatch.setattr(registry, "get", get)
    fake = "priemo_bench.adversaries.{}"
    monkeypatch.setattr(fake.format("purifier.fitted"), lambda clean, protected, seed: Blur())
    for name in ("Squeezing", "ResidualEnergy", "LearnedDetector"):
        monkeypatch.setattr(fake.format(f"detectors.{name}"), Mean)
    return Study(**STUDY)


@pytest.fixture
def values() -> dict[str, Any]:
    """Keys and values of the study."""
    return STUDY


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
