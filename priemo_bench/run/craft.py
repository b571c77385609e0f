"""From an attack to published images: building it, fitting it, and how strong it may be.

Equal quality: every perturbation is scaled, down or up, until its image lands on the budget. The
eps at which it is computed is chosen by the question that the row answers, on the fit split: as its
surrogates read what is published or, where the row is about victims it does not look into, as each
surrogate in turn reads what was made without it. Other knobs take, image by image, their strongest
value that holds; an attack that keeps the budget by itself is told it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.attack import FITTED_SCOPES, Traits, make_attack
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, publish, to_float
from priemo_bench.contracts.outcomes import hit, protected
from priemo_bench.contracts.predict import probabilities
from priemo_bench.quality.budget import Budget, match_budget, publish_scaled
from priemo_bench.run.context import RunContext
from priemo_bench.run.plan import Cell, chosen_as, has_choice, made_as
from priemo_bench.run.profiling import PassCounter


@dataclass
class Made:
    """An attack ready for use: built, and fitted where it learns."""

    attack: Any
    shared: bool

    def __call__(self, faces: FaceSet, y: Labels | None) -> FloatImages:
        """Protected faces, floats in [0, 1]."""
        run = self.attack.apply if self.shared else self.attack.generate
        result: FloatImages = run(to_float(faces.images), y)
        return result


class Bench:
    """One cell at work.

    Attributes:
        fitting, using: cost of the final fit, and of protecting the test faces.
        strength: value of the knob, or its mean over images.
        factor: by which a perturbation at one strength for all faces was scaled; NaN otherwise.
    """

    def __init__(self, cell: Cell, lab: RunContext) -> None:
        self.cell, self.lab = cell, lab
        self.entry = registry.get("attacks", cell.entry)
        self.traits: Traits = self.entry.traits
        self.models: list[nn.Module] = [lab.victims[name] for name in cell.surrogates]
        self.fitting, self.using = PassCounter(self.models), PassCounter(self.models)
        self.budget = Budget.of(cell.ssim_floor, cell.eps, cell.psnr_floor)
        self.strength = self.factor = float("nan")
        self.unchanged = 0

    def run(self, faces: FaceSet) -> ByteImages:
        """The faces as published."""
        if self.cell.budget == "conventional":
            return publish(self._use(self._make({}), faces))
        if self.traits.budgeted:
            return publish(self._use(self._make(self._bounds()), faces))
        if self.traits.knob == "eps":
            return self._with_eps(faces)
        if self.traits.knob is not None:
            return self._with_knob(faces, self.traits.knob)
        return publish(self._use(self._make({}), faces))

    def _bounds(self) -> dict[str, Any]:
        bounds = {"ssim_floor": self.cell.ssim_floor, "eps": self.cell.eps}
        if self.cell.psnr_floor is not None:
            bounds["psnr_floor"] = self.cell.psnr_floor
        return bounds

    def _make(
        self,
        more: dict[str, Any],
        surrogates: tuple[str, ...] | None = None,
        seed: int | None = None,
    ) -> Made:
        """The attack with the cell's and `more` parameters, fitted on the fit split.

        Args:
            surrogates, seed: those of the cell where None.
        """
        names = self.cell.surrogates if surrogates is None else surrogates
        seed = self.cell.seed if seed is None else seed
        classifiers = self.lab.classifiers(self.cell.entry, names, self.cell.dataset)
        params = {**self.cell.params, **more}
        attack = make_attack(self.entry, classifiers, params, seed, self.cell.target >= 0)
        if hasattr(attack, "fit"):
            faces = self.lab.faces(self.cell.dataset, "fit", self.cell.fit_limit, seed)
            self.fitting = PassCounter(self.models)
            with self.fitting:
                attack.fit(to_float(faces.images), self.lab.labels(self.cell, faces, names))
        return Made(attack, self.traits.scope in FITTED_SCOPES)

    def _use(self, made: Made, faces: FaceSet) -> FloatImages:
        y = self.lab.labels(self.cell, faces)
        with self.using:
            return made(faces, y)

    def _with_eps(self, faces: FaceSet) -> ByteImages:
        self.strength = self._chosen()
        same = made_as(self.cell)
        if self.lab.last is not None and self.lab.last[0] == same:
            _, made, self.fitting = self.lab.last
        else:
            made = self._make({"eps": self.strength})
            self.lab.last = (same, made, self.fitting)
        changed = self._use(made, faces)
        if self.cell.scale == "one":
            return self._at_one_strength(made, faces, changed)
        return match_budget(faces.images, changed, self.budget, dither=True)

    def _chosen(self) -> float:
        """The eps of the grid that answers the row's question best; the cap without a choice."""
        grid = self.cell.eps_grid
        if not has_choice(self.cell):
            return grid[-1]
        key = chosen_as(self.cell)
        if key not in self.lab.strengths:
            self.lab.strengths[key] = max(grid, key=self._answer)
        return self.lab.strengths[key]

    def _answer(self, eps: float) -> tuple[float, float]:
        """Rate on the fit split when computed at `eps` and landed; and how far it is from more.

        The second number, the mean probability that is left of what should go (or won of what
        should come), decides where rates are equal.
        """
        rates, sides = [], []
        for faces, surrogates, judges in self._trials():
            made = self._make({"eps": eps}, surrogates, self.cell.first_seed)
            y = self.lab.labels(self.cell, faces, surrogates)
            images = match_budget(faces.images, made(faces, y), self.budget, dither=True)
            for judge in judges:
                outcome, side = self._judged(judge, faces, images)
                rates.append(outcome)
                sides.append(side)
        known = np.concatenate(rates)
        rate = float(np.nanmean(known)) if not np.isnan(known).all() else 0.0
        return rate, float(np.concatenate(sides).mean())

    def _trials(self) -> Iterator[tuple[FaceSet, tuple[str, ...], tuple[str, ...]]]:
        """Fit faces, the surrogates looked into, and those that judge.

        For a transfer row each surrogate is left out in turn, for its share of the faces, and
        judges what the others made; never a victim of the table.
        """
        names, faces = self.cell.surrogates, self._select_faces()
        if self.cell.threat != "transfer" or len(names) == 1:
            yield faces, names, names
            return
        for k, name in enumerate(names[: len(faces)]):
            rest = tuple(other for other in names if other != name)
            yield faces.take(np.arange(k, len(faces), len(names))), rest, (name,)

    def _select_faces(self) -> FaceSet:
        """Drawn with another seed than the faces that are fitted on."""
        return self.lab.faces(self.cell.dataset, "fit", self.cell.select_limit, -1)

    def _judged(
        self, judge: str, faces: FaceSet, images: ByteImages
    ) -> tuple[FloatImages, FloatImages]:
        """(n,) outcomes as `judge` reads them, NaN where not counted, and (n,) how far they are."""
        now = probabilities(self.lab.victims[judge], to_float(images))
        clean = self.lab.reading([judge], faces)
        if self.cell.target >= 0:
            target = np.full(len(faces), self.cell.target)
            return hit(faces.labels, clean, now.argmax(1), target), now[:, self.cell.target]
        own = now[np.arange(len(faces)), faces.labels]
        return protected(faces.labels, clean, now.argmax(1)), -own

    def _at_one_strength(self, made: Made, faces: FaceSet, changed: FloatImages) -> ByteImages:
        """One factor for all faces: the largest at which every chosen fit face keeps the budget."""
        chosen = self._select_faces()
        own = made(chosen, self.lab.labels(self.cell, chosen))

        def kept(factor: float) -> bool:
            images = publish_scaled(chosen.images, own, factor, self.budget)
            return bool(self.budget.holds(chosen.images, images).all())

        low, high = 0.0, (self.cell.eps or 1.0) / self.strength
        if kept(high):
            low = high
        for _ in range(10 if low < high else 0):
            between = (low + high) / 2
            low, high = (between, high) if kept(between) else (low, between)
        self.factor = low
        self.strength *= low
        return publish_scaled(faces.images, changed, low, self.budget)

    def _with_knob(self, faces: FaceSet, knob: str) -> ByteImages:
        """Each face at the strongest value of the knob that holds; as it is where none does."""
        published = faces.images.copy()
        open_rows = np.arange(len(faces))
        used: list[float] = []
        for value in reversed(self.traits.strengths):
            if len(open_rows) == 0:
                break
            part = faces.take(open_rows)
            tried = publish(self._use(self._make({knob: value}), part))
            kept = self.budget.holds(part.images, tried)
            published[open_rows[kept]] = tried[kept]
            used += [value] * int(kept.sum())
            open_rows = open_rows[~kept]
        self.unchanged = len(open_rows)
        self.strength = float(np.mean(used)) if used else float("nan")
        return published
