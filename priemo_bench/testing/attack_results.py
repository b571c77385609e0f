"""Rules for what an attack gives: its images, its budget, its strength, its seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.image import FloatImages, publish
from priemo_bench.quality.budget import Budget
from priemo_bench.quality.structural import ssim
from priemo_bench.testing.cases import AttackCase, differing
from priemo_bench.testing.rules import check, rule

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

BUDGETS = ((0.99, None, 4 / 255), (0.95, None, None), (None, 38.0, 4 / 255), (None, None, 2 / 255))
"""SSIM floor, PSNR floor and eps that an attack with `traits.budgeted` is checked with."""


@rule(
    "inherit from art.attacks.attack.EvasionAttack, name every parameter in attack_params and keep "
    "each as an attribute"
)
def is_an_art_attack(case: AttackCase) -> None:
    """An ART `EvasionAttack` whose `attack_params` it has, its knob among them."""
    from art.attacks import EvasionAttack

    attack = case.attack
    check(isinstance(attack, EvasionAttack), f"{type(attack).__name__} is not an EvasionAttack")
    missing = [name for name in attack.attack_params if not hasattr(attack, name)]
    check(not missing, f"attack_params names {missing}, which the attack does not have")


@rule("return np.clip(protected, 0, 1).astype(np.float32), without NaN, of the shape of x")
def keeps_the_image_contract(case: AttackCase) -> None:
    """Protected images are finite float32 of the same shape in [0, 1]."""
    out = case.protected
    check(isinstance(out, np.ndarray), f"the result is a {type(out).__name__}, not an array")
    check(out.shape == case.x.shape, f"{case.x.shape} became {out.shape}")
    check(out.dtype == np.float32, f"the result is {out.dtype}, not float32")
    low, high = float(out.min()), float(out.max())
    check(low >= 0 and high <= 1, f"values from {low:g} to {high:g} leave [0, 1]")


@rule("draw from np.random.default_rng(random_state), never from the global generators")
def is_reproducible(case: AttackCase) -> None:
    """Two calls with equal arguments (and seed, if random) give equal published images."""
    share = differing(case.protected, case.again[0])
    check(share == 0, f"{share:.2%} of the pixels differ between two equal calls")


@rule("take random_state and draw from a generator of it; or leave random out of the traits")
def depends_on_its_seed(case: AttackCase) -> None:
    """If `traits.random`, another seed gives another result, so that averaging seeds makes sense.

    In two batches if the attack has a `batch_size`: the order within a single batch is irrelevant.
    """
    if case.entry.traits.random:
        batched = "batch_size" in getattr(case.attack, "attack_params", ())
        small: dict[str, Any] = {"batch_size": len(case.x) // 2} if batched else {}
        first = case.protect(seed=0, **small) if batched else case.protected
        share = differing(first, case.protect(seed=1, **small))
        check(share > 0, "traits.random is set, but two seeds give the same images")


@rule("take no mean, rank or statistic over the images of a call")
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
    parts = [case.run(attack, rows=slice(r[0], r[-1] + 1)) for r in rows]
    share = differing(case.protected, np.concatenate(parts))
    check(share < 0.01, f"{share:.2%} of the pixels depend on the rest of the batch")


@rule(
    "scale each perturbation until the published image meets the floor "
    "(priemo_bench.quality.budget.Budget.holds), or leave budgeted out of the traits"
)
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


@rule("clip what is added to each image to [-eps, eps], on the scale of [0, 1] images")
def keeps_every_image_within_eps(case: AttackCase) -> None:
    """If the knob is `eps`, no pixel of any published image changes by more than that."""
    if case.entry.traits.knob == "eps":
        for eps, out in case.at_ends.items():
            change = np.abs(publish(out).astype(int) - publish(case.x)).max((1, 2, 3))
            wrong = int((change > round(255 * eps + 0.5)).sum())
            check(
                not wrong,
                f"with eps={eps * 255:g}/255 pixels of {wrong} images change by up to "
                f"{change.max()}/255",
            )


@rule("give traits.strengths from weakest to strongest, and use the value of the knob")
def knob_changes_strength(case: AttackCase) -> None:
    """The strongest value of the knob costs more SSIM than the weakest."""
    traits = case.entry.traits
    if traits.knob is not None and len(traits.strengths) > 1:
        ends = list(case.at_ends)
        weak, strong = (
            float(ssim(publish(case.x), publish(out)).mean()) for out in case.at_ends.values()
        )
        check(strong < weak, f"{traits.knob}={ends[1]:g} costs no more SSIM than {ends[0]:g}")


@rule("with targeted=True, y holds the targets: minimise their loss, do not maximise it")
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


RULES = (
    is_an_art_attack,
    keeps_the_image_contract,
    is_reproducible,
    depends_on_its_seed,
    is_independent_of_the_batch,
    meets_its_budget,
    keeps_every_image_within_eps,
    knob_changes_strength,
    moves_towards_its_target,
)
