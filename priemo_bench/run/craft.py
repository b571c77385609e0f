"""From a cell to published images: the attack made and fitted, and its strength chosen.

Equal quality: every perturbation is scaled, down or up, until its image just meets the budget. An
attack with an eps gets it on the fit split, by its threat model: white-box, the eps that protects
best on its surrogates; transfer, the one that protects best on each surrogate in turn when the
attack is made without it. Other knobs take, image by image, their strongest value that keeps the
budget; an attack that keeps a budget by itself is given it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from priemo_bench import registry
from priemo_bench.contracts.attack import AttackEntry, FittableAttack, make_attack
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, publish, to_float
from priemo_bench.contracts.outcomes import hit, protected
from priemo_bench.contracts.predict import probabilities
from priemo_bench.quality.budget import Budget, match_budget, publish_scaled
from priemo_bench.run.context import RunContext
from priemo_bench.run.plan import Cell, fit_key, has_choice, strength_key
from priemo_bench.run.profiling import Cost, PassCounter

NAN = float("nan")
Params = Mapping[str, object]
Outcomes = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crafted:
    """Published images of a cell, and how they came about.

    Attributes:
        images: (n, c, h, w) uint8.
        crafting: cost of perturbing the test faces; fitting: of the fit before, if any.
        strength: value of the knob, or its mean over images; NaN without a knob.
        scale: of a universal perturbation at one strength for all images; NaN otherwise.
        unchanged: images for which no value of the knob keeps the budget.
    """

    images: ByteImages
    crafting: Cost
    fitting: Cost = field(default_factory=Cost)
    strength: float = NAN
    scale: float = NAN
    unchanged: int = 0


@dataclass(frozen=True)
class ReadyAttack:
    """An attack that is made, and fitted where it can be.

    Attributes:
        generate: images and labels (or targets) to protected images.
        fitting: cost of the fit.
    """

    generate: Callable[[FloatImages, Labels | None], FloatImages]
    fitting: Cost

    def __call__(self, faces: FaceSet, y: Labels | None) -> FloatImages:
        """Protected faces, floats in [0, 1]."""
        return self.generate(to_float(faces.images), y)


@dataclass
class Memo:
    """What cells of one batch have in common (see `plan.batch_key`).

    Attributes:
        strengths: chosen eps by `plan.strength_key`.
        fitted: attacks by `plan.fit_key`.
    """

    strengths: dict[Cell, float] = field(default_factory=dict)
    fitted: dict[Cell, ReadyAttack] = field(default_factory=dict)


def craft(cell: Cell, context: RunContext, memo: Memo | None = None) -> Crafted:
    """Protect the test faces of a cell.

    Args:
        memo: of earlier cells of the same batch.

    Raises:
        PriemoError: the attack refuses its parameters, or whatever else the attack raises.
    """
    traits = _entry(cell).traits
    if cell.budget == "conventional":
        return _at_fixed_settings(cell, context, {})
    if traits.budgeted:
        return _at_fixed_settings(cell, context, _bounds(cell))
    if traits.knob == "eps":
        return _with_eps(cell, context, memo or Memo())
    if traits.knob is not None:
        return _with_knob(cell, context, traits.knob, traits.strengths)
    return _at_fixed_settings(cell, context, {})


def budget_of(cell: Cell) -> Budget:
    """What every published image of a cell keeps."""
    return Budget.of(cell.ssim_floor, cell.eps, cell.psnr_floor)


def _entry(cell: Cell) -> AttackEntry:
    entry: AttackEntry = registry.get("attacks", cell.entry)
    return entry


def _bounds(cell: Cell) -> Params:
    bounds = {"ssim_floor": cell.ssim_floor, "eps": cell.eps}
    return bounds if cell.psnr_floor is None else {**bounds, "psnr_floor": cell.psnr_floor}


def _ready(
    cell: Cell,
    context: RunContext,
    params: Params,
    surrogates: tuple[str, ...] | None = None,
    seed: int | None = None,
) -> ReadyAttack:
    """The attack with the cell's parameters and `params`, fitted on the fit split.

    Args:
        surrogates, seed: those of the cell where None.
    """
    names = cell.surrogates if surrogates is None else surrogates
    seed = cell.seed if seed is None else seed
    classifiers = context.classifiers(cell.entry, names, cell.dataset)
    given = {**cell.params, **params}
    attack = make_attack(_entry(cell), classifiers, given, seed, targeted=cell.target >= 0)
    counter = PassCounter(context.victims[name] for name in cell.surrogates)
    if not hasattr(attack, "fit"):
        return ReadyAttack(attack.generate, counter.cost)
    universal = cast(FittableAttack, attack)
    faces = context.faces(cell.dataset, "fit", cell.fit_limit, seed)
    y = context.labels(cell, faces, names)
    with counter:
        universal.fit(to_float(faces.images), y)
    is_fitted = _entry(cell).traits.is_fitted
    return ReadyAttack(universal.apply if is_fitted else universal.generate, counter.cost)


def _generate(
    attack: ReadyAttack, cell: Cell, context: RunContext, faces: FaceSet
) -> tuple[FloatImages, Cost]:
    """Protected faces, and the cost of making them."""
    y = context.labels(cell, faces)
    with PassCounter(context.victims[name] for name in cell.surrogates) as counter:
        changed = attack(faces, y)
    return changed, counter.cost


def _at_fixed_settings(cell: Cell, context: RunContext, params: Params) -> Crafted:
    attack = _ready(cell, context, params)
    changed, cost = _generate(attack, cell, context, context.test_faces(cell))
    return Crafted(publish(changed), cost, attack.fitting)


def _with_eps(cell: Cell, context: RunContext, memo: Memo) -> Crafted:
    """At the eps of the grid that protects best, scaled to the budget afterwards."""
    eps = _chosen_eps(cell, context, memo)
    key = fit_key(cell)
    if key not in memo.fitted:
        memo.fitted[key] = _ready(cell, context, {"eps": eps})
    attack, faces = memo.fitted[key], context.test_faces(cell)
    changed, cost = _generate(attack, cell, context, faces)
    if cell.scale == "one":
        scale = _common_scale(attack, cell, context, eps)
        images = publish_scaled(faces.images, changed, scale, budget_of(cell))
        return Crafted(images, cost, attack.fitting, strength=eps * scale, scale=scale)
    images = match_budget(faces.images, changed, budget_of(cell), dither=True)
    return Crafted(images, cost, attack.fitting, strength=eps)


def _chosen_eps(cell: Cell, context: RunContext, memo: Memo) -> float:
    """The eps of the grid with the best `_selection_score`; the cap where there is no choice."""
    if not has_choice(cell):
        return cell.eps_grid[-1]
    key = strength_key(cell)
    if key not in memo.strengths:
        scores = {eps: _selection_score(eps, cell, context) for eps in cell.eps_grid}
        memo.strengths[key] = max(cell.eps_grid, key=scores.__getitem__)
    return memo.strengths[key]


def _selection_score(eps: float, cell: Cell, context: RunContext) -> tuple[float, float]:
    """Success rate on the fit split of what is made at `eps` and meets the budget.

    The second number decides where rates are equal: less the mean probability of the labels, or
    the mean probability of the target.
    """
    outcomes, confidences = [], []
    for faces, surrogates, judges in selection_folds(cell, context):
        attack = _ready(cell, context, {"eps": eps}, surrogates, cell.first_seed)
        changed = attack(faces, context.labels(cell, faces, surrogates))
        images = match_budget(faces.images, changed, budget_of(cell), dither=True)
        for judge in judges:
            outcome, confidence = _success(judge, faces, images, cell, context)
            outcomes.append(outcome)
            confidences.append(confidence)
    known = np.concatenate(outcomes)
    rate = float(np.nanmean(known)) if not np.isnan(known).all() else 0.0
    return rate, float(np.concatenate(confidences).mean())


def selection_folds(
    cell: Cell, context: RunContext
) -> Iterator[tuple[FaceSet, tuple[str, ...], tuple[str, ...]]]:
    """Fit faces, the surrogates that the attack has access to, and the judges of its strength.

    For a transfer row each surrogate is left out in turn, on an equal part of the faces, and
    judges what is made without it; a victim of the table never judges.
    """
    names, faces = cell.surrogates, _selection_faces(cell, context)
    if cell.threat != "transfer" or len(names) == 1:
        yield faces, names, names
        return
    for k, name in enumerate(names[: len(faces)]):
        rest = tuple(other for other in names if other != name)
        yield faces.take(np.arange(k, len(faces), len(names))), rest, (name,)


def _selection_faces(cell: Cell, context: RunContext) -> FaceSet:
    """Sampled with another seed than the faces of the fit."""
    return context.faces(cell.dataset, "fit", cell.select_limit, -1)


def _success(
    judge: str, faces: FaceSet, images: ByteImages, cell: Cell, context: RunContext
) -> tuple[Outcomes, FloatImages]:
    """(n,) outcomes on a judge, NaN where not counted, and (n,) confidences of success."""
    scores = probabilities(context.victims[judge], images)
    clean = context.predictions([judge], faces)
    if cell.target >= 0:
        target = np.full(len(faces), cell.target)
        outcome = hit(faces.labels, clean, scores.argmax(1), target)
        return outcome, scores[:, cell.target]
    own = scores[np.arange(len(faces)), faces.labels]
    return protected(faces.labels, clean, scores.argmax(1)), -own


def _common_scale(attack: ReadyAttack, cell: Cell, context: RunContext, eps: float) -> float:
    """The largest scale, by bisection, at which every selection face keeps the budget."""
    faces, budget = _selection_faces(cell, context), budget_of(cell)
    changed = attack(faces, context.labels(cell, faces))

    def kept(scale: float) -> bool:
        images = publish_scaled(faces.images, changed, scale, budget)
        return bool(budget.holds(faces.images, images).all())

    low, high = 0.0, (cell.eps or 1.0) / eps
    if kept(high):
        return high
    for _ in range(10):
        between = (low + high) / 2
        low, high = (between, high) if kept(between) else (low, between)
    return low


def _with_knob(cell: Cell, context: RunContext, knob: str, strengths: Sequence[float]) -> Crafted:
    """Each face at the strongest value of the knob that keeps the budget; unchanged without one."""
    faces, budget = context.test_faces(cell), budget_of(cell)
    published = faces.images.copy()
    rest = np.arange(len(faces))
    crafting, fitting = Cost(), Cost()
    used: list[float] = []
    for value in reversed(strengths):
        if len(rest) == 0:
            break
        part = faces.take(rest)
        attack = _ready(cell, context, {knob: value})
        changed, cost = _generate(attack, cell, context, part)
        crafting, fitting = crafting + cost, attack.fitting
        images = publish(changed)
        kept = budget.holds(part.images, images)
        published[rest[kept]] = images[kept]
        used += [value] * int(kept.sum())
        rest = rest[~kept]
    strength = float(np.mean(used)) if used else NAN
    return Crafted(published, crafting, fitting, strength, unchanged=len(rest))
