"""Brings a cell to its end: images, metrics and predictions; what is there is never made again.

A part that fails costs itself: a cell whose attack fails is kept as failed with its reason, one
whose victim, defense or metric fails as incomplete, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, check_images
from priemo_bench.contracts.metric import MEASURES, MetricValues
from priemo_bench.contracts.predict import Probabilities
from priemo_bench.contracts.storage import StorageError
from priemo_bench.errors import PriemoError
from priemo_bench.quality.pixel import linf, psnr
from priemo_bench.quality.structural import ssim_means
from priemo_bench.run.context import plugin
from priemo_bench.run.craft import Crafting, craft
from priemo_bench.run.limits import CellLimit, Limits, guarded
from priemo_bench.run.perturb import Workplace, blocks_of, isolated
from priemo_bench.run.plan import Cell
from priemo_bench.run.profiling import Stopwatch
from priemo_bench.run.store import Array

Facts = dict[str, Any]
Lost = dict[str, str]
"""What failed, "victim NAME" ..., and why."""
Columns = dict[tuple[str, str], str]
"""Name of the array of predictions of each (victim, defense)."""


def run_cell(cell: Cell, place: Workplace, limits: Limits) -> Facts:
    """Craft the images unless they are there, then add metrics and predictions that are missing.

    Returns:
        The facts of the cell, as they are stored.
    """
    store = place.store
    facts = store.facts(cell.key) or {}
    watch = Stopwatch()

    def kill(reason: str) -> None:
        store.save_facts(cell.key, {**facts, "status": "failed", "reason": reason})

    try:
        with guarded(limits, kill), plugin():
            if not (facts.get("attacked") and store.has_images(cell.key)):
                facts = _craft(cell, place, watch)
            images = _Images(place.context.test_faces(cell).labels, lambda: published(cell, place))
            lost = add_metrics(cell, place, watch)
            lost |= add_predictions(cell.key, cell.defended, place, images, watch)
        facts |= {"status": "incomplete" if lost else "done", "reason": "", "lost": as_list(lost)}
    except StorageError:
        raise
    except (PriemoError, CellLimit) as error:
        facts |= {"status": "failed", "reason": str(error)}
    before = facts.get("seconds", {})
    facts["seconds"] = {**before, **{k: round(before.get(k, 0) + v, 4) for k, v in watch.items()}}
    store.save_facts(cell.key, facts)
    return facts


def finished(cell: Cell, place: Workplace) -> bool:
    """Whether nothing is left to do for a cell."""
    if not place.store.done(cell.key):
        return False
    measured = place.store.arrays(f"{cell.key}.metrics")
    predicted = place.store.arrays(f"{cell.key}.predictions")
    wanted = {*metric_names(place).values()}
    return wanted <= measured.keys() and {*columns(place, cell.defended).values()} <= {*predicted}


def as_list(lost: Lost) -> list[dict[str, str]]:
    """Lost parts as the facts of a cell have them."""
    return [{"part": part, "reason": reason} for part, reason in lost.items()]


def _craft(cell: Cell, place: Workplace, watch: Stopwatch) -> Facts:
    """Craft and save the images of a cell; its facts."""
    for name in cell.surrogates:
        if reason := place.context.broken.get(f"victim {name}"):
            raise PriemoError(reason)
    crafting = Crafting(seconds=watch)
    faces = place.context.test_faces(cell)
    with watch.of("write"):
        place.store.save_images(cell.key, craft(cell, place, crafting))
    vanishing = [n for n in cell.surrogates if place.context.gradient_vanishes(n, faces)]
    n = len(faces)
    return {
        "attacked": True,
        "strength": crafting.strength,
        "factor": crafting.scale,
        "unchanged": crafting.unchanged,
        "fit_seconds": crafting.fitting.seconds,
        "fit_forwards": crafting.fitting.forwards,
        "fit_backwards": crafting.fitting.backwards,
        "ms_per_image": 1000 * crafting.crafting.seconds / n,
        "forwards_per_image": crafting.crafting.forwards / n,
        "backwards_per_image": crafting.crafting.backwards / n,
        "peak_mb": crafting.peak_mb,
        "left_training": list(dict.fromkeys(crafting.left_training)),
        "zero_gradient": vanishing,
        "title": cell.title,
        "parts": place.keys.parts(cell),
    }


class _Images(NamedTuple):
    """Images to predict, block by block, and the (n,) labels of all."""

    labels: Labels
    blocks: Callable[[], Iterator[ByteImages]]


def add_predictions(
    name: str,
    defended: tuple[str, ...],
    place: Workplace,
    images: _Images,
    watch: Stopwatch,
) -> Lost:
    """Add to the predictions of `name` those of victims under defenses that are missing.

    Beside them, where a victim gives any, its probabilities (`PROBABILITY`).

    Returns:
        What is still missing, and why.
    """
    known = place.store.arrays(f"{name}.predictions")
    wanted = columns(place, defended)
    pairs = [pair for pair, column in wanted.items() if column not in known]
    lost = _broken(place, {f"victim {name}" for name in place.context.spec.victims})
    if defended:
        lost |= _broken(place, {f"defense {name}" for name in place.context.spec.defenses})
    if pairs:
        found, failed = _predictions(pairs, images, place, watch)
        lost |= failed
        new: dict[str, Array] = {}
        for pair, readings in found.items():
            new |= _arrays(wanted[pair], readings, place.context.victims[pair[0]])
        with watch.of("write"):
            place.store.save_arrays(f"{name}.predictions", {**known, **new})
    return lost


def _broken(place: Workplace, parts: set[str]) -> Lost:
    """Those of some parts that cannot be loaded."""
    return {part: why for part, why in place.context.broken.items() if part in parts}


PROBABILITY = "{} probability"
"""Name of the array of probabilities beside an array of predictions: (n, 2) uint16 thousandths, of
the label and of the prediction. None of a victim that gives labels alone, nor in older stores."""
Readings = npt.NDArray[np.uint16]
"""(n, 3): the prediction, then the thousandths of PROBABILITY."""


def _readings(scores: Probabilities, labels: Labels) -> Readings:
    """From (n, 7) probabilities and (n,) labels."""
    predictions, each = scores.argmax(1), np.arange(len(scores))
    both = np.rint(1000 * np.stack([scores[each, labels], scores[each, predictions]], 1))
    return np.column_stack([predictions, both]).astype(np.uint16)


def _arrays(name: str, readings: Readings, victim: object) -> dict[str, Array]:
    """What is kept of readings: the predictions as `name`, and PROBABILITY of it."""
    found: dict[str, Array] = {name: readings[:, 0].astype(np.int8)}
    if not getattr(victim, "labels_only", False):
        found[PROBABILITY.format(name)] = readings[:, 1:]
    return found


def _predictions(
    pairs: list[tuple[str, str]], images: _Images, place: Workplace, watch: Stopwatch
) -> tuple[dict[tuple[str, str], Readings], Lost]:
    parts: dict[tuple[str, str], list[Readings]] = {pair: [] for pair in pairs}
    lost: Lost = {}
    start = 0
    for block in images.blocks():
        labels = images.labels[start : start + len(block)]
        start += len(block)
        for defense in dict.fromkeys(defense for _, defense in parts):
            try:
                with watch.of("defend"):
                    x = defended_images(defense, block, place)
            except PriemoError as error:
                lost[f"defense {defense}"] = str(error)
                parts = {pair: p for pair, p in parts.items() if pair[1] != defense}
                continue
            for victim in [victim for victim, own in parts if own == defense]:
                try:
                    with watch.of("predict"):
                        scores = place.context.probabilities(victim, x)
                    parts[victim, defense].append(_readings(scores, labels))
                except PriemoError as error:
                    under = "" if defense == "none" else f" under {defense}"
                    lost[f"victim {victim}{under}"] = str(error)
                    del parts[victim, defense]
    return {pair: np.concatenate(found) for pair, found in parts.items()}, lost


def defended_images(name: str, x: ByteImages, place: Workplace) -> FloatImages:
    """What a defense makes of images; PriemoError where it fails or breaks its contract."""
    given = read_only(x)
    with plugin(), isolated():
        found = check_images(place.context.defenses[name](given), "what it gave")
    if found.shape != x.shape:
        raise PriemoError(f"it gave images of shape {found.shape} for {x.shape}")
    return found


def columns(place: Workplace, defended: Collection[str]) -> Columns:
    """Array of the predictions for each (victim, defense) that loads; `defended` victims' too."""
    loaded, defenses = place.context.victims, place.context.defenses
    victims = [name for name in place.context.spec.victims if name in loaded]
    filtered = {v for v in victims if not getattr(loaded[v], "published_only", False)} & {*defended}
    pairs = [(v, d) for v in victims for d in (defenses if v in filtered else ("none",))]
    return {(v, d): place.keys.prediction(v, d) for v, d in pairs}


