"""Rules for attacks: each takes an `AttackCase` and raises `Broken` where it does not conform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.attack import Attack, AttackEntry, make_attack
from priemo_bench.contracts.image import FloatImages, Labels, publish
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget
from priemo_bench.quality.structural import ssim
from priemo_bench.testing.toys import check, toy_classifier, toy_faces

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

BUDGETS = ((0.99, None, 4 / 255), (0.95, None, None), (None, 38.0, 4 / 255), (None, None, 2 / 255))
"""SSIM floor, PSNR floor and eps that an attack with `traits.budgeted` is checked with."""


@dataclass(frozen=True)
class AttackCase:
    """An attack entry with the classifier and the images to check it on.

    Attributes:
        entry: what the entry point points at.
        classifier: an ART classifier of the images' shape.
        x, y: images in [0, 1] and their labels, all emotions among them.
        params: constructor arguments for every call (fewer steps, say).
    """

    entry: AttackEntry
    classifier: PyTorchClassifier
    x: FloatImages
    y: Labels
    params: Mapping[str, Any] = field(default_factory=dict)

    def make(
        self, seed: int = 0, targeted: bool = False, y: Labels | None = None, **params: Any
    ) -> Attack:
        """The attack as the harness makes it, fitted on `x` if it has a `fit`."""
        used = [] if self.entry.traits.surrogates == "none" else [self.classifier]
        attack = make_attack(self.entry, used, {**self.params, **params}, seed, targeted)
        if hasattr(attack, "fit"):
            attack.fit(self.x, self.y if y is None else y)
        return attack

    def protect(
        self, seed: int = 0, targeted: bool = False, y: Labels | None = None, **params: Any
    ) -> FloatImages:
        """Protected images of `x`; with `targeted`, `y` are the targets."""
        attack = self.make(seed, targeted, y, **params)
        return attack.generate(self.x, self.y if y is None else y)

    @cached_property
    def attack(self) -> Attack:
        """`make()`, once for all rules."""
        return self.make()

    @cached_property
    def protected(self) -> FloatImages:
        """Protected images of `x` by `attack`."""
        return self.attack.generate(self.x, self.y)


def protect(entry: AttackEntry, channels: int = 1, **params: Any) -> FloatImages:
    """Toy faces protected by `entry`, white-box on the toy victim: (14, channels, 32, 32)."""
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

    attack: Any = case.attack
    check(isinstance(attack, EvasionAttack), f"{type(attack).__name__} is not an EvasionAttack")
    missing = [name for name in attack.attack_params if not hasattr(attack, name)]
    check(not missing, f"attack_params names {missing}, which the attack does not have")


def keeps_the_image_contract(case: AttackCase) -> None:
    """Protected images are float32 of the same shape in [0, 1]."""
    out = case.protected
    check(out.shape == case.x.shape, f"{case.x.shape} became {out.shape}")
    check(out.dtype == np.float32, f"the result is {out.dtype}, not float32")
    low, high = float(out.min()), float(out.max())
    check(low >= 0 and high <= 1, f"values from {low:g} to {high:g} leave [0, 1]")


def does_not_modify_its_input(case: AttackCase) -> None:
    """Neither images nor labels are modified, and read-only arrays are accepted."""
    x, y = case.x.copy(), case.y.copy()
    x.setflags(write=False)
    y.setflags(write=False)
    AttackCase(case.entry, case.classifier, x, y, case.params).protect()
    check(np.array_equal(x, case.x) and np.array_equal(y, case.y), "the input was modified")


def is_reproducible(case: AttackCase) -> None:
    """Two calls with equal arguments (and seed, if random) give equal published images."""
    share = _differing(case.protected, case.protect())
    check(share == 0, f"{share:.2%} of the pixels differ between two equal calls")


def depends_on_its_seed(case: AttackCase) -> None:
    """If `traits.random`, another seed gives another result, so that averaging seeds makes sense.

    In two batches if the attack has a `batch_size`: the order within a single batch is irrelevant.
    """
    if case.entry.traits.random:
        batched = "batch_size" in getattr(case.attack, "attack_params", ())
        small: dict[str, Any] = {"batch_size": len(case.x) // 2} if batched else {}
        first = case.protect(seed=0, **small) if batched else case.protected
        share = _differing(first, case.protect(seed=1, **small))
        check(share > 0, "traits.random is set, but two seeds give the same images")


def is_independent_of_the_batch(case: AttackCase) -> None:
    """Once the attack is fitted, an image's result does not depend on the rest of the batch.

    Not checked for random per-image attacks, whose random numbers depend on the batch, nor for
    universal ones without `fit`, whose `generate` fits to the batch.
    """
    traits, attack = case.entry.traits, case.attack
    skipped = not hasattr(attack, "fit") if traits.is_fitted else traits.random
    if skipped:
        return
    rows = np.array_split(np.arange(len(case.x)), 3)
    parts = np.concatenate([attack.generate(case.x[r], case.y[r]) for r in rows])
    share = _differing(case.protected, parts)
    check(share < 0.01, f"{share:.2%} of the pixels depend on the rest of the batch")


def meets_its_budget(case: AttackCase) -> None:
    """If `traits.budgeted`, every published image is within the floor and the cap given."""
    if case.entry.traits.budgeted:
        for ssim_floor, psnr_floor, eps in BUDGETS:
            bounds: dict[str, Any] = {"ssim_floor": ssim_floor, "eps": eps}
            if psnr_floor is not None:
                bounds["psnr_floor"] = psnr_floor
            out = case.protect(**bounds)
            budget = Budget.of(ssim_floor, eps, psnr_floor)
            kept = budget.holds(publish(case.x), publish(out))
            check(kept.all(), f"{(~kept).sum()} images are outside of {budget}")


def knob_changes_strength(case: AttackCase) -> None:
    """The strongest value of the knob costs more SSIM than the weakest."""
    traits = case.entry.traits
    if traits.knob is not None and len(traits.strengths) > 1:
        ends: list[Any] = [traits.strengths[0], traits.strengths[-1]]
        outs = [publish(case.protect(**{traits.knob: value})) for value in ends]
        weak, strong = (float(ssim(publish(case.x), out).mean()) for out in outs)
        check(strong < weak, f"{traits.knob}={ends[1]:g} costs no more SSIM than {ends[0]:g}")


def moves_towards_its_target(case: AttackCase) -> None:
    """If `traits.targeted`, the target's mean log-probability rises on the surrogate."""
    if case.entry.traits.targeted:
        target = np.full_like(case.y, 3)
        rest = case.y != 3
        out = case.protect(targeted=True, y=target)
        before, after = (_log_softmax(case.classifier, x[rest])[:, 3] for x in (case.x, out))
        check(after.mean() > before.mean(), "a targeted attack moves faces away from the target")


