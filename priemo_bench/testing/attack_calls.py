"""Rules for how an attack may be called, and for what a call may change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from priemo_bench.contracts.image import publish
from priemo_bench.errors import PriemoError
from priemo_bench.testing.arrays import alike_floats
from priemo_bench.testing.cases import AttackCase, differing, state_of
from priemo_bench.testing.rules import check, rule

FEW = slice(0, 3)
"""Faces that suffice where only the kind of the array matters."""


@rule("copy before writing: x = np.array(x, np.float32)")
def does_not_modify_its_input(case: AttackCase) -> None:
    """Neither images nor labels are modified."""
    x, y = case.x.copy(), case.y.copy()
    attack = case.make(fitted=False)
    if hasattr(attack, "fit"):
        attack.fit(x, y)
    attack.generate(x, y)
    check(np.array_equal(x, case.x), "the images were modified")
    check(np.array_equal(y, case.y), "the labels were modified")


@rule("begin with x = priemo_bench.contracts.image.check_images(x), which takes them all")
def takes_any_array(case: AttackCase) -> None:
    """Mirrored, read-only, broadcast and other views, other floats, and tensors are taken."""
    attack, y = case.attack, case.y[FEW]
    for name, given, plain in alike_floats(case.x[FEW]):
        found = _tried(name, partial(attack.generate, given, y.copy()))
        if not _draws_anew(case):
            share = differing(attack.generate(plain.copy(), y.copy()), found)
            check(share < 0.01, f"{name} gives other images ({share:.1%} of the pixels)")


@rule("begin with x = priemo_bench.contracts.image.check_images(x)")
def refuses_bad_images(case: AttackCase) -> None:
    """PriemoError for values outside [0, 1], NaN, a missing axis, integers and an empty batch."""
    bad = {
        "values of 1.5": case.x + 1,
        "NaN": case.x * np.float32("nan"),
        "rank 3": case.x[0],
        "uint8": publish(case.x),
        "an empty batch": case.x[:0],
    }
    for name, x in bad.items():
        _refused(name, partial(case.attack.generate, x, case.y[: len(x)]))


@rule("raise PriemoError for targets that are no class, or not as many as the images")
def refuses_bad_targets(case: AttackCase) -> None:
    """If `traits.targeted`, PriemoError for targets that are none."""
    if not case.entry.traits.targeted:
        return
    n, classes = len(case.x), int(case.classifier.nb_classes)
    for name, y in {
        f"targets of {classes}": np.full(n, classes),
        "targets of -1": np.full(n, -1),
        "targets of 0.5": np.full(n, 0.5),
        "too few targets": np.zeros(n - 1, np.int64),
        "no targets": None,
    }.items():
        attack = case.make(targeted=True, fitted=False)
        fit = attack.fit if case.entry.traits.is_fitted else attack.generate
        _refused(name, partial(fit, case.x.copy(), y))


@rule("raise PriemoError in _check_params for a value that the knob cannot have")
def refuses_bad_parameters(case: AttackCase) -> None:
    """PriemoError for a knob (or eps) of NaN, -1 or a word, and for a parameter that is none."""
    traits = case.entry.traits
    knob = traits.knob or ("eps" if traits.budgeted else None)
    make: Callable[..., Any] = case.make
    for value in (float("nan"), -1, "strong") if knob else ():
        _refused(f"{knob}={value!r}", partial(make, fitted=False, **{str(knob): value}))
    _refused(
        "a parameter that does not exist", lambda: case.make(fitted=False, no_such_parameter=1)
    )


@rule("leave **kwargs out of generate's signature, or raise PriemoError for what is in it")
def refuses_unknown_keywords(case: AttackCase) -> None:
    """A misspelt keyword of `generate` is refused, not swallowed."""
    try:
        case.attack.generate(case.x[FEW].copy(), case.y[FEW].copy(), no_such_keyword=1)
    except (PriemoError, TypeError):
        return
    check(False, "generate(x, y, no_such_keyword=1) is taken without a word")


@rule("change only where mask is 1: x + mask * (protected - x); or refuse mask with PriemoError")
def honours_or_refuses_a_mask(case: AttackCase) -> None:
    """With `mask`, as ART's attacks take it, nothing changes where it is 0; or it is refused."""
    half = case.x.shape[-1] // 2
    mask = np.zeros(case.x.shape[1:], np.float32)
    mask[..., :half] = 1
    try:
        out = case.attack.generate(case.x.copy(), case.y.copy(), mask=mask)
    except (PriemoError, TypeError):
        return
    share = differing(out[..., half:], case.x[..., half:])
    check(share == 0, f"{share:.1%} of the pixels outside the mask change")


@rule("write float(value) and int(value) where a parameter is used; do not compare types with is")
def takes_numpy_numbers(case: AttackCase) -> None:
    """Seeds and the knob may be numbers of numpy, as a loop over an array gives them."""
    traits = case.entry.traits
    params: dict[str, Any] = {}
    make: Callable[..., Any] = case.make
    if traits.knob and traits.strengths:
        value = traits.strengths[-1]
        whole = isinstance(value, int)
        params[traits.knob] = np.int64(value) if whole else np.float64(value)
        small = np.int32(value) if whole else np.float32(value)
        _tried(type(small).__name__, partial(make, fitted=False, **{str(traits.knob): small}))
    wanted = case.at_ends[traits.strengths[-1]] if params else case.protected
    found = _tried("a number of numpy", lambda: case.protect(seed=np.int64(0), **params))  # type: ignore[arg-type]
    share = differing(wanted, found)
    check(share == 0, f"numbers of numpy give other images ({share:.1%} of the pixels)")


