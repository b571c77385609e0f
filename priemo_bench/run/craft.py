"""From a cell to published images: the strength of its attack chosen, its budget met.

Equal quality: every perturbation is scaled, down or up, until its image just meets the budget. An
attack with an eps gets it on the fit split, by its threat model: white-box, the eps that protects
best on its surrogates; transfer, the one that protects best on each surrogate in turn when the
attack is made without it. Other knobs take, image by image, their strongest value that keeps the
budget; an attack that keeps a budget by itself is given it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from priemo_bench import registry
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import ByteImages, FloatImages, publish, to_float
from priemo_bench.contracts.outcomes import hit, protected
from priemo_bench.quality.budget import Budget, match_budget_tensor, publish_scaled
from priemo_bench.run.perturb import (
    Account,
    Request,
    Workplace,
    blocks_of,
    perturbation,
    protected_blocks,
    without,
)

if TYPE_CHECKING:
    from priemo_bench.run.plan import Cell

NAN = float("nan")
Outcomes = npt.NDArray[np.float64]
Pairs = Iterator[tuple[ByteImages, ByteImages]]
"""Blocks of originals and of published images."""


@dataclass
class Crafting(Account):
    """What the images of a cell cost, and how strong they were made.

    Attributes:
        strength: value of the knob, or its mean over images; NaN without a knob.
        scale: of a universal perturbation at one strength for all images; NaN otherwise.
        unchanged: images for which no value of the knob keeps the budget.
    """

    strength: float = NAN
    scale: float = NAN
    unchanged: int = 0
    used: list[float] = field(default_factory=list)


def craft(cell: Cell, place: Workplace, crafting: Crafting) -> Pairs:
    """Protect the test faces of a cell, block by block.

    Args:
        crafting: complete once the last block is there.

    Raises:
        PriemoError: the attack refuses its parameters, or whatever else the attack raises.
    """
    traits: Traits = registry.get("attacks", cell.entry).traits
    faces = place.context.test_faces(cell)
    if cell.has_eps:
        return _with_eps(cell, faces, place, crafting)
    if cell.budget != "conventional" and not traits.budgeted and traits.knob is not None:
        return _with_knob(cell, faces, traits, place, crafting)
    bounds = _bounds(cell) if traits.budgeted and cell.budget != "conventional" else {}
    return (
        (x, publish(changed))
        for x, changed in protected_blocks(Request.of(cell, **bounds), faces, place, crafting)
    )


def budget_of(cell: Cell) -> Budget:
    """What every published image of a cell keeps."""
    return Budget.of(cell.ssim_floor, cell.eps, cell.psnr_floor)


def _bounds(cell: Cell) -> Mapping[str, object]:
    bounds = {"ssim_floor": cell.ssim_floor, "eps": cell.eps}
    return bounds if cell.psnr_floor is None else {**bounds, "psnr_floor": cell.psnr_floor}


def _with_eps(cell: Cell, faces: FaceSet, place: Workplace, crafting: Crafting) -> Pairs:
    """At the eps of the grid that protects best, scaled to the budget afterwards."""
    eps = chosen_eps(cell, place, crafting)
    request = Request.of(cell, eps=eps)
    key = perturbation(request, faces, place, crafting)
    crafting.strength = eps
    if cell.scale == "one":
        with crafting.seconds.of("choose"):
            crafting.scale = _common_scale(request, cell, place)
        crafting.strength = eps * crafting.scale
    return _matched(key, faces, cell, place, crafting)


def _matched(key: str, faces: FaceSet, cell: Cell, place: Workplace, crafting: Crafting) -> Pairs:
    for x, change in _stored(key, faces, place):
        with crafting.seconds.of("match"):
            if cell.scale == "one":
                images = _scaled(x, change, crafting.scale, cell)
            else:
                images = _match(x, change, cell, place)
        yield x, images


def _stored(key: str, faces: FaceSet, place: Workplace) -> Iterator[tuple[ByteImages, FloatImages]]:
    """Blocks of originals and of their perturbations in grey levels."""
    changes = place.store.perturbation(key)
    for rows, change in zip(blocks_of(len(faces)), changes, strict=True):
        yield faces.images[rows], change.astype(np.float32)


def _match(x: ByteImages, change: FloatImages, cell: Cell, place: Workplace) -> ByteImages:
    device = place.context.device
    originals, levels = torch.tensor(x, device=device), torch.tensor(change, device=device)
    images: ByteImages = (
        match_budget_tensor(originals, levels, budget_of(cell), dither=True).cpu().numpy()
    )
    return images


def _scaled(x: ByteImages, change: FloatImages, scale: float, cell: Cell) -> ByteImages:
    changed = np.clip(to_float(x) + change / 255, 0, 1).astype(np.float32)
    return publish_scaled(x, changed, scale, budget_of(cell))


def chosen_eps(cell: Cell, place: Workplace, crafting: Crafting) -> float:
    """The eps of the grid with the best `_selection_score`; the cap where there is no choice."""
    if not cell.has_choice:
        return cell.eps_grid[-1]
    name = f"strength-{place.keys.strength(cell)}"
    known = place.store.facts(name)
    if known is None:
        with crafting.seconds.of("choose"):
            scores = {eps: _selection_score(eps, cell, place) for eps in cell.eps_grid}
        known = {"eps": max(cell.eps_grid, key=scores.__getitem__)}
        place.store.save_facts(name, known)
    return float(known["eps"])


def _selection_score(eps: float, cell: Cell, place: Workplace) -> tuple[float, float]:
    """Success rate on the fit split of what is made at `eps` and meets the budget.

    The second number decides where rates are equal: less the mean probability of the labels, or
    the mean probability of the target.
    """
    outcomes, confidences = [], []
    request = replace(Request.of(cell, eps=eps), seed=cell.first_seed)
    quiet = replace(place, step=lambda done: None)
    for faces, left_out, judges in selection_folds(cell, place):
        key = perturbation(
            without(request, left_out) if left_out else request, faces, quiet, Account()
        )
        images = np.concatenate(
            [_match(x, change, cell, place) for x, change in _stored(key, faces, place)]
        )
        for judge in judges:
            outcome, confidence = _success(judge, faces, images, cell, place)
            outcomes.append(outcome)
            confidences.append(confidence)
    known = np.concatenate(outcomes)
    rate = float(np.nanmean(known)) if not np.isnan(known).all() else 0.0
    return rate, float(np.concatenate(confidences).mean())


def selection_folds(cell: Cell, place: Workplace) -> Iterator[tuple[FaceSet, str, tuple[str, ...]]]:
    """Fit faces, the surrogate left out ("" for none), and the judges of the strength.

    For a transfer row each surrogate is left out in turn, on an equal part of the faces, and
    judges what is made without it; a victim of the table never judges.
    """
    names, faces = cell.surrogates, _selection_faces(cell, place)
    if cell.threat != "transfer" or len(names) == 1:
        yield faces, "", names
        return
    for k, name in enumerate(names[: len(faces)]):
        yield faces.take(np.arange(k, len(faces), len(names))), name, (name,)


def _selection_faces(cell: Cell, place: Workplace) -> FaceSet:
    """Sampled with another seed than the faces of the fit."""
    return place.context.faces(cell.dataset, "fit", cell.select_limit, -1)


def _success(
    judge: str, faces: FaceSet, images: ByteImages, cell: Cell, place: Workplace
) -> tuple[Outcomes, FloatImages]:
    """(n,) outcomes on a judge, NaN where not counted, and (n,) confidences of success."""
    scores = place.context.probabilities(judge, images)
    clean = place.context.predictions([judge], faces)
    if cell.target >= 0:
        target = np.full(len(faces), cell.target)
        outcome = hit(faces.labels, clean, scores.argmax(1), target)
        return outcome, scores[:, cell.target]
    own = scores[np.arange(len(faces)), faces.labels]
    return protected(faces.labels, clean, scores.argmax(1)), -own


def _common_scale(request: Request, cell: Cell, place: Workplace) -> float:
    """The largest scale, by bisection, at which every selection face keeps the budget."""
    faces, budget = _selection_faces(cell, place), budget_of(cell)
    quiet = replace(place, step=lambda done: None)
    key = perturbation(request, faces, quiet, Account())
    pairs = list(_stored(key, faces, place))

    def kept(scale: float) -> bool:
        return all(budget.holds(x, _scaled(x, change, scale, cell)).all() for x, change in pairs)

    eps = float(str(request.params["eps"]))
    low, high = 0.0, (cell.eps or 1.0) / eps
    if kept(high):
        return high
    for _ in range(10):
        between = (low + high) / 2
        low, high = (between, high) if kept(between) else (low, between)
    return low


def _with_knob(
    cell: Cell, faces: FaceSet, traits: Traits, place: Workplace, crafting: Crafting
) -> Pairs:
    """Each face at the strongest value of the knob that keeps the budget; unchanged without one."""
    budget, knob = budget_of(cell), str(traits.knob)
    for rows in blocks_of(len(faces)):
        part = faces.take(np.arange(rows.start, rows.stop))
        published = part.images.copy()
        rest = np.arange(len(part))
        for value in reversed(traits.strengths):
            if len(rest) == 0:
                break
            request = Request.of(cell, **{knob: value})
            for x, changed in protected_blocks(request, part.take(rest), place, crafting):
                with crafting.seconds.of("match"):
                    images = publish(changed)
                    kept = budget.holds(x, images)
                published[rest[kept]] = images[kept]
                crafting.used += [value] * int(kept.sum())
                rest = rest[~kept]
        crafting.unchanged += len(rest)
        yield part.images, published
    crafting.strength = float(np.mean(crafting.used)) if crafting.used else NAN
