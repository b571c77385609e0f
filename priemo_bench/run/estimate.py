"""How long a cell is expected to take, from what its attack took on another machine."""

from __future__ import annotations

import csv
import inspect
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from priemo_bench import registry
from priemo_bench.contracts.filter_sets import expanded
from priemo_bench.run.execute import columns
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell

UNKNOWN = {"per-image": "pgd", "universal": "uap"}
"""What an attack that nobody measured is expected to cost, by family; without a model as noise."""
STEPS = ("steps", "max_iter", "passes")
"""What attacks call the number of their steps, or of their passes over the fit faces."""
PREDICTION = 2e-3
"""Seconds that a victim takes for an image, filtered or not."""


@cache
def _costs() -> dict[str, tuple[float, float]]:
    """Seconds for an image and for a face of the fit, by attack; of images of 112x112 in RGB."""
    text = (files("priemo_bench.run") / "costs.csv").read_text("utf-8")
    lines = csv.DictReader(text.splitlines())
    return {line["attack"]: (float(line["image"]), float(line["fit_face"])) for line in lines}


def _views(params: Mapping[str, object]) -> int:
    """What an attack looks at of each image: itself, and as the filters that it expects show it."""
    names = params.get("filters", ())
    return 1 + len(expanded(names)) if isinstance(names, list | tuple) else 1


def _steps(entry: Any, params: Mapping[str, object]) -> float:
    """How many times the steps that an attack makes unless told otherwise; 1 where not known."""
    made = getattr(entry, "attack", entry)
    arguments = inspect.signature(made).parameters
    usual = {name: argument.default for name, argument in arguments.items()}
    usual |= getattr(entry, "params", {})
    pairs = [(params[name], usual.get(name)) for name in STEPS if name in params]
    return math.prod(
        float(given) / own
        for given, own in pairs
        if isinstance(given, int | float) and isinstance(own, int | float) and own > 0
    )


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
    entry = registry.get("attacks", cell.entry)
    own = getattr(entry, "params", {})
    passes = max(1, len(cell.surrogates)) * _views({**own, **cell.params}) / _views(own)
    passes *= _steps(entry, cell.params)
    attack = passes * (images * image + fitted * fit_face)
    return float(attack + PREDICTION * len(test) * len(columns(place, cell.defended)))
