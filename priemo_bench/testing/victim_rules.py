"""Rules for victims: each takes a victim and raises `Broken` where it does not conform."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.victim import Victim, as_art
from priemo_bench.errors import PriemoError
from priemo_bench.testing.rules import Rule, check, rule
from priemo_bench.testing.surroundings import watched
from priemo_bench.testing.toys import toy_faces

SIZES = ((48, 48), (64, 64), (112, 112), (40, 56))


def _images(channels: int = 1, size: int = 48, n: int = 4) -> Tensor:
    return torch.from_numpy(toy_faces(n, channels, size)[0])


def is_black_box(victim: Victim) -> bool:
    """Whether it only predicts, so that what concerns gradients and features does not hold."""
    return not getattr(victim, "differentiable", True)


def _logits(victim: Victim, x: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = victim(x)
    return logits


def _close(a: Tensor, b: Tensor, tolerance: float = 1e-4) -> bool:
    return bool((a - b).abs().max() <= tolerance * max(1.0, float(b.abs().max())))


@rule(
    "inherit from priemo_bench.contracts.victim.Victim, which resizes and converts; "
    "the logits are (n, 7) in the order of EMOTIONS"
)
def accepts_any_size_and_colour(victim: Victim) -> None:
    """Seven finite float32 logits for grey and RGB images of every size, oblong ones too."""
    for channels in (1, 3):
        for height, width in SIZES:
            logits: Any = _logits(victim, _images(channels, 112)[..., :height, :width])
            wanted = (4, len(EMOTIONS))
            check(isinstance(logits, Tensor), f"it gives a {type(logits).__name__}, no tensor")
            check(logits.shape == wanted, f"logits are {tuple(logits.shape)}, not {wanted}")
            check(logits.dtype == torch.float32, f"logits are {logits.dtype}, not float32")
            check(logits.isfinite().all(), f"logits of {channels}x{height}x{width} are not finite")


@rule("leave out the softmax, or give its logarithm")
def returns_logits(victim: Victim) -> None:
    """Logits, not probabilities: attacks differentiate them."""
    rows = _logits(victim, _images())
    normalised = bool((rows >= 0).all()) and _close(rows.sum(1), torch.ones(len(rows)))
    check(not normalised, "the outputs are probabilities; leave out the softmax")


@rule("convert colour by luma (Victim.prepare), or repeat the grey channel")
def grey_equals_its_rgb_copy(victim: Victim) -> None:
    """A grey image and its copy with three equal channels have the same logits."""
    x = _images()
    check(
        _close(_logits(victim, x), _logits(victim, x.expand(-1, 3, -1, -1)), 1e-3),
        "a grey image and its copy with three equal channels have different logits",
    )


@rule("use no operation that ends in _ on x, and no out=x")
def does_not_modify_its_input(victim: Victim) -> None:
    """The caller's tensor is not modified."""
    x = _images()
    before = x.clone()
    _logits(victim, x)
    check(torch.equal(x, before), "the input tensor was modified")


@rule("use reshape instead of view, and change nothing in place")
def takes_any_tensor(victim: Victim) -> None:
    """Expanded, strided and channels_last tensors have the logits of plain ones."""
    x = _images(3)
    plain = _logits(victim, x)
    wide = x.repeat_interleave(2, dim=-1)
    for name, given, wanted in (
        ("a channels_last tensor", x.to(memory_format=torch.channels_last), plain),
        ("every second column of a tensor", wide[..., ::2], plain),
        ("an expanded tensor", x[:1].expand(4, -1, -1, -1), plain[:1].expand(4, -1)),
        ("a tensor that requires grad", x.clone().requires_grad_(), plain),
    ):
        check(_close(_logits(victim, given), wanted), f"{name} has other logits")


@rule("seed generators of its own, and put back what forward sets")
def leaves_global_state_alone(victim: Victim) -> None:
    """Random generators, torch's grad mode and dtype, numpy's settings, and the folder stay."""
    with watched() as changed:
        _logits(victim, _images())
    check(not changed, f"it changes {' and '.join(changed)}")


