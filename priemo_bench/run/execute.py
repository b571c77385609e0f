"""Runs cells: attacks, quality, and what every victim reads; what is finished is never done again.

A cell that fails is kept as failed with its reason, and the rest goes on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch

from priemo_bench import registry
from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.storage import StorageError
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Bar
from priemo_bench.run.context import RunContext, defense_fingerprint
from priemo_bench.run.craft import Bench
from priemo_bench.run.plan import Cell, together
from priemo_bench.run.profiling import peak_megabytes
from priemo_bench.run.spec import parse
from priemo_bench.run.store import Arrays, Store

Known = tuple[str, str, tuple[tuple[str, str], ...]]
"""What a worker opens a lab from: spec as TOML, device, fingerprints."""


def run_cells(
    cells: Iterable[Cell], lab: RunContext, store: Store, jobs: int = 1, progress: Bar | None = None
) -> None:
    """Bring every cell to its end: attacked, measured and predicted, or failed with its reason.

    Args:
        jobs: processes; each loads its own data and victims once, takes its share of the cores,
            and makes together what is made by one attack.
        progress: is told what begins and what is done.
    """
    progress = progress or Bar(None)
    if jobs == 1:
        for cell in cells:
            progress.begin(cell.title)
            run_cell(cell, lab, store)
            progress.done(cell.title)
        return
    from joblib import Parallel, cpu_count, delayed

    threads = max(1, cpu_count() // jobs)
    known = lab.spec.to_toml(), lab.device, tuple(lab.fingerprints.items())
    work = (
        delayed(_in_worker)(list(group), known, store, threads)
        for _, group in groupby(cells, together)
    )
    for titles in Parallel(n_jobs=jobs, return_as="generator")(work):
        for title in titles:
            progress.done(title)


def finished(cell: Cell, lab: RunContext, store: Store) -> bool:
    """Whether nothing is left to do for a cell."""
    if not store.done(cell.key) or unjudged(cell.key, lab, store):
        return False
    return set(columns(lab, cell.defended).values()) <= set(store.readings(cell.key).columns)


def _in_worker(cells: list[Cell], known: Known, store: Store, threads: int) -> list[str]:
    torch.set_num_threads(threads)
    lab = _own_lab(*known)
    for cell in cells:
        run_cell(cell, lab, store)
    return [cell.title for cell in cells]


@lru_cache(maxsize=1)
def _own_lab(spec: str, device: str, fingerprints: tuple[tuple[str, str], ...]) -> RunContext:
    """A worker's lab, kept from one call to the next while data and weights are the same."""
    lab = RunContext(parse(tomllib.loads(spec)), device)
    if lab.fingerprints != dict(fingerprints):
        raise PriemoError("data or weights changed after the run began; type the command again")
    return lab


def run_cell(cell: Cell, lab: RunContext, store: Store) -> None:
    """Attack unless that is done, then measure and predict whatever is not known yet."""
    facts = store.facts(cell.key) or {}
    try:
        if not facts.get("attacked"):
            facts = _attack(cell, lab, store)
        judge_missing(cell, lab, store)
        read_missing(cell.key, cell.defended, lab, store, lambda: _published(cell, lab, store))
        facts |= {"status": "done", "reason": ""}
    except StorageError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, PriemoError) else f"{type(error).__name__}: "
        facts |= {"status": "failed", "reason": " ".join(f"{kind}{error}".split())}
    store.keep(cell.key, facts)


def read_missing(
    key: str, defended: bool, lab: RunContext, store: Store, images: Callable[[], ByteImages]
) -> None:
    """Add to the readings of `key` the (victim, defense) pairs that are not there yet."""
    wanted = columns(lab, defended)
    known = store.readings(key)
    missing = {pair: name for pair, name in wanted.items() if name not in known}
    if not missing:
        return
    published = images()
    new = {}
    for defense in dict.fromkeys(defense for _, defense in missing):
        shown = lab.defenses[defense](published)
        for (victim, own), name in missing.items():
            if own == defense:
                new[name] = predict(lab.victims[victim], shown)
    store.keep_readings(key, pd.concat([known, pd.DataFrame(new)], axis=1))


def columns(lab: RunContext, defended: bool) -> dict[tuple[str, str], str]:
    """Column of the readings for each (victim, defense): what decides them is in its name."""
    defenses = lab.defenses if defended else {"none": lab.defenses["none"]}
    prints = {victim: lab.fingerprints[f"victim {victim}"][:16] for victim in lab.spec.victims}
    return {
        (victim, name): f"{prints[victim]} {defense_fingerprint(defense, name)}"
        for victim in lab.spec.victims
        for name, defense in defenses.items()
    }


def clean_key(lab: RunContext, cell: Cell) -> str:
    """Where the readings of a cell's unprotected faces are kept."""
    fingerprint = lab.fingerprints[f"test {cell.dataset}"][:16]
    return f"clean-{fingerprint}-{cell.limit or 'all'}-{cell.draw_seed}"


def _attack(cell: Cell, lab: RunContext, store: Store) -> dict[str, Any]:
    """Protect, judge, keep; the facts of the cell."""
    faces = lab.test_faces(cell)
    bench = Bench(cell, lab)
    published = bench.run(faces)
    training = [n for n in cell.surrogates if any(m.training for m in lab.victims[n].modules())]
    for name in training:
        lab.victims[name].eval()
    lost = judged(faces.images, published, MEASURES)
    store.keep_images(cell.key, faces.images, published, lost)
    n = len(faces)
    return {
        "attacked": True,
        "strength": bench.strength,
        "factor": bench.factor,
        "unchanged": bench.unchanged,
        "fit_seconds": bench.fitting.seconds,
        "fit_forwards": bench.fitting.forwards,
        "fit_backwards": bench.fitting.backwards,
        "ms_per_image": 1000 * bench.using.seconds / n,
        "forwards_per_image": bench.using.forwards / n,
        "backwards_per_image": bench.using.backwards / n,
        "peak_mb": peak_megabytes(),
        "left_training": training,
        "zero_gradient": [n for n in cell.surrogates if lab.gradient_vanishes(n, faces)],
    }


def unjudged(key: str, lab: RunContext, store: Store) -> list[str]:
    """The metrics of the spec that are not computed yet for an attacked cell."""
    return [name for name in lab.spec.metrics if name not in store.quality(key)]


def judge_missing(cell: Cell, lab: RunContext, store: Store) -> None:
    """Compute the metrics of the spec that are not there yet."""
    if missing := unjudged(cell.key, lab, store):
        originals, known = lab.test_faces(cell).images, store.quality(cell.key)
        published = store.images(cell.key, originals)
        lost = judged(originals, published, missing)
        store.keep_images(cell.key, originals, published, known | lost)


def judged(x: ByteImages, y: ByteImages, metrics: Iterable[str]) -> Arrays:
    """What each published image `y` lost against `x`, by the metrics named.

    Raises:
        PriemoError: a metric does not give one number an image.
    """
    lost = {}
    for name in metrics:
        lost[name] = np.asarray(registry.get("metrics", name)(x, y), np.float64)
        if lost[name].shape != (len(x),):
            raise PriemoError(
                f"metric {name!r} gave an array of shape {lost[name].shape} for {len(x)} images; "
                "it must give one number for each"
            )
    return lost


def _published(cell: Cell, lab: RunContext, store: Store) -> ByteImages:
    return store.images(cell.key, lab.test_faces(cell).images)
