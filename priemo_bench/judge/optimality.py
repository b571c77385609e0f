"""How near each attack comes to the best of all others, image by image, over the floors of a run.

Cina et al., "AttackBench: evaluating gradient-based attacks for adversarial examples", AAAI 2025,
arXiv:2404.19460: the local optimality of an attack is the area under its curve, over that of the
envelope of attacks. Here the curve is protection over the logarithm of the allowed SSIM drop, and
the envelope is of all other methods: one that does what no other does is above 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from priemo_bench.contracts.budgets import EQUAL, kind
from priemo_bench.contracts.columns import ROW
from priemo_bench.contracts.outcomes import FloatArray, IntArray
from priemo_bench.judge.columns import OPTIMALITY
from priemo_bench.judge.curves import area
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.predictions import Predictions
from priemo_bench.judge.statistics import mean

METHOD = ["dataset", "attack", "scope", "scale", "threat"]


@dataclass(frozen=True)
class Course:
    """One leaderboard row at every SSIM floor, as one victim predicts it.

    Attributes:
        method: values of METHOD. images: (n,) numbers of those that count.
        protected: (floors, n) share of seeds with which an image is protected at this floor or at a
            higher one, the highest floor first.
    """

    method: tuple[str, ...]
    images: IntArray
    protected: FloatArray


def optimality(tables: Tables) -> pd.DataFrame:
    """A line per untargeted method that has a row at every SSIM floor of the run, best first.

    `area` and `envelope` are those of its curve and of the best of all other methods, image by
    image, on the same images and victims, each the mean over judging victims (of the means over its
    rows, where several sets of surrogates are judged by one), and `optimality` is their ratio.
    Victims that judge no other attack with a model are left out, since noise is no envelope; where
    these are all, envelope and ratio are NaN. `drop_median` is the smallest allowed SSIM drop at
    which half of the images are protected, NaN where that is none. No line in a run with a single
    floor.
    """
    floors = _floors(tables)
    compared: dict[tuple[str, ...], list[dict[str, float]]] = {}
    alone: dict[tuple[str, ...], list[dict[str, float]]] = {}
    for victim in sorted({v for own in tables.predictions.victims.values() for v in own}):
        courses = list(_courses(tables.predictions, victim, floors)) if len(floors) > 1 else []
        for method in dict.fromkeys(course.method for course in courses):
            others = [course for course in courses if course.method != method]
            own = _mean([_compared(c, others, floors) for c in courses if c.method == method])
            if any(other.method[-1] != "no-model" for other in others):
                compared.setdefault(method, []).append(own)
            else:
                alone.setdefault(method, []).append({**own, "envelope": np.nan})
    lines = [
        {**dict(zip(METHOD, method, strict=True)), "n_victims": len(parts), **_ratio(_mean(parts))}
        for method, parts in {**alone, **compared}.items()
    ]
    table = pd.DataFrame(lines, columns=OPTIMALITY)
    return table.sort_values(["dataset", "optimality"], ascending=[True, False], ignore_index=True)


def _floors(tables: Tables) -> Mapping[str, float]:
    """SSIM floors by the names of their budgets, the highest first."""
    found = {
        name: own.ssim_floor
        for name, own in tables.rows.budgets.items()
        if kind(name) == EQUAL and own.ssim_floor is not None
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _courses(
    predictions: Predictions, victim: str, floors: Mapping[str, float]
) -> Iterator[Course]:
    rest = [name for name in ROW if name != "budget"]
    rows: dict[tuple[str, ...], dict[str, int]] = {}
    for row, key in enumerate(predictions.names):
        judged = victim in predictions.judges[row].victims if row in predictions.victims else False
        if judged and key["budget"] in floors and key["target"] == "-":
            rows.setdefault(tuple(key[name] for name in rest), {})[key["budget"]] = row
    for own in rows.values():
        if own.keys() != floors.keys():
            continue
        parts = [predictions.arrays[own[name], "none", victim] for name in floors]
        at = np.flatnonzero(np.all([part.counted for part in parts], axis=0))
        if not len(at):
            continue
        outcomes = np.stack([part.outcome("protected")[:, at] for part in parts])
        key, threat = predictions.names[own[EQUAL]], predictions.judges[own[EQUAL]].threat
        method = (key["dataset"], key["attack"], key["scope"], key["scale"], threat)
        yield Course(method, parts[0].images[at], np.maximum.accumulate(outcomes).mean(1))


def _compared(own: Course, others: list[Course], floors: Mapping[str, float]) -> dict[str, float]:
    best = np.zeros_like(own.protected)
    for other in others:
        known = np.isin(own.images, other.images)
        at = np.searchsorted(other.images, own.images[known])
        best[:, known] = np.maximum(best[:, known], other.protected[:, at])
    values = list(floors.values())
    rates = own.protected.mean(1)
    mine, envelope = area(values, rates.tolist()), area(values, best.mean(1).tolist())
    half = [1 - floor for floor, rate in zip(values, rates, strict=True) if rate >= 0.5]
    return {
        "n": len(own.images), "area": mine, "envelope": envelope,
        "drop_median": half[0] if half else float("nan"),
    }  # fmt: skip


def _mean(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: mean(part[name] for part in parts) for name in parts[0]}


def _ratio(line: dict[str, float]) -> dict[str, float]:
    """A line with the ratio of its areas; NaN where no other method protects an image."""
    above_0 = line["envelope"] > 0
    return {**line, "optimality": line["area"] / line["envelope"] if above_0 else float("nan")}
