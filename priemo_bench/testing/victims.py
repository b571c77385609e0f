"""Rules for victims: each takes a victim and raises `Broken` where it does not conform."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.victim import Victim, as_art
from priemo_bench.errors import PriemoError
from priemo_bench.testing.toys import check, toy_faces

SIZES = (48, 64, 112)


def _images(channels: int = 1, size: int = 48, n: int = 4) -> Tensor:
    return torch.from_numpy(toy_faces(n, channels, size)[0])


def _logits(victim: Victim, x: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = victim(x)
    return logits


def _close(a: Tensor, b: Tensor, tolerance: float = 1e-4) -> bool:
    return bool((a - b).abs().max() <= tolerance * max(1.0, float(b.abs().max())))


def accepts_any_size_and_colour(victim: Victim) -> None:
    """Seven finite float32 logits for grey and RGB images of every size."""
    for channels in (1, 3):
        for size in SIZES:
            logits = _logits(victim, _images(channels, size))
            wanted = (4, len(EMOTIONS))
            check(logits.shape == wanted, f"logits are {tuple(logits.shape)}, not {wanted}")
            check(logits.dtype == torch.float32, f"logits are {logits.dtype}, not float32")
            check(logits.isfinite().all(), f"logits of {channels}x{size}x{size} are not finite")


def returns_logits(victim: Victim) -> None:
    """Logits, not probabilities: attacks differentiate them."""
    rows = _logits(victim, _images())
    normalised = bool((rows >= 0).all()) and _close(rows.sum(1), torch.ones(len(rows)))
    check(not normalised, "the outputs are probabilities; leave out the softmax")


def grey_equals_its_rgb_copy(victim: Victim) -> None:
    """A grey image and its copy with three equal channels have the same logits."""
    x = _images()
    check(
        _close(_logits(victim, x), _logits(victim, x.expand(-1, 3, -1, -1)), 1e-3),
        "a grey image and its copy with three equal channels have different logits",
    )


def does_not_modify_its_input(victim: Victim) -> None:
    """The caller's tensor is not modified."""
    x = _images()
    before = x.clone()
    _logits(victim, x)
    check(torch.equal(x, before), "the input tensor was modified")


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


def is_in_evaluation_mode(victim: Victim) -> None:
    """No dropout, no batch statistics."""
    training = [name or "the victim" for name, m in victim.named_modules() if m.training]
    check(not training, f"in training mode: {', '.join(training[:3])}")


def is_deterministic(victim: Victim) -> None:
    """Equal input, equal logits."""
    x = _images()
    check(
        torch.equal(_logits(victim, x), _logits(victim, x)), "two calls with the same image differ"
    )


def is_independent_of_the_batch(victim: Victim) -> None:
    """Logits of an image do not depend on the others in the batch."""
    x = _images()
    alone = torch.cat([_logits(victim, image[None]) for image in x])
    check(_close(_logits(victim, x), alone), "logits depend on the rest of the batch")


def head_of_features_is_forward(victim: Victim) -> None:
    """`features` is (n, d), and `head` of it are the logits."""
    x = _images()
    with torch.no_grad():
        features = victim.features(x)
        logits = victim.head(features)
    check(features.ndim == 2, f"features are {tuple(features.shape)}, not (n, d)")
    check(_close(logits, _logits(victim, x), 1e-5), "head(features(x)) differs from victim(x)")


def gradient_is_correct(victim: Victim) -> None:
    """The gradient at the pixels is nonzero and agrees with finite differences (in float64)."""
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


def works_in_art(victim: Victim) -> None:
    """Wrapped by `as_art` it predicts the same logits."""
    x = _images(channels=3)
    predicted = torch.from_numpy(as_art(victim, channels=3, size=48).predict(x.numpy()))
    check(_close(predicted, _logits(victim, x)), "the ART classifier predicts other logits")


def has_a_card(victim: Victim) -> None:
    """A card with architecture, input, training data, licence and the SHA-256 of the weights."""
    card = getattr(victim, "card", None)
    check(card is not None, "the victim has no card")
    for name in ("name", "architecture", "input", "training_data", "licence"):
        check(getattr(card, name), f"the card's {name} is empty")
    digest = str(getattr(card, "sha256", ""))
    check(len(digest) == 64 and int(digest, 16) >= 0, "the card's sha256 is not 64 hex digits")


VICTIM_RULES: tuple[Callable[[Victim], None], ...] = (
    accepts_any_size_and_colour,
    returns_logits,
    grey_equals_its_rgb_copy,
    does_not_modify_its_input,
    refuses_bad_input,
    is_in_evaluation_mode,
    is_deterministic,
    is_independent_of_the_batch,
    head_of_features_is_forward,
    gradient_is_correct,
    works_in_art,
    has_a_card,
)


def labels_are_in_order(victim: Victim, faces: FaceSet) -> None:
    """No emotion is mostly predicted as one other, as it would be if outputs were permuted.

    Checked where the victim is correct on half of the faces under some order of its outputs.
    """
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)))
    np.add.at(confusion, (faces.labels, predict(victim, faces.images)), 1)
    _, best = linear_sum_assignment(-confusion)
    if confusion[range(len(EMOTIONS)), best].sum() < len(faces) / 2:
        return
    for k, other in enumerate(best):
        recall = confusion[k] / max(confusion[k].sum(), 1)
        check(
            other == k or recall[other] <= max(0.5, recall[k]),
            f"{recall[other]:.0%} of {EMOTIONS[k]} faces are predicted as {EMOTIONS[other]}: "
            "is the order of the labels wrong?",
        )


def is_as_accurate_as_its_card(victim: Victim, faces: FaceSet) -> None:
    """The accuracy on `faces` lies in the interval on the card, if the card has one."""
    claimed = victim.card.accuracy.get(f"{faces.name} {faces.split}", {}).get("overall")
    if claimed:
        found = float((predict(victim, faces.images) == faces.labels).mean())
        check(
            claimed["low"] <= found <= claimed["high"],
            f"accuracy on {faces.name} {faces.split} is {found:.1%}; the card says "
            f"{claimed['low']:.1%} to {claimed['high']:.1%}",
        )


FACE_RULES: tuple[Callable[[Victim, FaceSet], None], ...] = (
    labels_are_in_order,
    is_as_accurate_as_its_card,
)


def check_victim(entry: Callable[[], Victim], faces: FaceSet | None = None) -> None:
    """Check the victim that `entry()` returns against VICTIM_RULES.

    Args:
        entry: what an entry point of group `priemo_bench.victims` points at.
        faces: labelled faces, such as a test split, for FACE_RULES; None leaves these out.

    Raises:
        Broken: at the first rule that does not hold.

    Example:
        >>> from priemo_bench.testing import ToyVictim
        >>> check_victim(ToyVictim)
        >>> check_victim(lambda: ToyVictim().train())
        Traceback (most recent call last):
        priemo_bench.testing.toys.Broken: in training mode: the victim, first, last
    """
    victim = entry()
    for rule in VICTIM_RULES:
        rule(victim)
    if faces is not None:
        for face_rule in FACE_RULES:
            face_rule(victim, faces)