@rule("keep nothing of a call but what fit learns; seed a generator anew in each call")
def keeps_no_state(case: AttackCase) -> None:
    """What a call gives does not depend on earlier calls, with other images or the same.

    Not checked for ciphers, which draw a nonce for each call.
    """
    if _draws_anew(case):
        return
    half = len(case.x) // 2
    first, second = slice(0, half), slice(half, None)
    attack = case.attack
    before = case.run(attack, rows=first)
    case.run(attack, rows=second)
    share = differing(before, case.run(attack, rows=first))
    check(share == 0, f"the same images give others ({share:.1%} of the pixels) a call later")
    if case.entry.traits.is_fitted:
        return
    used = case.make(fitted=False)
    case.run(used, rows=first)
    share = differing(case.run(used, rows=second), case.run(case.make(fitted=False), rows=second))
    check(share == 0, f"{share:.1%} of the pixels depend on which images an earlier call was given")


@rule("read parameters when they are used, and drop in _check_params what depends on them")
def set_params_takes_effect(case: AttackCase) -> None:
    """After `set_params` an attack is as one made so; or it says that it must be fitted again.

    One that is fitted may also use what was fitted with the new parameter; but not as before.
    """
    target = np.full_like(case.y, 3)
    for params, y in _changes(case, target):
        used = case.make()
        before = case.run(used, y)
        targeted = params.pop("targeted", False)
        try:
            used.set_params(**params, **({"targeted": True} if targeted else {}))
            found = case.run(used, y)
        except PriemoError:
            continue
        wanted = case.protect(targeted=targeted, y=y, **params)
        share = differing(wanted, found)
        if case.entry.traits.is_fitted and differing(before, found) > 0:
            continue
        what = "targeted=True" if targeted else ", ".join(f"{k}={v:g}" for k, v in params.items())
        check(share == 0, f"set_params({what}) has no effect ({share:.1%} of the pixels differ)")


def _changes(case: AttackCase, target: Any) -> list[tuple[dict[str, Any], Any]]:
    """Parameters to set after a fit, each with the labels or targets of the call."""
    traits = case.entry.traits
    known = getattr(case.attack, "attack_params", ())
    found: list[tuple[dict[str, Any], Any]] = []
    if traits.knob in known and traits.strengths:
        found.append(({str(traits.knob): traits.strengths[0]}, None))
    elif traits.budgeted and "eps" in known:
        found.append(({"eps": 1 / 255}, None))
    if traits.targeted and "targeted" in known:
        found.append(({"targeted": True}, target))
    return found


@rule("seed own generators, and put back what a call sets: with torch.random.fork_rng() ...")
def leaves_global_state_alone(case: AttackCase) -> None:
    """Random generators, torch's grad mode and dtype, numpy's settings, and the folder stay."""
    changed = case.again[1]
    check(not changed, f"it changes {' and '.join(changed)}")


@rule("use the classifier as it is; put back what is set: model.train(), requires_grad, grad")
def leaves_the_classifier_alone(case: AttackCase) -> None:
    """The surrogate keeps its weights, its mode, and which of its parameters need gradients."""
    if case.entry.traits.surrogates == "none":
        return
    case.run(case.attack)
    after = state_of(case.classifier.model)
    changed = [name for name, value in case.model_before.items() if not _same(value, after[name])]
    check(not changed, f"it changes {changed[0] if changed else ''} of the surrogate")


@rule("compute gradients within torch.enable_grad()")
def works_without_grad_mode(case: AttackCase) -> None:
    """Called within `torch.no_grad()`, as many programs do, it gives the same images."""
    with torch.no_grad():
        found = _tried("torch.no_grad()", case.protect)
    share = differing(case.protected, found)
    check(share == 0, f"{share:.1%} of the pixels are others within torch.no_grad()")


def _draws_anew(case: AttackCase) -> bool:
    """Whether no two calls may give the same: a key stream must not be used twice."""
    return case.entry.traits.family == "cryptographic"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(a, b)
    return a is b


def _tried(name: str, call: Callable[[], Any]) -> Any:
    """What a call gives; where it raises, the sentence says with what."""
    try:
        return call()
    except Exception as error:
        error.args = (f"with {name}: {' '.join(map(str, error.args))}",)
        raise


def _refused(name: str, call: Callable[[], Any]) -> None:
    """`Broken` unless a call raises PriemoError."""
    try:
        call()
    except PriemoError:
        return
    except Exception as error:
        check(False, f"{name} must raise PriemoError, not {type(error).__name__}")
    check(False, f"{name} must raise PriemoError; it is taken without a word")


RULES = (
    does_not_modify_its_input,
    takes_any_array,
    refuses_bad_images,
    refuses_bad_targets,
    refuses_bad_parameters,
    refuses_unknown_keywords,
    honours_or_refuses_a_mask,
    takes_numpy_numbers,
    keeps_no_state,
    set_params_takes_effect,
    leaves_global_state_alone,
    leaves_the_classifier_alone,
    works_without_grad_mode,
)
