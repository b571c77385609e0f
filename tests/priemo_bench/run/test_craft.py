"""How strong an attack is made: by what the row asks, on fit faces, with all of its budget used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from priemo_bench.benchmark import Benchmark
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.run import craft as module
from priemo_bench.run.context import RunContext
from priemo_bench.run.craft import Memo, craft, selection_folds
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
    _, context = spied(world, surrogates=[["toy-a", "toy-b"]], select_limit=10)
    cell = cells(context.spec)[0]
    (faces, surrogates, judges) = next(selection_folds(cell, context))
    assert (len(faces), surrogates, judges) == (10, ("toy-a", "toy-b"), ("toy-a", "toy-b"))
    assert faces.split == "fit"
    crafted = craft(cell, context)
    assert [(n, eps) for _, n, eps in Spy.seen] == [
        (10, 0.02),
        (10, 0.05),
        (10, 0.1),
        (28, crafted.strength),
    ]


def test_a_transfer_row_is_chosen_by_surrogates_left_out_never_by_a_victim(world: Any) -> None:
    """Each face is attacked without one surrogate, which judges it; all are left out in turn."""
    _, context = spied(world, surrogates=[["toy-b", "toy-c"]], select_limit=11)
    cell = cells(context.spec)[0]
    assert cell.threat == "transfer"
    trials = list(selection_folds(cell, context))
    assert [(surrogates, judges) for _, surrogates, judges in trials] == [
        (("toy-c",), ("toy-b",)), (("toy-b",), ("toy-c",))
    ]  # fmt: skip
    ids = np.concatenate([faces.ids for faces, _, _ in trials])
    assert len(ids) == len(set(ids)) == 11
    craft(cell, context)
    victim, own = id(context.victims["toy-a"]), [id(context.victims[n]) for n in ("toy-b", "toy-c")]
    assert all(victim not in models for models, _, _ in Spy.seen)
    assert [models for models, _, _ in Spy.seen[:2]] == [(own[1],), (own[0],)]
    assert Spy.seen[-1][0] == tuple(own)


def test_the_eps_that_protects_most_is_taken(world: Any, monkeypatch: Any) -> None:
    _, context = spied(world, surrogates=["toy-a"])
    rates = {0.02: (0.5, 0.1), 0.05: (0.5, 0.3), 0.1: (0.4, 0.9)}
    cell, memo = cells(context.spec)[0], Memo()
    monkeypatch.setattr(module, "_selection_score", lambda eps, *_: rates[eps])
    assert craft(cell, context, memo).strength == 0.05  # at equal rates the higher confidence
    monkeypatch.setattr(module, "_selection_score", lambda eps, *_: (0, 0))
    assert craft(cell, context, memo).strength == 0.05  # chosen once
    assert craft(cell, context, Memo()).strength == 0.02


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("together", [False, True])
def test_passes_of_the_fit_and_of_each_image_are_counted_apart(together: bool) -> None:
    """28 faces, seven steps of one forward and one backward pass, and the passes documented."""
    params = {"steps": 7, "restarts": 0}
    attack = {"name": "priemo-image", "budgets": ["equal"], "params": params}
    names = ("toy-a", "toy-b") if together else "toy-a"
    spec = parse(
        {"datasets": [{"name": "toys"}], "victims": ["toy-a"], "surrogates": [names],
         "attacks": [attack], "ssim_floor": 0.9}
    )  # fmt: skip
    crafted = craft(cells(spec)[0], RunContext(spec))
    models = 1 + together
    assert (crafted.fitting.forwards, crafted.fitting.backwards) == (42 * models, 0)
    assert crafted.crafting.backwards == 7 * 28 * models
    assert crafted.crafting.forwards == (7 + 1) * 28 * models


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
