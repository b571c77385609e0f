"""Rules for attacks: each takes an `AttackCase`, and raises `Broken`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from priemo_bench.contracts.attack import FITTED_SCOPES, AttackEntry
from priemo_bench.contracts.image import FloatImages, Labels, publish
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget
from priemo_bench.quality.ssim import ssim
from priemo_bench.testing.toys import require, toy_classifier, toy_faces

BUDGETS = ((0.99, None, 4 / 255), (0.95, None, None), (None, 38.0, 4 / 255), (None, None, 2 / 255))
"""SSIM floor, PSNR floor and cap that an attack with `traits.budgeted` is held to."""


@dataclass(frozen=True)
class AttackCase:
    """An attack entry with what it is tried on.

    Attributes:
        entry: what the entry point points at.
        classifier: an ART classifier of the images' shape.
        x, y: images in [0, 1] and their labels, all emotions among them.
        params: constructor arguments for every call (fewer steps, say).
    """

    entry: AttackEntry
    classifier: Any
    x: FloatImages
    y: Labels
    params: Mapping[str, Any] = field(default_factory=dict)

    def make(self, seed: int = 0, **params: Any) -> Any:
        """The attack, made as the harness makes it and fitted where it can be."""
        traits = self.entry.traits
        given = {**self.params, **params}
        if traits.random:
            given.setdefault("random_state", seed)
        y = given.pop("y", self.y)
        attack = self.entry(None if traits.surrogates == "none" else self.classifier, **given)
        return attack.fit(self.x, y) if hasattr(attack, "fit") else attack

    def protect(self, **params: Any) -> FloatImages:
        """Protected images of `x`."""
        return self.make(**params).generate(self.x, params.get("y", self.y))


def protect(entry: AttackEntry, channels: int = 1, **params: Any) -> FloatImages:
    """Protected toy faces of `entry`, white-box on the toy victim."""
    return toy_case(entry, channels, **params).protect()


def toy_case(entry: AttackEntry, channels: int = 1, **params: Any) -> AttackCase:
    """`entry` on the toy faces and the toy victim."""
    return AttackCase(entry, toy_classifier(channels), *toy_faces(channels=channels), params)


def _differing(a: FloatImages, b: FloatImages) -> float:
    """Share of published pixels that differ."""
    return float((publish(a) != publish(b)).mean())


def is_an_art_attack(case: AttackCase) -> None:
    """An ART `EvasionAttack` with its `attack_params`."""
    from art.attacks import EvasionAttack

    attack = case.make()
    require(isinstance(attack, EvasionAttack), f"{type(attack).__name__} is no EvasionAttack")
    missing = [name for name in attack.attack_params if not hasattr(attack, name)]
    require(not missing, f"attack_params names {missing}, which the attack does not have")


def keeps_the_image_contract(case: AttackCase) -> None:
    """float32 of the same shape in [0, 1]."""
    out = case.protect()
    require(out.shape == case.x.shape, f"{case.x.shape} became {out.shape}")
    require(out.dtype == np.float32, f"the result is {out.dtype}, not float32")
    low, high = float(out.min()), float(out.max())
    require(low >= 0 and high <= 1, f"values from {low:g} to {high:g} leave [0, 1]")


def leaves_its_input_alone(case: AttackCase) -> None:
    """Neither images nor labels are modified, and read-only arrays are accepted."""
    x, y = case.x.copy(), case.y.copy()
    x.setflags(write=False)
    y.setflags(write=False)
    AttackCase(case.entry, case.classifier, x, y, case.params).protect()
    require(np.array_equal(x, case.x) and np.array_equal(y, case.y), "the input was modified")


def repeats_itself(case: AttackCase) -> None:
    """Equal seeds (or none, where nothing is random) publish equal images."""
    share = _differing(case.protect(), case.protect())
    require(share == 0, f"{share:.2%} of the pixels differ between two equal calls")


def seeds_matter(case: AttackCase) -> None:
    """Where `traits.random`, another seed gives another result: averaging seeds has a reason.

    Asked in small batches where the attack has a `batch_size`: one batch of all has no order.
    """
    if case.entry.traits.random:
        batches = "batch_size" in case.make().attack_params
        small = {"batch_size": len(case.x) // 2} if batches else {}
        share = _differing(case.protect(seed=0, **small), case.protect(seed=1, **small))
        require(share > 0, "traits.random is set, but two seeds give the same images")


def treats_each_image_alone(case: AttackCase) -> None:
    """Once fitted, an image's result does not depend on the rest of the batch.

    Not asked of random attacks, whose draws follow the batch, nor of shared perturbations
    without `fit`, which `generate` learns from the batch.
    """
    traits = case.entry.traits
    attack = case.make()
    shared = traits.scope in FITTED_SCOPES
    if (shared and not hasattr(attack, "fit")) or (traits.random and not shared):
        return
    whole = attack.generate(case.x, case.y)
    rows = np.array_split(np.arange(len(case.x)), 3)
    parts = np.concatenate([attack.generate(case.x[r], case.y[r]) for r in rows])
    share = _differing(whole, parts)
    require(share < 0.01, f"{share:.2%} of the pixels depend on the rest of the batch")


def lands_on_its_budget(case: AttackCase) -> None:
    """Where `traits.budgeted`, every published image keeps the floor and the cap given."""
    if case.entry.traits.budgeted:
        for ssim_floor, psnr_floor, eps in BUDGETS:
            psnr = {} if psnr_floor is None else {"psnr_floor": psnr_floor}
            out = case.protect(ssim_floor=ssim_floor, eps=eps, **psnr)
            budget = Budget.of(ssim_floor, eps, psnr_floor)
            kept = budget.holds(publish(case.x), publish(out))
            require(kept.all(), f"{(~kept).sum()} images leave {budget}")


def its_knob_turns(case: AttackCase) -> None:
    """The strongest value of the knob costs more SSIM than the weakest."""
    traits = case.entry.traits
    if traits.knob is not None and len(traits.strengths) > 1:
        ends = [traits.strengths[0], traits.strengths[-1]]
        outs = [publish(case.protect(**{traits.knob: value})) for value in ends]
        weak, strong = (float(ssim(publish(case.x), out).mean()) for out in outs)
        require(strong < weak, f"{traits.knob}={ends[1]:g} costs no more SSIM than {ends[0]:g}")


def aims_at_its_target(case: AttackCase) -> None:
    """Where `traits.targeted`, faces move towards the target on the surrogate."""
    if case.entry.traits.targeted:
        target = np.full_like(case.y, 3)
        rest = case.y != 3
        out = case.protect(targeted=True, y=target)
        before, after = (_log_share(case.classifier, x[rest])[:, 3] for x in (case.x, out))
        require(after.mean() > before.mean(), "a targeted attack moves faces off their target")


def _log_share(classifier: Any, x: FloatImages) -> np.ndarray:
    logits = classifier.predict(x).astype(np.float64)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def refuses_bad_images(case: AttackCase) -> None:
    """PriemoError for values outside [0, 1], NaN, a missing axis, integers and an empty batch."""
    attack = case.make()
    bad = {
        "values of 1.5": case.x + 1,
        "NaN": case.x * np.float32("nan"),
        "rank 3": case.x[0],
        "uint8": publish(case.x),
        "an empty batch": case.x[:0],
    }
    for name, x in bad.items():
        try:
            attack.generate(x, case.y[: len(x)])
        except PriemoError:
            continue
        require(False, f"{name} must raise PriemoError")


ATTACK_RULES: tuple[Callable[[AttackCase], None], ...] = (
    is_an_art_attack,
    keeps_the_image_contract,
    leaves_its_input_alone,
    repeats_itself,
    seeds_matter,
    treats_each_image_alone,
    lands_on_its_budget,
    its_knob_turns,
    aims_at_its_target,
    refuses_bad_images,
)


def check_attack(
    entry: AttackEntry,
    classifier: Any = None,
    x: FloatImages | None = None,
    y: Labels | None = None,
    **params: Any,
) -> None:
    """Hold every rule against `entry`; the first broken one raises.

    Without `classifier`, `x` and `y`: on toy faces, grey and RGB. `params` go to its constructor.
    """
    given = classifier is not None and x is not None and y is not None
    cases = (
        [AttackCase(entry, classifier, x, y, params)]  # type: ignore[arg-type]
        if given
        else [toy_case(entry, channels, **params) for channels in (1, 3)]
    )
    for case in cases:
        for rule in ATTACK_RULES:
            rule(case)
