"""A stranger's things as the harness uses them: classes without traits, plain functions, objects.

An attack is taken as

    an entry          callable as `entry(classifier, **params)`, with `traits`: as it is
    a class of ART    a subclass of `EvasionAttack`; its traits are those of its signature
    an attack of ART  the same class, with the parameters that the object has
    a class (model)   called with the torch module, as those of torchattacks and torchattack are;
                      its objects are called with images and labels, both tensors
    a function        `attack(x, y)` on arrays, or on tensors where it calls them `images` and
                      `labels`; what it calls `classifier` or `estimator` is ART's, `model` the
                      torch module; further parameters are its settings, `eps` its strength
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from priemo_bench.contracts.attack import EPS_GRID, Attack, AttackEntry, Traits, named_parameters
from priemo_bench.contracts.defense import described
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.contracts.preset import Preset
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from torch import nn

IMAGES, LABELS = ("x", "images"), ("y", "labels")
CLASSIFIERS, MODELS = ("classifier", "estimator"), ("model", "net")
TENSORS = {"images", "labels"}
BATCH = 64
"""Images that an attack on tensors is given at once."""


def attack_entry(thing: Any, which: str) -> AttackEntry:
    """`thing` as an entry of attacks, with traits that its signature shows.

    Args:
        thing: any of what the module says.
        which: what to call it in an error.

    Raises:
        PriemoError: it is none of these.
    """
    if isinstance(getattr(thing, "traits", None), Traits):
        entry: AttackEntry = thing
        return entry
    if hasattr(thing, "traits"):
        raise PriemoError(
            f"{which} has `traits` that are a {type(thing.traits).__name__}; they must be a "
            "priemo_bench.contracts.attack.Traits"
        )
    summary, source = described(thing)
    return replace(_preset(thing, which), summary=summary, source=source)


def _preset(thing: Any, which: str) -> Preset:
    if _is_of_art(thing):
        return Preset(thing, class_traits(thing))
    if _is_of_art(type(thing)):
        return Preset(type(thing), class_traits(type(thing)), _settings(thing))
    if isinstance(thing, type):
        return Preset(partial(_on_tensors, _model_class(thing, which)), _traits(thing, "one"))
    if callable(thing):
        return Preset(partial(_of_function, thing), _function_traits(thing, which))
    raise PriemoError(
        f"{which} is a {type(thing).__name__}; an attack is an ART EvasionAttack (its class or an "
        "object), a class of attacks on a torch model, or a function of x and y"
    )


def class_traits(thing: type) -> Traits:
    """What the signature of a class of ART shows; one with `fit` and `apply` is universal."""
    fitted = hasattr(thing, "fit") and hasattr(thing, "apply")
    named = named_parameters(thing)
    models = [named[name] for name in CLASSIFIERS if name in named]
    needed = any(p.default is p.empty for p in models)
    several = "many" if "surrogates" in named else "one"
    return _traits(thing, several if needed else "none", fitted)


def _traits(thing: Any, surrogates: Any, fitted: bool = False) -> Traits:
    named = named_parameters(thing)
    return Traits(
        "universal" if fitted else "per-image",
        "universal" if fitted else "image",
        surrogates,
        targeted="targeted" in named,
        knob="eps" if "eps" in named else None,
        strengths=EPS_GRID if "eps" in named else (),
        random="random_state" in named,
        budgeted={"ssim_floor", "psnr_floor", "eps"} <= named.keys(),
    )


def _function_traits(thing: Any, which: str) -> Traits:
    named = named_parameters(thing)
    if not {*IMAGES} & named.keys():
        raise PriemoError(
            f"{which} is a function of {', '.join(named) or 'nothing'}; an attack's function has "
            "a parameter x (an array) or images (a tensor), and may have y or labels, classifier "
            "or model, and settings such as eps=8/255"
        )
    given = {*IMAGES, *LABELS, *CLASSIFIERS, *MODELS}
    free = [n for n, p in named.items() if n not in given and p.default is p.empty]
    if free:
        raise PriemoError(f"{which} needs {', '.join(free)}; give it a default value")
    looks = {*CLASSIFIERS, *MODELS} & named.keys()
    return _traits(thing, "one" if looks else "none")


def _is_of_art(thing: Any) -> bool:
    """Whether a class inherits from ART's `EvasionAttack`; ART is not imported for it."""
    bases = thing.__mro__ if isinstance(thing, type) else ()
    return any((b.__module__, b.__name__) == ("art.attacks.attack", "EvasionAttack") for b in bases)


def _settings(attack: Any) -> dict[str, Any]:
    """The parameters of an object of ART, as its constructor takes them; not its estimator."""
    named = named_parameters(type(attack))
    wanted = [n for n in attack.attack_params if n in named and n != "summary_writer"]
    return {name: getattr(attack, name) for name in wanted if hasattr(attack, name)}


def _model_class(thing: type, which: str) -> type:
    first = next(iter(named_parameters(thing)), None)
    if first not in MODELS or not callable(getattr(thing, "__call__", None)):  # noqa: B004
        raise PriemoError(
            f"{which} is a class that is no EvasionAttack of ART, and its constructor does not "
            "begin with `model`; inherit from art.attacks.attack.EvasionAttack, or give a function"
        )
    return thing


