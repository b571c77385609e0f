"""Rules for victims: each takes the module an entry returned, and raises `Broken`."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import EMOTIONS, to_float
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.victim import as_art
from priemo_bench.errors import PriemoError
from priemo_bench.testing.toys import require, toy_faces

SIZES = (48, 64, 112)


def _images(channels: int = 1, size: int = 48, n: int = 4) -> Tensor:
    return torch.from_numpy(toy_faces(n, channels, size)[0])


def _read(victim: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = victim(x)
    return logits


def _close(a: Tensor, b: Tensor, tolerance: float = 1e-4) -> bool:
    return bool((a - b).abs().max() <= tolerance * max(1.0, float(b.abs().max())))


def reads_any_size_and_colour(victim: Any) -> None:
    """Seven finite float32 logits for grey and RGB images of every size."""
    for channels in (1, 3):
        for size in SIZES:
            logits = _read(victim, _images(channels, size))
            wanted = (4, len(EMOTIONS))
            require(logits.shape == wanted, f"logits are {tuple(logits.shape)}, not {wanted}")
            require(logits.dtype == torch.float32, f"logits are {logits.dtype}, not float32")
            require(logits.isfinite().all(), f"logits of {channels}x{size}x{size} are not finite")


def gives_logits(victim: Any) -> None:
    """Logits, not probabilities: attacks differentiate them."""
    rows = _read(victim, _images())
    probabilities = bool((rows >= 0).all()) and _close(rows.sum(1), torch.ones(len(rows)))
    require(not probabilities, "the outputs are probabilities; leave out the softmax")


def grey_is_grey(victim: Any) -> None:
    """A grey image and the same image with three equal channels read the same."""
    x = _images()
    require(
        _close(_read(victim, x), _read(victim, x.expand(-1, 3, -1, -1)), 1e-3),
        "a grey image reads differently with three equal channels",
    )


def leaves_input_alone(victim: Any) -> None:
    """The caller's tensor is not modified."""
    x = _images()
    before = x.clone()
    _read(victim, x)
    require(torch.equal(x, before), "the input tensor was modified")


def refuses_bad_input(victim: Any) -> None:
    """PriemoError for values outside [0, 1], NaN and a missing axis; 1e-6 outside is rounding."""
    x = _images()
    bad = {"values of 1.5": x + 1, "NaN": x * torch.nan, "rank 3": x[0]}
    for name, images in bad.items():
        try:
            _read(victim, images)
        except PriemoError:
            continue
        require(False, f"{name} must raise PriemoError")
    ones = torch.ones_like(x)
    require(
        _close(_read(victim, ones * (1 + 5e-7)), _read(victim, ones)),
        "values 5e-7 above 1 must be clamped",
    )


def is_in_evaluation_mode(victim: Any) -> None:
    """No dropout, no batch statistics."""
    training = [name or "the victim" for name, m in victim.named_modules() if m.training]
    require(not training, f"in training mode: {', '.join(training[:3])}")


def repeats_itself(victim: Any) -> None:
    """Equal input, equal logits."""
    x = _images()
    require(torch.equal(_read(victim, x), _read(victim, x)), "two readings of one image differ")


def reads_each_image_alone(victim: Any) -> None:
    """Logits do not depend on what else is in the batch."""
    x = _images()
    alone = torch.cat([_read(victim, image[None]) for image in x])
    require(_close(_read(victim, x), alone), "logits depend on the rest of the batch")


def head_of_features_is_forward(victim: Any) -> None:
    """`features` is (n, d) and `head` makes the logits of it, nothing beside."""
    x = _images()
    with torch.no_grad():
        features = victim.features(x)
        logits = victim.head(features)
    require(features.ndim == 2, f"features are {tuple(features.shape)}, not (n, d)")
    require(_close(logits, _read(victim, x), 1e-5), "head(features(x)) differs from victim(x)")


