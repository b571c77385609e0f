"""How strong an attack is made: by what the row asks, on fit faces, with all of its budget used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from priemo_bench.benchmark import Benchmark
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.run import craft as module
from priemo_bench.run.context import RunContext
from priemo_bench.run.craft import Crafting, craft, selection_folds
from priemo_bench.run.keys import Keys
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell, cells
from priemo_bench.run.spec import Spec, parse
from priemo_bench.run.store import Store


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


def place_of(spec: Spec, out: Path) -> Workplace:
    context = RunContext(spec)
    return Workplace(context, Keys(context), Store(out))


def crafted(cell: Cell, place: Workplace) -> Crafting:
    """How the images of a cell came about."""
    crafting = Crafting()
    list(craft(cell, place, crafting))
    return crafting


def spied(world: Any, out: Path, **more: Any) -> tuple[Cell, Workplace]:
    world["attacks"]["spy"] = type(world["attacks"]["shift"])("spy", Spy)
    Spy.seen.clear()
    values = {
        "datasets": [{"name": "toys"}], "victims": ["toy-a"], "ssim_floor": 0.9, "eps": 0.1,
        "eps_grid": [0.02, 0.05], "attacks": [{"name": "spy", "budgets": ["equal"]}],
    }  # fmt: skip
    spec = parse({**values, **more})
    return cells(spec)[0], place_of(spec, out)


def test_a_white_box_row_is_chosen_by_all_its_surrogates(world: Any, tmp_path: Path) -> None:
    cell, place = spied(world, tmp_path, surrogates=[["toy-a", "toy-b"]], select_limit=10)
    (faces, left_out, judges) = next(selection_folds(cell, place))
    assert (len(faces), left_out, judges) == (10, "", ("toy-a", "toy-b"))
    assert faces.split == "fit"
    strength = crafted(cell, place).strength
    tried = [(10, 0.02), (10, 0.05), (10, 0.1), (28, strength)]
    assert [(n, eps) for _, n, eps in Spy.seen] == tried


def test_a_perturbation_is_made_once_for_all_floors(world: Any, tmp_path: Path) -> None:
    """Other floors need no attack but at another strength; each image meets its own."""
    cell, place = spied(world, tmp_path, surrogates=["toy-a"], select_limit=10)
    crafted(cell, place)
    seen = len(Spy.seen)
    for floor in (0.8, 0.95):
        strength = crafted(replace(cell, ssim_floor=floor), place).strength
        assert strength in (0.02, 0.05, 0.1)
    more = Spy.seen[seen:]
    assert len(more) <= 2
    assert all(n == 28 for _, n, _ in more)  # the test faces at a strength not chosen before


def test_a_transfer_row_is_chosen_by_surrogates_left_out_never_by_a_victim(
    world: Any, tmp_path: Path
) -> None:
    """Each face is attacked without one surrogate, which judges it; all are left out in turn."""
    cell, place = spied(world, tmp_path, surrogates=[["toy-b", "toy-c"]], select_limit=11)
    assert cell.threat == "transfer"
    trials = list(selection_folds(cell, place))
    assert [(left_out, judges) for _, left_out, judges in trials] == [
        ("toy-b", ("toy-b",)), ("toy-c", ("toy-c",))
    ]  # fmt: skip
    ids = np.concatenate([faces.ids for faces, _, _ in trials])
    assert len(ids) == len(set(ids)) == 11
    crafted(cell, place)
    models = place.context.victims
    victim, own = id(models["toy-a"]), [id(models[n]) for n in ("toy-b", "toy-c")]
    assert all(victim not in models for models, _, _ in Spy.seen)
    assert [models for models, _, _ in Spy.seen[:2]] == [(own[1],), (own[0],)]
    assert Spy.seen[-1][0] == tuple(own)


def test_the_eps_that_protects_most_is_taken(world: Any, tmp_path: Path, monkeypatch: Any) -> None:
    cell, place = spied(world, tmp_path / "a", surrogates=["toy-a"])
    rates = {0.02: (0.5, 0.1), 0.05: (0.5, 0.3), 0.1: (0.4, 0.9)}
    monkeypatch.setattr(module, "_selection_score", lambda eps, *_: rates[eps])
    assert crafted(cell, place).strength == 0.05  # at equal rates the higher confidence
    monkeypatch.setattr(module, "_selection_score", lambda eps, *_: (0, 0))
    assert crafted(cell, place).strength == 0.05  # chosen once
    assert crafted(cell, place_of(place.context.spec, tmp_path / "b")).strength == 0.02


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("together", [False, True])
def test_passes_of_the_fit_and_of_each_image_are_counted_apart(
    together: bool, tmp_path: Path
) -> None:
    """28 faces, seven steps of one forward and one backward pass, and the passes documented."""
    params = {"steps": 7, "restarts": 0}
    attack = {"name": "priemo-image", "budgets": ["equal"], "params": params}
    names = ("toy-a", "toy-b") if together else "toy-a"
    spec = parse(
        {"datasets": [{"name": "toys"}], "victims": ["toy-a"], "surrogates": [names],
         "attacks": [attack], "ssim_floor": 0.9}
    )  # fmt: skip
    crafting = crafted(cells(spec)[0], place_of(spec, tmp_path))
    models = 1 + together
    assert (crafting.fitting.forwards, crafting.fitting.backwards) == (42 * models, 0)
    assert crafting.crafting.backwards == 7 * 28 * models
    assert crafting.crafting.forwards == (7 + 1) * 28 * models


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
