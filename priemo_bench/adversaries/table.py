"""From findings to the one table of a study, and the questions that it answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from priemo_bench.adversaries.cases import Finding
from priemo_bench.adversaries.units import Unit
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import Labels
from priemo_bench.contracts.outcomes import FloatArray, IntArray, protected
from priemo_bench.judge.columns import ADVERSARIES
from priemo_bench.judge.glossary import column
from priemo_bench.judge.statistics import RateEstimate

COLUMNS = {name: column(name, "adversaries").text for name in ADVERSARIES}
"""The columns of adversaries.csv, and what they hold."""
NAN = float("nan")
UNDO = ("average", "leak")
"""Adversaries who undo protection of images that they know to be protected: whoever subtracts a
perturbation from a clean face perturbs it, so that faces are not counted by what he does to those.
"""


def table(
    findings: Iterable[tuple[Unit, Finding]], faces: FaceSet, surrogates: str
) -> pd.DataFrame:
    """One line per finding, with the columns of COLUMNS.

    Args:
        faces: on which all were found. surrogates: of attacks that name none of their own.
    """
    persons = np.unique(faces.persons, return_inverse=True)[1]
    lines = [_line(unit, own, faces.labels, persons, surrogates) for unit, own in findings]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _line(
    unit: Unit, own: Finding, labels: Labels, persons: IntArray, surrogates: str
) -> dict[str, Any]:
    from priemo_bench import registry

    traits = registry.get("attacks", unit.attack.name).traits
    before = _rate(protected(labels, own.clean, own.before), persons)
    undone = own.adversary.startswith(UNDO)
    outcome = protected(labels, own.clean if undone else own.clean_after, own.after)
    after = _rate(outcome, persons)
    read = _rate((own.after == labels).astype(float), persons)
    line: dict[str, Any] = {
        "attack": unit.attack.label or unit.attack.name,
        "family": traits.family,
        "scope": traits.scope,
        "surrogates": "-"
        if traits.surrogates == "none"
        else "+".join(unit.attack.surrogates or ()) or surrogates,
        "ssim_floor": NAN if unit.attack.ssim_floor is None else unit.attack.ssim_floor,
        "adversary": own.adversary,
        "threat": own.threat,
        "given": own.given,
        "strength": own.strength,
        "victim": own.victim,
        "n": before.images,
        **_with_interval(before, "protection", "protection"),
        "n_after": after.images,
        **_with_interval(after, "protection_after", "after"),
        "kept": after.value / before.value if before.value > 0 else NAN,
        "ssim_to_clean": own.facts.get("ssim", NAN),
        "clean_accuracy": float((own.clean == labels).mean()),
        "clean_accuracy_after": float((own.clean_after == labels).mean()),
        "accuracy": float((own.before == labels).mean()),
        **_with_interval(read, "accuracy_after", "accuracy"),
    }
    names = ("error", "auroc", "tpr_at_1fpr", "ms_per_image", "fit_passes", "seconds")
    line |= {name: own.facts.get(name, NAN) for name in names}
    if own.flagged is not None:
        hidden = np.where(np.isnan(outcome), np.nan, outcome * ~own.flagged)
        line |= _with_interval(_rate(hidden, persons), "hidden", "hidden")
    return line


def _rate(outcome: FloatArray, persons: IntArray) -> RateEstimate:
    """The share of (n,) outcomes, NaN where an image does not count; persons are clusters."""
    return RateEstimate.of([(outcome[None], persons, 1.0)], int(persons.max()) + 1)


def _with_interval(rate: RateEstimate, name: str, prefix: str) -> dict[str, float]:
    low, high = rate.interval
    return {name: rate.value, f"{prefix}_low": low, f"{prefix}_high": high}