def gradient_is_true(victim: Any) -> None:
    """The gradient reaches every image's pixels and agrees with finite differences (float64)."""
    net = deepcopy(victim).double()
    x = _images().double().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(len(x), len(EMOTIONS), generator=generator, dtype=x.dtype)
    gradient = torch.autograd.grad((net(x) * weights).sum(), x)[0]
    norms = gradient.flatten(1).norm(dim=1)
    require((norms > 0).all(), "the gradient at the pixels of some image is zero")
    step = 1e-6 * gradient / norms.view(-1, 1, 1, 1)
    with torch.no_grad():
        slope = ((net(x + step) - net(x - step)) * weights).sum(1) / 2e-6
    worst = float(((slope - norms).abs() / norms).max())
    require(worst < 1e-2, f"the gradient is off finite differences by {worst:.1%}: is it masked?")


def works_in_art(victim: Any) -> None:
    """Wrapped by `as_art` it predicts the same logits."""
    x = _images(channels=3)
    predicted = torch.from_numpy(as_art(victim, channels=3, size=48).predict(x.numpy()))
    require(_close(predicted, _read(victim, x)), "the ART classifier predicts other logits")


def has_a_card(victim: Any) -> None:
    """A card that says what it is, under which licence, and the SHA-256 of its weights."""
    card = getattr(victim, "card", None)
    require(card is not None, "the victim has no card")
    for name in ("name", "architecture", "input", "training_data", "licence"):
        require(getattr(card, name), f"the card's {name} is empty")
    digest = str(getattr(card, "sha256", ""))
    require(len(digest) == 64 and int(digest, 16) >= 0, "the card's sha256 is not 64 hex digits")


VICTIM_RULES: tuple[Callable[[Any], None], ...] = (
    reads_any_size_and_colour,
    gives_logits,
    grey_is_grey,
    leaves_input_alone,
    refuses_bad_input,
    is_in_evaluation_mode,
    repeats_itself,
    reads_each_image_alone,
    head_of_features_is_forward,
    gradient_is_true,
    works_in_art,
    has_a_card,
)


def labels_are_in_order(victim: Any, faces: FaceSet) -> None:
    """No emotion is mostly read as another one that itself is read as something else.

    Judged where the victim reads half of the faces right under some order of its outputs.
    """
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)))
    np.add.at(confusion, (faces.labels, predict(victim, to_float(faces.images))), 1)
    _, best = linear_sum_assignment(-confusion)
    if confusion[range(len(EMOTIONS)), best].sum() < len(faces) / 2:
        return
    for k, other in enumerate(best):
        recall = confusion[k] / max(confusion[k].sum(), 1)
        require(
            other == k or recall[other] <= max(0.5, recall[k]),
            f"{recall[other]:.0%} of {EMOTIONS[k]} faces are read as {EMOTIONS[other]}: "
            "is the order of the labels wrong?",
        )


def is_as_accurate_as_its_card(victim: Any, faces: FaceSet) -> None:
    """The accuracy on `faces` lies in the card's interval, where the card tells it."""
    told = victim.card.accuracy.get(f"{faces.name} {faces.split}", {}).get("overall")
    if told:
        found = float((predict(victim, to_float(faces.images)) == faces.labels).mean())
        require(
            told["low"] <= found <= told["high"],
            f"it reads {found:.1%} of {faces.name} {faces.split} right, its card says "
            f"{told['low']:.1%} to {told['high']:.1%}",
        )


FACE_RULES: tuple[Callable[[Any, FaceSet], None], ...] = (
    labels_are_in_order,
    is_as_accurate_as_its_card,
)


def check_victim(entry: Callable[[], Any], faces: FaceSet | None = None) -> None:
    """Hold every rule against the victim that `entry()` returns; the first broken one raises.

    With labelled `faces`, such as a test split, their rules too.
    """
    victim = entry()
    for rule in VICTIM_RULES:
        rule(victim)
    if faces is not None:
        for face_rule in FACE_RULES:
            face_rule(victim, faces)
