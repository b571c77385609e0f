"""Keys: digests of all that decides a stored result, apart for each stage.

    perturbation   attack, parameters, surrogates, seed, faces, and the code of all of them
    published      that, and the budget, the choice of strength, and their code
    prediction     a victim's weights and code, a defense and its code; beside published images
    metric         a metric's code; beside published images

Code counts by its source and the versions of the packages it imports (`run/code.py`), so that a
change of it computes again what it touches and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.run.code import code_of
from priemo_bench.run.perturb import Request
from priemo_bench.run.plan import Cell

if TYPE_CHECKING:
    from priemo_bench.run.context import RunContext

PERTURB, CRAFT, PREDICT = (
    "priemo_bench.run.perturb", "priemo_bench.run.craft", "priemo_bench.contracts.predict",
)  # fmt: skip
"""Modules of the runner whose code decides a perturbation, published images, a prediction."""
NO_KEY = ("attack", "family", "defended", "key", "limit", "draw_seed", "fit_limit")
"""What of a cell decides nothing, or only by the faces that it selects."""


class Keys:
    """Keys of what a run stores, from its data sets, victims and defenses."""

    def __init__(self, context: RunContext) -> None:
        self.context = context

    def keyed(self, cell: Cell) -> Cell:
        """A copy of the cell with the key of its published images."""
        return replace(cell, key=_digest(self.parts(cell)))

    def parts(self, cell: Cell) -> dict[str, str]:
        """What decides the published images of a cell, by name; `key` is a digest of it all."""
        test = self.context.test_faces(cell)
        found = self._attack_parts(Request.of(cell)) | {"test faces": test.fingerprint}
        own = {name: value for name, value in asdict(cell).items() if name not in NO_KEY}
        found["settings"] = json.dumps(own, sort_keys=True, default=str)
        if cell.budget != "conventional":
            found["code of the budget"] = code_of(CRAFT).digest
        return found

    def _attack_parts(self, request: Request) -> dict[str, str]:
        fit = self.context.split(request.dataset, "fit")
        return {
            "fit faces": f"{fit.fingerprint} {request.fit_limit}",
            "code of the attack": code_of(registry.get("attacks", request.entry)).digest,
            "code of the runner": code_of(PERTURB).digest,
        } | {f"victim {name}": self.victim(name) for name in request.surrogates}

    def request(self, request: Request) -> str:
        """Of an attack that is made and fitted."""
        return _digest(self._attack_parts(request) | {"request": asdict(request)})

    def perturbation(self, request: Request, faces: FaceSet) -> str:
        """Of what an attack makes of some faces, before it is matched to a budget."""
        return _digest({"request": self.request(request), "faces": faces.fingerprint})

    def strength(self, cell: Cell) -> str:
        """Of the strength that is chosen for a cell; one for all its seeds and scales."""
        alike = replace(cell, seed=cell.first_seed, scale="-", attack="", params=cell.params)
        parts = self.parts(alike)
        return _digest({name: part for name, part in parts.items() if name != "test faces"})

    def victim(self, name: str) -> str:
        """Of a victim's weights and code; of why it cannot be loaded otherwise."""
        if reason := self.context.broken.get(f"victim {name}"):
            return _digest(reason)
        weights = self.context.fingerprints[f"victim {name}"]
        code = code_of(self.context.victims[name], registry.get("victims", name), PREDICT).digest
        return _digest([weights, code])

    def defense(self, name: str) -> str:
        """Of a defense: its repr, or its name where the repr is a memory address, and its code."""
        defense = self.context.defenses[name]
        words = repr(defense)
        return _digest([name if " at 0x" in words else words, code_of(defense).digest])

    def prediction(self, victim: str, defense: str) -> str:
        """Name of an array of predictions."""
        return f"{self.victim(victim)[:12]} {self.defense(defense)[:12]}"

    def metric(self, name: str) -> str:
        """Name of an array of a metric."""
        return f"{name} {code_of(self.context.metrics[name]).digest}"

    def clean(self, cell: Cell) -> str:
        """Of the clean predictions on the faces of a cell."""
        return f"clean-{self.context.test_faces(cell).fingerprint[:20]}"


def _digest(parts: object) -> str:
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]


def differing(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Names of the parts that differ between two cells of one place in the tables."""
    return [name for name in new if old.get(name) != new[name]]