@rule("inherit from priemo_bench.contracts.victim.Victim, whose prepare refuses them")
def refuses_bad_input(victim: Victim) -> None:
    """PriemoError for values outside [0, 1], NaN and a missing axis; 1e-6 outside is rounding."""
    x = _images()
    bad = {"values of 1.5": x + 1, "NaN": x * torch.nan, "rank 3": x[0]}
    for name, images in bad.items():
        try:
            _logits(victim, images)
        except PriemoError:
            continue
        check(False, f"{name} must raise PriemoError")
    ones = torch.ones_like(x)
    check(
        _close(_logits(victim, ones * (1 + 5e-7)), _logits(victim, ones)),
        "values 5e-7 above 1 must be clamped",
    )


@rule("return priemo_bench.contracts.victim.freeze(victim)")
def is_in_evaluation_mode(victim: Victim) -> None:
    """No dropout, no batch statistics."""
    training = [name or "the victim" for name, m in victim.named_modules() if m.training]
    check(not training, f"in training mode: {', '.join(training[:3])}")


@rule("call eval(), trace networks in evaluation mode, and draw nothing in forward")
def is_deterministic(victim: Victim) -> None:
    """Equal input, equal logits."""
    x = _images()
    check(
        torch.equal(_logits(victim, x), _logits(victim, x)), "two calls with the same image differ"
    )


@rule("call eval(), trace networks in evaluation mode, and take no statistic of the batch")
def is_independent_of_the_batch(victim: Victim) -> None:
    """Logits of an image do not depend on the others in the batch."""
    x = _images()
    alone = torch.cat([_logits(victim, image[None]) for image in x])
    check(_close(_logits(victim, x), alone), "logits depend on the rest of the batch")


@rule("let forward be head(features(x)), as Victim does")
def head_of_features_is_forward(victim: Victim) -> None:
    """`features` is (n, d), and `head` of it are the logits; not checked for black boxes."""
    if is_black_box(victim):
        return
    x = _images()
    with torch.no_grad():
        features = victim.features(x)
        logits = victim.head(features)
    check(features.ndim == 2, f"features are {tuple(features.shape)}, not (n, d)")
    check(_close(logits, _logits(victim, x), 1e-5), "head(features(x)) differs from victim(x)")


@rule("keep forward differentiable: no rounding, argmax, numpy or detach() in it")
def gradient_is_correct(victim: Victim) -> None:
    """The gradient at the pixels is nonzero and agrees with finite differences (in float64).

    Not checked for black boxes.
    """
    if is_black_box(victim):
        return
    net = deepcopy(victim).double()
    x = _images().double().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(len(x), len(EMOTIONS), generator=generator, dtype=x.dtype)
    gradient = torch.autograd.grad((net(x) * weights).sum(), x)[0]
    norms = gradient.flatten(1).norm(dim=1)
    check((norms > 0).all(), "the gradient at the pixels of some image is zero")
    step = 1e-6 * gradient / norms.view(-1, 1, 1, 1)
    with torch.no_grad():
        slope = ((net(x + step) - net(x - step)) * weights).sum(1) / 2e-6
    worst = float(((slope - norms).abs() / norms).max())
    check(worst < 1e-2, f"gradient and finite differences differ by {worst:.1%}: is it masked?")


@rule("let forward take one tensor and return one tensor")
def works_in_art(victim: Victim) -> None:
    """Wrapped by `as_art` it predicts the same logits."""
    x = _images(channels=3)
    predicted = torch.from_numpy(as_art(victim, channels=3, size=48).predict(x.numpy()))
    check(_close(predicted, _logits(victim, x)), "the ART classifier predicts other logits")


@rule("set victim.card to a priemo_bench.contracts.card.Card")
def has_a_card(victim: Victim) -> None:
    """A card with architecture, input, training data, licence and the SHA-256 of the weights."""
    card = getattr(victim, "card", None)
    check(card is not None, "the victim has no card")
    for name in ("name", "architecture", "input", "training_data", "licence"):
        check(getattr(card, name), f"the card's {name} is empty")
    digest = str(getattr(card, "sha256", ""))
    check(len(digest) == 64 and int(digest, 16) >= 0, "the card's sha256 is not 64 hex digits")


VICTIM_RULES: tuple[Rule[Victim], ...] = (
    accepts_any_size_and_colour,
    returns_logits,
    grey_equals_its_rgb_copy,
    does_not_modify_its_input,
    takes_any_tensor,
    leaves_global_state_alone,
    refuses_bad_input,
    is_in_evaluation_mode,
    is_deterministic,
    is_independent_of_the_batch,
    head_of_features_is_forward,
    gradient_is_correct,
    works_in_art,
    has_a_card,
)