def metric_names(place: Workplace) -> dict[str, str]:
    """Array of each metric of the spec."""
    return {name: place.keys.metric(name) for name in place.context.metrics}


def add_metrics(cell: Cell, place: Workplace, watch: Stopwatch) -> Lost:
    """Compute the metrics that are missing; what failed, and why."""
    known = place.store.arrays(f"{cell.key}.metrics")
    wanted = metric_names(place)
    missing = [name for name, array in wanted.items() if array not in known]
    lost = _broken(place, {f"metric {name}" for name in place.context.spec.metrics})
    if missing:
        found, failed = _measured(missing, cell, place, watch)
        lost |= failed
        arrays = {**known, **{wanted[name]: values for name, values in found.items()}}
        with watch.of("write"):
            place.store.save_arrays(f"{cell.key}.metrics", arrays)
    return lost


def _measured(
    names: list[str], cell: Cell, place: Workplace, watch: Stopwatch
) -> tuple[Mapping[str, MetricValues], Lost]:
    parts: dict[str, list[MetricValues]] = {name: [] for name in names}
    lost: Lost = {}
    originals = place.context.test_faces(cell).images
    blocks = (originals[rows] for rows in blocks_of(len(originals)))
    for x, y in zip(blocks, published(cell, place), strict=True):
        with watch.of("measure"):
            usual = measures(x, y) if not parts.keys().isdisjoint(MEASURES) else {}
        for name in list(parts):
            try:
                with watch.of("measure"):
                    own = usual[name] if name in usual else measured(name, x, y, place)
                parts[name].append(own)
            except PriemoError as error:
                lost[f"metric {name}"] = str(error)
                del parts[name]
    return {name: np.concatenate(found) for name, found in parts.items()}, lost


