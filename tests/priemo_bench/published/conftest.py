"""A run of the rendered benchmark with predictions of chance, and a submission of it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench import load_dataset
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.rows import Rows
from priemo_bench.data.sampling import sample
from priemo_bench.published.benchmarks import Definition, benchmark
from priemo_bench.published.submission import Submission
from priemo_bench.published.submitting import submit

NAME = "priemo-bench-rendered-v1"
ATTACKS = {"pgd": "vgg", "noise": "-"}
"""To what it has access to."""


def cell(found: Definition, faces: FaceSet, attack: str, budget: str, seed: int) -> pd.DataFrame:
    """Rows of an attack that every victim predicts, and vgg also under every filter."""
    rng = np.random.default_rng([seed, len(attack), len(budget)])
    surrogate, n, parts = ATTACKS[attack], len(faces), []
    bounds = found.bounds()[budget]
    images = {
        "image": faces.ids, "person": faces.persons, "label": faces.labels,
        "ssim": bounds.ssim_floor + rng.uniform(0, 0.001, n), "ssim_full": bounds.ssim_floor,
        "psnr": rng.uniform(40, 50, n), "linf": rng.integers(1, 8, n) / 255,
        "dataset": faces.name, "budget": budget, "attack": attack, "family": "per-image",
        "scope": "image", "scale": "-", "surrogate": surrogate, "target": "-",
        "target_label": -1, "seed": seed,
    }  # fmt: skip
    for victim in found.victims:
        for defense in found.defenses if victim == "vgg" else ("none",):
            own = np.random.default_rng([len(victim), len(defense)])
            clean = np.where(own.random(n) < 0.1, own.integers(0, 7, n), faces.labels)
            moved = np.where(rng.random(n) < 0.6, rng.integers(0, 7, n), faces.labels)
            predictions = {"clean": clean, "prediction": moved}
            parts.append(
                pd.DataFrame({**images, **predictions, "victim": victim, "defense": defense})
            )
    return pd.concat(parts)


def rows_of(found: Definition, faces: FaceSet) -> Rows:
    keys = [
        (attack, budget, seed)
        for attack in ATTACKS
        for budget in (("equal", "equal-0.98") if attack == "noise" else ("equal",))
        for seed in (0, 1)
    ]
    frame = pd.concat([cell(found, faces, *key) for key in keys], ignore_index=True)
    text = ["dataset", "budget", "attack", "family", "scope", "scale", "surrogate", "target"]
    cells: list[dict[str, Any]] = [
        {**dict(zip(text, (faces.name, b, a, "per-image", "image", "-", ATTACKS[a], "-"),
                    strict=True)), "seed": s, "status": "done", "ms_per_image": 1.5}
        for a, b, s in keys
    ]  # fmt: skip
    pictures = {
        str(name): sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:8]
        for name, image in zip(faces.ids, faces.images, strict=True)
    }
    names = [*text, "defense", "victim", "image", "person"]
    frame = frame.astype(dict.fromkeys(names, "str")).astype(
        dict.fromkeys(["label", "clean", "prediction", "target_label"], "int8")
    )
    return Rows(
        frame,
        {
            "cells": cells,
            **found.bounds()["equal"]._asdict(),
            "budgets": {name: own._asdict() for name, own in found.bounds().items()},
            "data": {faces.name: {"pictures": pictures}},
            "victims": {name: {"sha256": digest} for name, digest in found.victims.items()},
            "versions": {"priemo-bench": "0"}, "command": "priemo-bench run", "spec": "",
        },
    )  # fmt: skip


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run."""
    found = benchmark(NAME)
    faces = sample(load_dataset(found.data.name).split("test"), found.data.limit)
    folder = tmp_path_factory.mktemp("run")
    rows_of(found, faces).save(folder / "results.parquet")
    return folder


@pytest.fixture(scope="session")
def handed_in(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a submission."""
    out = tmp_path_factory.mktemp("submissions")
    submit(
        run, out, name="two-attacks", authors=("A. Person", "B. Person"),
        link="https://example.org/code",
    )  # fmt: skip
    return out / "two-attacks.json"


@pytest.fixture
def made(handed_in: Path) -> Submission:
    return Submission.read(handed_in)
