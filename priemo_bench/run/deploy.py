"""A universal perturbation as a file: fitted once, for photos (`priemo_bench.photos`)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import cast

import numpy as np
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.attack import AttackEntry, FittableAttack, make_attack
from priemo_bench.contracts.image import EMOTIONS, to_float
from priemo_bench.contracts.storage import load_tensors, save_tensors, storage_errors
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, Progress, duration
from priemo_bench.progress import progress as show
from priemo_bench.run.context import RunContext
from priemo_bench.run.profiling import PassCounter
from priemo_bench.run.spec import AttackSpec, DatasetSpec, Spec

ENTRY, SURROGATES = "bench_attack", "bench_surrogates"
"""Metadata that the harness adds to what an attack saves: names, or references such as files."""


@dataclass(frozen=True)
class FitRequest:
    """A universal attack to fit on the fit split of a data set.

    Attributes:
        attack: name of its entry point; params: constructor arguments.
        surrogates: classifiers that it has white-box access to.
        limit: faces to fit on; None is all.
        target: emotion to be predicted; None is untargeted.
        seed: of the sample of faces, and of the attack.
    """

    attack: str
    surrogates: tuple[str, ...]
    dataset: DatasetSpec
    params: dict[str, object]
    limit: int | None = None
    target: str | None = None
    seed: int = 0


def fit_to_file(request: FitRequest, out: Path, progress: Mode = "auto") -> None:
    """Fit and write a safetensors file that `priemo-bench protect --with` reads.

    Args:
        progress: on standard error: "auto", "bars", "lines", "json" or "quiet".

    Raises:
        PriemoError: an attack that has no fit to save, or anything unknown or unwritable.
    """
    request = replace(
        request,
        attack=registry.adopt("attacks", request.attack),
        surrogates=registry.adopt_all("victims", request.surrogates),
    )
    entry: AttackEntry = registry.get("attacks", request.attack)
    if not entry.traits.is_fitted:
        raise PriemoError(
            f"attack {request.attack!r} has nothing to save: it is computed for each image; fit "
            f"one of {', '.join(_fitted_attacks())}"
        )
    given = {"ssim_floor", "psnr_floor"} & request.params.keys()
    if given and not entry.traits.budgeted:
        raise PriemoError(f"attack {request.attack!r} is fitted without a floor; give --eps")
    for name in request.surrogates:
        registry.get("victims", name)
    _try_place(out)
    begun = time.monotonic()
    with show(progress) as shown:
        attack = _fitted(entry, request, shown)
        _save(attack, request, out)
        shown.say(f"{request.attack} fitted in {duration(time.monotonic() - begun)}: {out}")


def _save(attack: FittableAttack, request: FitRequest, out: Path) -> None:
    with TemporaryDirectory() as folder:
        own = Path(folder) / out.name
        attack.save(own)
        tensors, metadata = load_tensors(own)
    used = [registry.reference("victims", name) or name for name in request.surrogates]
    entry = registry.reference("attacks", request.attack) or request.attack
    save_tensors(out, tensors, {**metadata, ENTRY: entry, SURROGATES: json.dumps(used)})


def _try_place(out: Path) -> None:
    """PriemoError unless a file can be written at `out`, whose folder is made."""
    if out.suffix != ".safetensors":
        raise PriemoError(f"{out} must end in .safetensors")
    if out.is_dir():
        raise PriemoError(f"{out} is a folder; give the name of a file")
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        NamedTemporaryFile(dir=out.parent).close()


def _fitted(entry: AttackEntry, request: FitRequest, shown: Progress) -> FittableAttack:
    if request.target is not None and request.target not in EMOTIONS:
        raise registry.unknown("emotions", request.target, EMOTIONS)
    context, name = _context(request), request.dataset.name
    for surrogate in request.surrogates:
        if reason := context.broken.get(f"victim {surrogate}"):
            raise PriemoError(f"surrogate {surrogate!r}: {reason}")
    shown.say(f"opening {name} and {', '.join(request.surrogates)}")
    faces = context.faces(name, "fit", request.limit, request.seed)
    classifiers = context.classifiers(request.attack, request.surrogates, name)
    if request.target is None:
        labels = context.predictions(request.surrogates, faces)
    else:
        labels = np.full(len(faces), EMOTIONS.index(request.target), np.int64)
    attack = make_attack(
        entry, classifiers, request.params, request.seed, targeted=request.target is not None
    )
    if not callable(getattr(attack, "save", None)):
        raise PriemoError(
            f"attack {request.attack!r} cannot be saved: it needs save(path), as FittableAttack has"
        )
    models = [context.victims[surrogate] for surrogate in request.surrogates]
    title = f"fitting {request.attack} on {len(faces):,} faces"
    with _counting(models, title, shown):
        return cast(FittableAttack, attack).fit(to_float(faces.images), labels)


@contextmanager
def _counting(models: Sequence[nn.Module], title: str, shown: Progress) -> Iterator[None]:
    """Tell `shown` of a fit, with how many images have gone through the models so far."""
    over = threading.Event()
    shown.run(1)
    shown.begin(title, title)
    with PassCounter(models) as counter:

        def watch() -> None:
            while not over.wait(0.5):
                shown.step(title, counter.forwards)

        thread = threading.Thread(target=watch, name="progress of a fit", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
    shown.end(title, title, note=f"{counter.forwards:,} images through the surrogates")


def _context(request: FitRequest) -> RunContext:
    if not request.surrogates:
        raise PriemoError("a universal perturbation needs --surrogates")
    attacks = (AttackSpec(name=request.attack),)
    spec = Spec(datasets=(request.dataset,), victims=request.surrogates, attacks=attacks)
    return RunContext(spec)


def _fitted_attacks() -> Iterator[str]:
    """Attacks whose perturbation can be saved; those that cannot be imported are none."""
    for name in registry.names("attacks"):
        with suppress(PriemoError):
            if registry.get("attacks", name).traits.is_fitted:
                yield name
