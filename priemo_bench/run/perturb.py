"""An attack made, fitted and called; its perturbations kept, before any budget scales them.

A perturbation does not depend on the budget it is scaled to, so that cells of several budgets,
floors and scales have it from the store; see `run/craft.py` for what they make of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from priemo_bench import registry
from priemo_bench.contracts.attack import AttackEntry, FittableAttack, make_attack
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, check_images, to_float
from priemo_bench.errors import PriemoError
from priemo_bench.run.profiling import (
    Cost,
    PassCounter,
    Stopwatch,
    peak_megabytes,
    reset_peak,
)

if TYPE_CHECKING:
    from priemo_bench.run.context import RunContext
    from priemo_bench.run.keys import Keys
    from priemo_bench.run.plan import Cell
    from priemo_bench.run.store import Store

BLOCK = 250
"""Images that an attack, a metric or a defense is given at once."""


@dataclass(frozen=True)
class Request:
    """An attack with all that decides its perturbations but the faces.

    Attributes:
        entry: name of its entry point; params: constructor arguments.
        surrogates: that it has access to; target: index into EMOTIONS, or -1.
        dataset, fit_limit: on whose fit split, and how many of its faces, it is fitted.
    """

    entry: str
    params: Mapping[str, object] = field(hash=False)
    surrogates: tuple[str, ...]
    target: int
    seed: int
    dataset: str
    fit_limit: int | None

    @classmethod
    def of(cls, cell: Cell, **params: object) -> Request:
        """What a cell asks for, with further constructor arguments."""
        given = {**cell.params, **params}
        return cls(
            cell.entry, given, cell.surrogates, cell.target, cell.seed, cell.dataset, cell.fit_limit
        )


@dataclass(frozen=True)
class ReadyAttack:
    """An attack that is made, and fitted where it can be.

    Attributes:
        generate: images and labels (or targets) to protected images.
        fitting: cost of the fit.
    """

    generate: Callable[[FloatImages, Labels | None], FloatImages]
    fitting: Cost


@dataclass
class Account:
    """What making the images of a cell cost, complete once they are all made.

    Attributes:
        crafting: of perturbing its faces; fitting: of the fit before, if any.
        peak_mb: largest resident memory of the process until then.
        left_training: surrogates that the attack left in training mode.
        seconds: of each stage.
    """

    crafting: Cost = field(default_factory=Cost)
    fitting: Cost = field(default_factory=Cost)
    peak_mb: float = 0.0
    left_training: list[str] = field(default_factory=list)
    seconds: Stopwatch = field(default_factory=Stopwatch)


@dataclass
class Workplace:
    """Where the cells of one batch are made: its data and victims, its keys, and its store.

    Attributes:
        step: called with the images that are done, of the cell's own, for its progress.
        fitted: attacks that are ready, for later cells of the batch.
    """

    context: RunContext
    keys: Keys
    store: Store
    step: Callable[[int], None] = lambda done: None
    fitted: dict[str, ReadyAttack] = field(default_factory=dict)


def make_ready(request: Request, place: Workplace, account: Account) -> ReadyAttack:
    """The attack of a request, fitted on the fit split; once in a batch."""
    key = place.keys.request(request)
    if key not in place.fitted:
        with account.seconds.of("fit"):
            place.fitted[key] = _make(request, place.context)
    return place.fitted[key]


def _make(request: Request, context: RunContext) -> ReadyAttack:
    entry: AttackEntry = registry.get("attacks", request.entry)
    names = request.surrogates
    classifiers = context.classifiers(request.entry, names, request.dataset)
    with isolated(request.seed):
        attack = make_attack(
            entry, classifiers, request.params, request.seed, targeted=request.target >= 0
        )
    if not hasattr(attack, "fit"):
        return ReadyAttack(attack.generate, Cost())
    universal = cast(FittableAttack, attack)
    faces = context.faces(request.dataset, "fit", request.fit_limit, request.seed)
    y = context.labels(request.target, faces, names)
    with isolated(request.seed), PassCounter(context.victims[n] for n in names) as counter:
        universal.fit(to_float(faces.images), y)
    return ReadyAttack(
        universal.apply if entry.traits.is_fitted else universal.generate, counter.cost
    )


def protected_blocks(
    request: Request, faces: FaceSet, place: Workplace, account: Account
) -> Iterator[tuple[ByteImages, FloatImages]]:
    """Blocks of originals and of what the attack makes of them; the cost goes to the account.

    Raises:
        PriemoError: other than images of the same shape in [0, 1] come back.
    """
    context, names = place.context, request.surrogates
    attack = make_ready(request, place, account)
    account.fitting = attack.fitting
    reset_peak()
    labels = context.labels(request.target, faces, names)
    for number, rows in enumerate(blocks_of(len(faces))):
        x, y = faces.images[rows], None if labels is None else labels[rows]
        try:
            with (
                account.seconds.of("attack"),
                isolated(request.seed + number),
                PassCounter(context.victims[name] for name in names) as counter,
            ):
                changed = attack.generate(to_float(x), y)
        finally:
            account.left_training += _back_to_evaluation(context, names)
        account.crafting += counter.cost
        account.peak_mb = max(account.peak_mb, peak_megabytes())
        yield x, _checked(changed, x)
        place.step(rows.stop)


def perturbation(request: Request, faces: FaceSet, place: Workplace, account: Account) -> str:
    """Key of the perturbations of `faces` in the store, made now unless they are there.

    They are kept in grey levels in half precision, of which the smallest step at 8 levels is
    1/256 of a level. The account is of their making, whenever that was.
    """
    key, store = place.keys.perturbation(request, faces), place.store
    name = f"attack-{key}"
    known = store.facts(name)
    if known is None or not store.has_perturbation(key):
        own = Account(seconds=account.seconds)
        store.save_perturbation(
            key,
            (
                ((changed - to_float(x)) * 255).astype(np.float16)
                for x, changed in protected_blocks(request, faces, place, own)
            ),
        )
        known = {
            "crafting": vars(own.crafting),
            "fitting": vars(own.fitting),
            "peak_mb": own.peak_mb,
            "left_training": list(dict.fromkeys(own.left_training)),
        }
        store.save_facts(name, known)
    account.crafting, account.fitting = Cost(**known["crafting"]), Cost(**known["fitting"])
    account.peak_mb, account.left_training = known["peak_mb"], known["left_training"]
    return key


def without(request: Request, surrogate: str) -> Request:
    """The same attack without access to one of its surrogates."""
    rest = tuple(name for name in request.surrogates if name != surrogate)
    return replace(request, surrogates=rest)


def blocks_of(n: int) -> list[slice]:
    """Slices of at most BLOCK of `n` images."""
    return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


@contextmanager
def isolated(seed: int = 0) -> Iterator[None]:
    """For a plug-in: global generators seeded; what it changes of torch and numpy is undone."""
    dtype, threads, errors = torch.get_default_dtype(), torch.get_num_threads(), np.geterr()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        np.seterr(**errors)


def _checked(changed: Any, x: ByteImages) -> FloatImages:
    floats = check_images(changed, "what the attack gave")
    if floats.shape != x.shape:
        raise PriemoError(f"the attack gave images of shape {floats.shape} for {x.shape}")
    return floats


def _back_to_evaluation(context: RunContext, names: tuple[str, ...]) -> list[str]:
    """Put surrogates that are in training mode back; their names."""
    found = [n for n in names if any(m.training for m in context.victims[n].modules())]
    for name in found:
        context.victims[name].eval()
    return found
