"""Runs cells: images, metrics and predictions; what is finished is never done again.

A cell that fails is kept as failed with its reason, and the rest goes on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import groupby

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
from priemo_bench.run.craft import Memo, craft
from priemo_bench.run.plan import Cell, batch_key
from priemo_bench.run.profiling import peak_megabytes
from priemo_bench.run.spec import parse
from priemo_bench.run.store import Arrays, Store

Known = tuple[str, str, tuple[tuple[str, str], ...]]
"""What a worker makes its context from: spec as TOML, device, fingerprints."""


def run_cells(
    cells: Iterable[Cell],
    context: RunContext,
    store: Store,
    jobs: int = 1,
    progress: Bar | None = None,
) -> None:
    """Bring every cell to its end: crafted, measured and predicted, or failed with its reason.

    Args:
        jobs: processes; each loads its own data and victims once, takes its share of the cores,
            and runs whole batches of cells (see `plan.batch_key`).
        progress: shows what runs and what is done.
    """
    progress = progress or Bar(None)
    batches = (list(batch) for _, batch in groupby(cells, batch_key))
    if jobs == 1:
        for batch in batches:
            memo = Memo()
            for cell in batch:
                progress.begin(cell.title)
                run_cell(cell, context, store, memo)
                progress.done(cell.title)
        return
    from joblib import Parallel, cpu_count, delayed

    threads = max(1, cpu_count() // jobs)
    known = context.spec.to_toml(), context.device, tuple(context.fingerprints.items())
    work = (delayed(_in_worker)(batch, known, store, threads) for batch in batches)
    for titles in Parallel(n_jobs=jobs, return_as="generator")(work):
        for title in titles:
            progress.done(title)


def finished(cell: Cell, context: RunContext, store: Store) -> bool:
    """Whether nothing is left to do for a cell."""
    if not store.done(cell.key) or missing_metrics(cell.key, context, store):
        return False
    return set(columns(context, cell.defended).values()) <= set(store.predictions(cell.key).columns)


def _in_worker(cells: list[Cell], known: Known, store: Store, threads: int) -> list[str]:
    torch.set_num_threads(threads)
    context, memo = _worker_context(*known), Memo()
    for cell in cells:
        run_cell(cell, context, store, memo)
    return [cell.title for cell in cells]


@lru_cache(maxsize=1)
def _worker_context(
    spec: str, device: str, fingerprints: tuple[tuple[str, str], ...]
) -> RunContext:
    """A worker's context, kept from one call to the next while data and weights are the same."""
    context = RunContext(parse(tomllib.loads(spec)), device)
    if context.fingerprints != dict(fingerprints):
        raise PriemoError("data or weights changed after the run began; type the command again")
    return context


def run_cell(cell: Cell, context: RunContext, store: Store, memo: Memo) -> None:
    """Craft the images unless that is done, then add metrics and predictions that are missing."""
    facts = store.facts(cell.key) or {}
    try:
        if not facts.get("attacked"):
            facts = _craft(cell, context, store, memo)
        add_metrics(cell, context, store)
        add_predictions(
            cell.key, cell.defended, context, store, lambda: _published(cell, context, store)
        )
        facts |= {"status": "done", "reason": ""}
    except StorageError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, PriemoError) else f"{type(error).__name__}: "
        facts |= {"status": "failed", "reason": " ".join(f"{kind}{error}".split())}
    store.save_facts(cell.key, facts)


def add_predictions(
    key: str,
    defended: bool,
    context: RunContext,
    store: Store,
    images: Callable[[], ByteImages],
) -> None:
    """Add to the predictions of `key` the (victim, defense) pairs that are missing."""
    wanted = columns(context, defended)
    known = store.predictions(key)
    missing = {pair: name for pair, name in wanted.items() if name not in known}
    if not missing:
        return
    published = images()
    new = {}
    for defense in dict.fromkeys(defense for _, defense in missing):
        defended_images = context.defenses[defense](published)
        for (victim, own), name in missing.items():
            if own == defense:
                found = predict(context.victims[victim], defended_images)
                new[name] = found.astype(np.int8)
    store.save_predictions(key, pd.concat([known, pd.DataFrame(new)], axis=1))


def columns(context: RunContext, defended: bool) -> dict[tuple[str, str], str]:
    """Column of the predictions for each (victim, defense), named by what decides them."""
    defenses = context.defenses if defended else {"none": context.defenses["none"]}
    prints = {
        victim: context.fingerprints[f"victim {victim}"][:16] for victim in context.spec.victims
    }
    return {
        (victim, name): f"{prints[victim]} {defense_fingerprint(defense, name)}"
        for victim in context.spec.victims
        for name, defense in defenses.items()
    }


def clean_key(context: RunContext, cell: Cell) -> str:
    """Key of the clean predictions on the faces of a cell."""
    fingerprint = context.fingerprints[f"test {cell.dataset}"][:16]
    return f"clean-{fingerprint}-{cell.limit or 'all'}-{cell.draw_seed}"


def _craft(cell: Cell, context: RunContext, store: Store, memo: Memo) -> dict[str, object]:
    """Craft, measure and save the images of a cell; its facts."""
    faces = context.test_faces(cell)
    crafted = craft(cell, context, memo)
    training = _in_training_mode(cell, context)
    for name in training:
        context.victims[name].eval()
    quality = measured(faces.images, crafted.images, MEASURES)
    store.save_images(cell.key, faces.images, crafted.images, quality)
    n = len(faces)
    return {
        "attacked": True,
        "strength": crafted.strength,
        "factor": crafted.scale,
        "unchanged": crafted.unchanged,
        "fit_seconds": crafted.fitting.seconds,
        "fit_forwards": crafted.fitting.forwards,
        "fit_backwards": crafted.fitting.backwards,
        "ms_per_image": 1000 * crafted.crafting.seconds / n,
        "forwards_per_image": crafted.crafting.forwards / n,
        "backwards_per_image": crafted.crafting.backwards / n,
        "peak_mb": peak_megabytes(),
        "left_training": training,
        "zero_gradient": [n for n in cell.surrogates if context.gradient_vanishes(n, faces)],
    }


def _in_training_mode(cell: Cell, context: RunContext) -> list[str]:
    """Surrogates that the attack left in training mode."""
    return [n for n in cell.surrogates if any(m.training for m in context.victims[n].modules())]


def missing_metrics(key: str, context: RunContext, store: Store) -> list[str]:
    """The metrics of the spec that are not computed yet for the images of a cell."""
    return [name for name in context.spec.metrics if name not in store.quality(key)]


def add_metrics(cell: Cell, context: RunContext, store: Store) -> None:
    """Compute the metrics of the spec that are missing."""
    if missing := missing_metrics(cell.key, context, store):
        originals, known = context.test_faces(cell).images, store.quality(cell.key)
        published = store.images(cell.key, originals)
        added = measured(originals, published, missing)
        store.save_images(cell.key, originals, published, known | added)


def measured(x: ByteImages, y: ByteImages, metrics: Iterable[str]) -> Arrays:
    """Metrics by name of each published image `y` against its original `x`, (n,) float64 each.

    Raises:
        PriemoError: a metric does not give one number an image.
    """
    found = {}
    for name in metrics:
        found[name] = np.asarray(registry.get("metrics", name)(x, y), np.float64)
        if found[name].shape != (len(x),):
            raise PriemoError(
                f"metric {name!r} gave an array of shape {found[name].shape} for {len(x)} images; "
                "it must give one number for each"
            )
    return found


def _published(cell: Cell, context: RunContext, store: Store) -> ByteImages:
    return store.images(cell.key, context.test_faces(cell).images)
