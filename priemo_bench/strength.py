"""From an attack to published images: building it, fitting it, and how strong it may be.

Equal quality: an attack with an eps gets it by its protection on the fit split, then each image's
perturbation is scaled until the budget holds; other knobs take, image by image, their strongest
value that holds; an attack that keeps the budget by itself is told it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from priemo_bench import registry
from priemo_bench.attack import SHARED, Traits, quiet
from priemo_bench.cost import Passes
from priemo_bench.datasets import FaceSet
from priemo_bench.images import Bytes, Floats, Labels, publish, to_float
from priemo_bench.lab import Lab, scores
from priemo_bench.landing import match_budget, scaled
from priemo_bench.plan import Cell, made_as
from priemo_bench.protection import hit, protected
from priemo_bench.quality import Budget


@dataclass
class Made:
    """An attack ready for use: built, and fitted where it learns."""

    attack: Any
    shared: bool

    def __call__(self, faces: FaceSet, y: Labels | None) -> Floats:
        """Protected faces, floats in [0, 1]."""
        run = self.attack.apply if self.shared else self.attack.generate
        result: Floats = run(to_float(faces.images), y)
        return result


class Bench:
    """One cell at work.

    Attributes:
        fitting, using: cost of the final fit, and of protecting the test faces.
        strength: value of the knob, or its mean over images.
    """

    def __init__(self, cell: Cell, lab: Lab) -> None:
        self.cell, self.lab = cell, lab
        self.entry = registry.get("attacks", cell.entry)
        self.traits: Traits = self.entry.traits
        self.classifiers = lab.classifiers(cell.entry, cell.surrogates, cell.dataset)
        self.models: list[nn.Module] = [lab.victims[name] for name in cell.surrogates]
        self.fitting, self.using = Passes(self.models), Passes(self.models)
        self.budget = Budget(cell.ssim_floor, cell.eps)
        self.strength = float("nan")
        self.unchanged = 0

    def run(self, faces: FaceSet) -> Bytes:
        """The faces as published."""
        if self.cell.budget == "conventional":
            return publish(self._use(self._make({}), faces))
        if self.traits.budgeted:
            bounds = {"ssim_floor": self.cell.ssim_floor, "eps": self.cell.eps}
            return publish(self._use(self._make(bounds), faces))
        if self.traits.knob == "eps":
            return self._with_eps(faces)
        if self.traits.knob is not None:
            return self._with_knob(faces, self.traits.knob)
        return publish(self._use(self._make({}), faces))

    def _make(self, more: dict[str, Any]) -> Made:
        """The attack with the cell's and `more` parameters, fitted on the fit split."""
        params = {**self.cell.params, **more}
        if self.traits.random:
            params["random_state"] = self.cell.seed
        if self.cell.target >= 0:
            params["targeted"] = True
        if len(self.classifiers) > 1:
            params["surrogates"] = tuple(self.classifiers[1:])
        attack = self.entry(self.classifiers[0] if self.classifiers else None, **params)
        quiet(attack)
        if hasattr(attack, "fit"):
            faces = self.lab.faces(self.cell.dataset, "fit", self.cell.fit_limit, self.cell.seed)
            self.fitting = Passes(self.models)
            with self.fitting:
                attack.fit(to_float(faces.images), self.lab.labels(self.cell, faces))
        return Made(attack, self.traits.scope in SHARED)

    def _use(self, made: Made, faces: FaceSet) -> Floats:
        y = self.lab.labels(self.cell, faces)
        with self.using:
            return made(faces, y)

    def _with_eps(self, faces: FaceSet) -> Bytes:
        grid = sorted(e for e in self.cell.eps_grid if self.cell.eps is None or e <= self.cell.eps)
        grid = grid or [self.cell.eps or 1.0]
        if not self.models:  # nothing to choose by: the strongest, brought under the budget
            self.strength = grid[-1]
            made = self._make({"eps": self.strength})
        elif len(grid) == 1:
            self.strength = grid[0]
            made = self._make({"eps": self.strength})
        else:
            made = self._best(grid)
        changed = self._use(made, faces)
        if self.cell.scale == "one":
            return self._at_one_strength(made, faces, changed)
        return match_budget(faces.images, changed, self.budget, dither=True)

    def _best(self, grid: list[float]) -> Made:
        """The attack at the eps that protects most faces of the fit split, after matching."""
        same = made_as(self.cell)
        if self.lab.last is not None and self.lab.last[0] == same:
            _, made, self.fitting, self.strength = self.lab.last
            return made
        faces = self._select_faces()
        y = self.lab.labels(self.cell, faces)
        best, best_rate, best_cost = None, -1.0, self.fitting
        for eps in grid:
            made = self._make({"eps": eps})
            images = match_budget(faces.images, made(faces, y), self.budget, dither=True)
            rate = self._rate(faces, images)
            if best is None or rate > best_rate:
                best, best_rate, best_cost, self.strength = made, rate, self.fitting, eps
        assert best is not None
        self.fitting = best_cost
        self.lab.last = (same, best, best_cost, self.strength)
        return best

    def _select_faces(self) -> FaceSet:
        """Drawn with another seed than the faces that are fitted on."""
        return self.lab.faces(self.cell.dataset, "fit", self.cell.select_limit, -1)

    def _rate(self, faces: FaceSet, images: Bytes) -> float:
        """Share protected (or read as the target) in the eyes of the surrogates."""
        x = to_float(images)
        prediction = np.mean([scores(m, x) for m in self.models], 0).argmax(1)
        clean = self.lab.reading(self.cell.surrogates, faces)
        if self.cell.target >= 0:
            target = np.full(len(faces), self.cell.target)
            outcome = hit(faces.labels, clean, prediction, target)
        else:
            outcome = protected(faces.labels, clean, prediction)
        return float(np.nanmean(outcome)) if not np.isnan(outcome).all() else 0.0

    def _at_one_strength(self, made: Made, faces: FaceSet, changed: Floats) -> Bytes:
        """One factor for all faces: the largest at which every chosen fit face keeps the budget."""
        chosen = self._select_faces()
        own = made(chosen, self.lab.labels(self.cell, chosen))
        low, high = 0.0, 1.0
        for _ in range(8):
            factor = high if low == 0.0 and high == 1.0 else (low + high) / 2
            if self.budget.holds(chosen.images, scaled(chosen.images, own, factor)).all():
                low = factor
            else:
                high = factor
            if low == high:
                break
        self.strength *= low
        return scaled(faces.images, changed, low)

    def _with_knob(self, faces: FaceSet, knob: str) -> Bytes:
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