def measures(x: ByteImages, y: ByteImages) -> dict[str, MetricValues]:
    """The metrics of MEASURES, with both means of SSIM at once."""
    inner, full = ssim_means(x, y)
    return {"ssim": inner, "ssim_full": full, "psnr": psnr(x, y), "linf": linf(x, y)}


def measured(name: str, x: ByteImages, y: ByteImages, place: Workplace) -> MetricValues:
    """(n,) values of a metric; PriemoError where it fails or breaks its contract."""
    with plugin(), isolated():
        found = place.context.metrics[name](read_only(x), read_only(y))
        values = np.asarray(found, np.float64)
    if values.shape != (len(x),):
        raise PriemoError(
            f"it gave an array of shape {values.shape} for {len(x)} images; a metric gives one "
            "number for each"
        )
    return values


def read_only(x: ByteImages) -> ByteImages:
    """A view that a plug-in cannot write to."""
    view = x.view()
    view.flags.writeable = False
    return view


def published(cell: Cell, place: Workplace) -> Iterator[ByteImages]:
    """Blocks of the published images of a cell."""
    originals = place.context.test_faces(cell).images
    return place.store.images(cell.key, (originals[rows] for rows in blocks_of(len(originals))))


@dataclass(frozen=True)
class Clean:
    """Clean predictions that cells have in common: of one sample of faces, made once.

    Attributes:
        cell: any of them; defended: victims that predict under the defenses, too.
    """

    cell: Cell
    defended: tuple[str, ...]

    @property
    def title(self) -> str:
        """In a few words, for progress."""
        return f"clean predictions ({self.cell.dataset})"


def run_clean(clean: Clean, place: Workplace) -> Lost:
    """Make clean predictions that are missing; what failed, and why."""
    faces, name = place.context.test_faces(clean.cell), place.keys.clean(clean.cell)
    known = place.store.arrays(f"{name}.predictions")
    for (victim, _), column in columns(place, ()).items():
        if column not in known:
            with suppress(PriemoError):  # add_predictions says it
                scores = place.context.clean_probabilities(victim, faces)
                readings = _readings(scores, faces.labels)
                known |= _arrays(column, readings, place.context.victims[victim])
    place.store.save_arrays(f"{name}.predictions", known)

    def blocks() -> Iterator[ByteImages]:
        return (faces.images[rows] for rows in blocks_of(len(faces)))

    images = _Images(faces.labels, blocks)
    lost = add_predictions(name, clean.defended, place, images, Stopwatch())
    if lost:
        place.store.save_facts(name, {"status": "incomplete", "lost": as_list(lost)})
    return lost