def _log_softmax(classifier: PyTorchClassifier, x: FloatImages) -> npt.NDArray[np.float64]:
    logits = classifier.predict(x).astype(np.float64)
    normalised: npt.NDArray[np.float64] = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return normalised


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
        try:
            case.attack.generate(x, case.y[: len(x)])
        except PriemoError:
            continue
        check(False, f"{name} must raise PriemoError")


ATTACK_RULES: tuple[Callable[[AttackCase], None], ...] = (
    is_an_art_attack,
    keeps_the_image_contract,
    does_not_modify_its_input,
    is_reproducible,
    depends_on_its_seed,
    is_independent_of_the_batch,
    meets_its_budget,
    knob_changes_strength,
    moves_towards_its_target,
    refuses_bad_images,
)


def check_attack(
    entry: AttackEntry,
    classifier: PyTorchClassifier | None = None,
    x: FloatImages | None = None,
    y: Labels | None = None,
    **params: Any,
) -> None:
    """Check an attack against ATTACK_RULES.

    Args:
        entry: what an entry point of group `priemo_bench.attacks` points at.
        classifier, x, y: surrogate, images in [0, 1] and labels; unless all are given, the toy
            victim and toy faces, grey and RGB.
        params: for the attack's constructor.

    Raises:
        Broken: at the first rule that does not hold.

    Example:
        >>> from priemo_bench import registry
        >>> check_attack(registry.get("attacks", "pixelate"))
        >>> check_attack(registry.get("attacks", "fgsm"))
    """
    if classifier is None or x is None or y is None:
        cases = [toy_case(entry, channels, **params) for channels in (1, 3)]
    else:
        cases = [AttackCase(entry, classifier, x, y, params)]
    for case in cases:
        for rule in ATTACK_RULES:
            rule(case)
