"""How long a cell is expected to take, from what its attack took on another machine."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell

UNKNOWN = {"per-image": "pgd", "universal": "uap"}
"""What an attack that nobody measured is expected to cost, by family; without a model as noise."""


@cache
def _costs() -> dict[str, tuple[float, float]]:
    """Seconds for an image and for a face of the fit, by attack; of images of 112x112 in RGB."""
    text = (files("priemo_bench.run") / "costs.csv").read_text("utf-8")
    lines = csv.DictReader(text.splitlines())
    return {line["attack"]: (float(line["image"]), float(line["fit_face"])) for line in lines}


def seconds_of(cell: Cell, place: Workplace) -> float:
    """Seconds that a cell takes, roughly; an unknown attack is taken for the one of UNKNOWN."""
    known = _costs()
    alike = UNKNOWN.get(cell.family, "noise") if cell.surrogates else "noise"
    image, fit_face = known.get(cell.entry, known[alike])
    context = place.context
    test, fit = context.test_faces(cell), context.split(cell.dataset, "fit")
    fitted = min(cell.fit_limit or len(fit), len(fit))
    selected = min(cell.select_limit or len(fit), len(fit)) * len(cell.eps_grid)
    images = len(test) + (selected if cell.has_choice else 0)
    return float(max(1, len(cell.surrogates)) * (images * image + fitted * fit_face))
