"""How strong an attack is made: by what the row asks, on fit faces, with all of its budget used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from priemo_bench.benchmark import Benchmark
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.run.context import RunContext
from priemo_bench.run.craft import Bench
from priemo_bench.run.plan import cells
from priemo_bench.run.spec import Spec, parse


class Spy:
    """Adds a sign pattern of size eps, and notes the models and faces it was shown."""

    traits = Traits("per-image", "image", "many", knob="eps", strengths=(0.1,))
    seen: list[tuple[tuple[int, ...], int, float]] = []

    def __init__(self, classifier: Any, eps: float = 0.03, surrogates: Any = ()) -> None:
        self.models = tuple(id(c.model) for c in (classifier, *surrogates))
        self.eps = eps

    def generate(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        Spy.seen.append((self.models, len(x), self.eps))
        signs = np.sign(np.random.default_rng(0).normal(size=x.shape[1:]))
        return np.clip(x + self.eps * signs, 0, 1).astype(np.float32)


def spied(world: Any, **more: Any) -> tuple[Spec, RunContext]:
    world["attacks"]["spy"] = type(world["attacks"]["shift"])("spy", Spy)
    Spy.seen.clear()
    values = {
        "datasets": [{"name": "toys"}], "victims": ["toy-a"], "ssim_floor": 0.9, "eps": 0.1,
        "eps_grid": [0.02, 0.05], "attacks": [{"name": "spy", "budgets": ["equal"]}],
    }  # fmt: skip
    spec = parse({**values, **more})
    return spec, RunContext(spec)


def test_a_white_box_row_is_chosen_by_all_its_surrogates(world: Any) -> None:
    _, lab = spied(world, surrogates=[["toy-a", "toy-b"]], select_limit=10)
    bench = Bench(cells(lab.spec)[0], lab)
    (faces, looked, judges) = next(iter(bench._trials()))
    assert (len(faces), looked, judges) == (10, ("toy-a", "toy-b"), ("toy-a", "toy-b"))
    assert faces.split == "fit"
    bench.run(lab.faces("toys", "test", None, 0))
    assert [(n, eps) for _, n, eps in Spy.seen] == [
        (10, 0.02),
        (10, 0.05),
        (10, 0.1),
        (28, bench.strength),
    ]


def test_a_transfer_row_is_chosen_by_surrogates_left_out_never_by_a_victim(world: Any) -> None:
    """Each face is attacked without one surrogate, which judges it; all are left out in turn."""
    _, lab = spied(world, surrogates=[["toy-b", "toy-c"]], select_limit=11)
    cell = cells(lab.spec)[0]
    assert cell.threat == "transfer"
    bench = Bench(cell, lab)
    trials = list(bench._trials())
    assert [(looked, judges) for _, looked, judges in trials] == [
        (("toy-c",), ("toy-b",)), (("toy-b",), ("toy-c",))
    ]  # fmt: skip
    ids = np.concatenate([faces.ids for faces, _, _ in trials])
    assert len(ids) == len(set(ids)) == 11
    bench.run(lab.faces("toys", "test", None, 0))
    victim, own = id(lab.victims["toy-a"]), [id(lab.victims[n]) for n in ("toy-b", "toy-c")]
    assert all(victim not in models for models, _, _ in Spy.seen)
    assert [models for models, _, _ in Spy.seen[:2]] == [(own[1],), (own[0],)]
    assert Spy.seen[-1][0] == tuple(own)


def test_the_eps_that_protects_most_is_taken(world: Any, monkeypatch: Any) -> None:
    _, lab = spied(world, surrogates=["toy-a"])
    rates = {0.02: (0.5, 0.1), 0.05: (0.5, 0.3), 0.1: (0.4, 0.9)}
    monkeypatch.setattr(Bench, "_answer", lambda self, eps: rates[eps])
    bench = Bench(cells(lab.spec)[0], lab)
    assert bench._chosen() == 0.05  # of equal rates the one that is closer to more
    monkeypatch.setattr(Bench, "_answer", lambda self, eps: (0, 0))
    assert Bench(cells(lab.spec)[0], lab)._chosen() == 0.05  # chosen once


@pytest.mark.usefixtures("world")
def test_every_attack_uses_its_whole_budget_under_both_measures(tmp_path: Path) -> None:
    """Gradient, shared, noise and Pri-EMO, from an eps far below the floor and one above it."""
    attacks = [{"name": n, "budgets": ["equal", "equal-psnr"], "one_strength": False}
               for n in ("gradient", "shared", "noise", "priemo-image")]  # fmt: skip
    spec = parse(
        {
            "datasets": [{"name": "toys"}], "victims": ["toy-a"], "attacks": attacks,
            "ssim_floor": 0.9, "psnr_floor": 30, "eps": 0.2, "eps_grid": [0.004],
        }
    )  # fmt: skip
    board = Benchmark(spec, out=tmp_path).run().leaderboard()
    assert len(board) == 8
    assert board["within_budget"].all()
    assert (board["budget_used"] > 0.97).all()
    assert (board["on_floor"] > 0.8).all()
    assert board["rank"].notna().all()
