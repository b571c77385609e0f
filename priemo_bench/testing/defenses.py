"""Rules for defenses: each takes a `DefenseCase` and raises `Broken` where it does not conform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from priemo_bench import registry
from priemo_bench.contracts.adapting import called
from priemo_bench.contracts.defense import Defense, HasDraws, HasStandIn
from priemo_bench.contracts.image import ByteImages, publish
from priemo_bench.errors import PriemoError
from priemo_bench.testing.arrays import alike
from priemo_bench.testing.rules import Rule, Verdict, check, raise_broken, rule, verdicts
from priemo_bench.testing.surroundings import stirred, watched
from priemo_bench.testing.toys import toy_faces


@dataclass(frozen=True)
class DefenseCase:
    """A defense and published images (n, 1 or 3, h, w) to check it on."""

    defense: Defense
    x: ByteImages


@rule("return np.clip(x / 255, 0, 1).astype(np.float32) of the same shape, without NaN")
def keeps_the_image_contract(case: DefenseCase) -> None:
    """What it gives is finite float32 in [0, 1] of the shape of the images, oblong ones too."""
    for x in (case.x, case.x[..., :-8]):
        out: Any = case.defense(x.copy())
        check(isinstance(out, np.ndarray), f"it gives a {type(out).__name__}, not an array")
        check(out.shape == x.shape, f"{x.shape} became {out.shape}")
        check(out.dtype == np.float32, f"it gives {out.dtype}, not float32")
        low, high = float(out.min()), float(out.max())
        check(low >= 0 and high <= 1, f"values from {low:g} to {high:g} leave [0, 1]")


@rule("copy before writing: x = x.copy()")
def does_not_modify_its_input(case: DefenseCase) -> None:
    """The images are not modified: the next defense is given the same."""
    x = case.x.copy()
    case.defense(x)
    check(np.array_equal(x, case.x), "the images were modified")


@rule("draw from a generator of the seed and the image (priemo_bench.defenses.applied.Random)")
def is_deterministic(case: DefenseCase) -> None:
    """Equal images give equal results, whatever the state of the global generators."""
    first = case.defense(case.x.copy())
    with stirred(1):
        again = case.defense(case.x.copy())
    check(np.array_equal(first, again), "two calls with the same images differ")


@rule("treat each image by itself: no statistic, and no random number, of the batch")
def is_independent_of_the_batch(case: DefenseCase) -> None:
    """What it gives for an image does not depend on the others."""
    together = case.defense(case.x.copy())
    alone = np.concatenate([case.defense(image[None].copy()) for image in case.x])
    away = float(np.abs(together - alone).max()) if together.shape == alone.shape else 1.0
    check(away < 1e-5, f"images differ by up to {away:.2g} from when they come alone")


@rule("begin with x = priemo_bench.contracts.image.check_bytes(x)")
def takes_any_array(case: DefenseCase) -> None:
    """Mirrored, read-only, broadcast and other views are taken, and give the same."""
    for name, given, plain in alike(case.x):
        away = np.abs(case.defense(given) - case.defense(plain.copy())).max()
        check(away < 1e-5, f"{name} gives other images")


@rule("begin with x = priemo_bench.contracts.image.check_bytes(x)")
def refuses_bad_images(case: DefenseCase) -> None:
    """PriemoError for floats, a missing axis, two channels and an empty batch."""
    for name, x in {
        "floats": case.x / np.float32(255), "rank 3": case.x[0], "an empty batch": case.x[:0],
        "two channels": np.zeros((2, 2, 32, 32), np.uint8),
    }.items():  # fmt: skip
        try:
            case.defense(x)
        except PriemoError:
            continue
        check(False, f"{name} must raise PriemoError")


@rule("seed generators of its own, and put back what it sets")
def leaves_global_state_alone(case: DefenseCase) -> None:
    """Random generators, torch's grad mode and dtype, numpy's settings, and the folder stay."""
    with watched() as changed:
        case.defense(case.x.copy())
    check(not changed, f"it changes {' and '.join(changed)}")


@rule("let smooth(x) return floats of the shape of x, differentiable in every image")
def its_stand_in_is_differentiable(case: DefenseCase) -> None:
    """If it has `smooth`, that is of the same shape, finite, near it, and has a gradient."""
    if not isinstance(case.defense, HasStandIn):
        return
    x = torch.tensor(case.x / np.float32(255), requires_grad=True)
    out = case.defense.smooth(x)
    check(out.shape == x.shape, f"smooth: {tuple(x.shape)} became {tuple(out.shape)}")
    check(out.isfinite().all(), "smooth gives NaN or infinity")
    away = float(np.abs(out.detach().numpy() - case.defense(case.x.copy())).mean())
    check(away < 0.25, f"smooth is {away:.2f} away from the defense, on the mean")
    (gradient,) = torch.autograd.grad(out.sum(), x)
    flat = gradient.flatten(1).abs().sum(1)
    check(gradient.isfinite().all() and bool((flat > 0).all()), "smooth has no gradient")


@rule("let draw(k) return the same defense with seed k, from which its random numbers follow")
def its_draws_differ(case: DefenseCase) -> None:
    """If it has `seed` and `draw`, another seed gives another result, and each one its own."""
    if isinstance(case.defense, HasDraws):
        one, other = case.defense.draw(1), case.defense.draw(2)
        check((one.seed, other.seed) == (1, 2), "draw(k) does not have the seed k")
        given: Any = [draw(case.x.copy()) for draw in (one, other)]  # type: ignore[operator]
        check(not np.array_equal(*given), "draw(1) and draw(2) give the same images")


DEFENSE_RULES: tuple[Rule[DefenseCase], ...] = (
    keeps_the_image_contract,
    does_not_modify_its_input,
    is_deterministic,
    is_independent_of_the_batch,
    takes_any_array,
    refuses_bad_images,
    leaves_global_state_alone,
    its_stand_in_is_differentiable,
    its_draws_differ,
)


def toy_defense_case(defense: Defense, channels: int = 1) -> DefenseCase:
    """A defense on three published toy faces."""
    return DefenseCase(defense, publish(toy_faces(3, channels)[0]))


def defense_verdicts(thing: Any) -> Iterator[Verdict]:
    """What comes of each of DEFENSE_RULES, for grey and RGB images; `thing` as for the check."""
    found = registry.get("defenses", thing) if isinstance(thing, str) else thing
    defense = called(found, "the defense")
    cases = [(w, toy_defense_case(defense, n)) for w, n in (("grey", 1), ("RGB", 3))]
    return verdicts(DEFENSE_RULES, cases)


def check_defense(thing: Any) -> None:
    """Check a defense against DEFENSE_RULES.

    Args:
        thing: a name, "module:thing" or "file.py:thing"; or a function, an object, or a class.

    Raises:
        Broken: a rule does not hold; a line for each that does not, with how to mend it.
        PriemoError: it cannot be imported, or is not callable.

    Example:
        >>> check_defense("jpeg75")
        >>> check_defense(lambda x: x)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        priemo_bench.testing.rules.Broken: keeps_the_image_contract: it gives uint8, not float32 ...
    """
    raise_broken(defense_verdicts(thing))