def _on_tensors(make: type, classifier: Any, **params: Any) -> Attack:
    """An object of a class (model, ...) as an attack of ART."""
    attack = make(classifier.model, **params)
    return _function_attack(classifier, lambda x, y: _in_batches(attack, x, y, classifier))


def _of_function(function: Callable[..., Any], classifier: Any, **params: Any) -> Attack:
    named = named_parameters(function)
    unknown = [name for name in params if name not in named]
    if unknown:
        raise PriemoError(f"{function.__name__} has no parameter {', '.join(unknown)}")
    fixed = {name: classifier for name in CLASSIFIERS if name in named}
    fixed |= {name: classifier.model for name in MODELS if name in named}

    def run(x: Any, y: Any) -> Any:
        values = {"x": x, "images": x, "y": y, "labels": y}
        return function(**{n: v for n, v in values.items() if n in named}, **fixed, **params)

    if TENSORS & named.keys():
        return _function_attack(classifier, lambda x, y: _in_batches(run, x, y, classifier))
    return _function_attack(classifier, run)


def _in_batches(
    run: Callable[[Any, Any], Any], x: FloatImages, y: Labels, classifier: Any
) -> FloatImages:
    """Arrays to a function of tensors and back, BATCH images at a time."""
    import torch

    device = "cpu" if classifier is None else classifier.device
    found = []
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        images = torch.from_numpy(x[rows].copy()).to(device)
        labels = None if y is None else torch.from_numpy(y[rows]).to(device)
        found.append(torch.as_tensor(run(images, labels)).detach().cpu().numpy())
    return np.concatenate(found)


def _function_attack(classifier: Any, run: Callable[[FloatImages, Any], Any]) -> Attack:
    """`run` on arrays as an `EvasionAttack`, with labels as ART's attacks complete them."""
    from art.attacks.attack import EvasionAttack

    from priemo_bench.contracts.image import check_images

    class FunctionAttack(EvasionAttack):  # type: ignore[misc]  # ART has no types
        """A function as an attack of ART."""

        _estimator_requirements = ()

        def generate(
            self, x: FloatImages, y: object | None = None, mask: Any = None
        ) -> FloatImages:
            """Protected images (n, c, h, w), floats in [0, 1]; as they were where `mask` is 0."""
            x = check_images(x)
            labels: Any = None if y is None else np.asarray(y)
            if labels is not None and labels.ndim == 2:
                labels = labels.argmax(1)
            if labels is None and self.estimator is not None:
                labels = self.estimator.predict(x).argmax(1)
            found = np.asarray(run(x.copy(), labels), np.float32)
            found = check_images(found, "what the attack gave")
            return found if mask is None else _masked(x, found, mask)

    return FunctionAttack(estimator=classifier)


def _masked(x: FloatImages, found: FloatImages, mask: Any) -> FloatImages:
    try:
        kept: Any = np.broadcast_to(np.asarray(mask, float), x.shape)
    except (TypeError, ValueError) as error:
        raise PriemoError(
            f"mask is a {type(mask).__name__}; it must be numbers that can be broadcast to x, "
            f"{x.shape}"
        ) from error
    return np.where(kept != 0, found, x)


def victim_entry(thing: Any, which: str) -> Callable[[], nn.Module]:
    """`thing` as an entry of victims: a module, a class or factory of one, or a function.

    A function with a parameter that has no default predicts: it is a black box that no attack can
    look into, see `as_victim`.

    Raises:
        PriemoError: it is none of these.
    """
    if not callable(thing):
        raise PriemoError(
            f"{which} is a {type(thing).__name__}; a victim is a torch module, a class or a "
            "function that makes one, or a function that predicts"
        )
    needed = [p for p in named_parameters(thing).values() if p.default is p.empty]
    makes = isinstance(thing, type) or (not needed and not _is_module(thing))
    if isinstance(thing, type) and needed:
        raise PriemoError(
            f"{which} is a class that needs {', '.join(p.name for p in needed)}; give a function "
            "without parameters that makes it, or the module itself"
        )
    entry = partial(_victim, thing, which, makes)
    predicts = not makes and not _is_module(thing)
    entry.judged_only = predicts or not getattr(  # type: ignore[attr-defined]
        thing, "differentiable", True
    )
    return entry


def _is_module(thing: Any) -> bool:
    bases = type(thing).__mro__
    return any(b.__module__ == "torch.nn.modules.module" and b.__name__ == "Module" for b in bases)


def _victim(thing: Any, which: str, makes: bool) -> nn.Module:
    from priemo_bench.contracts.given import as_victim

    return as_victim(thing() if makes else thing, name=which)


def called(thing: Any, which: str) -> Any:
    """A defense or metric: a function or object as it is, of a class an object.

    Raises:
        PriemoError: a class that needs arguments, or a thing that is not callable.
    """
    needed = [n for n, p in named_parameters(thing).items() if p.default is p.empty]
    if isinstance(thing, type):
        if needed:
            raise PriemoError(f"{which} needs {', '.join(needed)}; give an object of it")
        thing = thing()
    if not callable(thing):
        raise PriemoError(f"{which} is a {type(thing).__name__}; it must be callable")
    return thing
