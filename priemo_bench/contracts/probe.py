"""A stranger's model is asked a few times when it comes in: what is wrong with it is said then.

It is asked twice, for each image alone, and for its gradient. A handful of images is enough for
what goes wrong with exported and hand-written networks, and costs a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError

IMAGES = 4
TOLERANCE = 1e-3
"""Largest difference between two answers to one image, in units of the largest answer: thirty
times what the order of a batch's additions changes."""
Model = Callable[[Tensor], object]


def probe_images(channels: int, size: int, n: int = IMAGES) -> Tensor:
    """(n, channels, size, size) in [0, 1]: noise and blurred noise in turn, the same every time."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, channels, size, size, generator=generator)
    coarse = torch.rand(n, channels, 4, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)
    x[1::2] = smooth[1::2]
    return x


def probe(victim: nn.Module, what: str, channels: int = 3, size: int = 48) -> None:
    """Ask a victim for its logits, twice, alone, and for its gradient.

    Args:
        victim: images (n, channels, size, size) in [0, 1] to logits (n, 7), in evaluation mode; one
            whose `differentiable` is False is not asked for its gradient.
        what: the victim in words, for the sentence.

    Raises:
        PriemoError: what is wrong with it, and how it is mended.
    """
    x = probe_images(channels, size)
    probe_outputs(victim, x, len(EMOTIONS), what)
    if getattr(victim, "differentiable", True):
        probe_gradient(victim, x, what)


def probe_outputs(model: Model, x: Tensor, classes: int, what: str) -> Tensor:
    """The outputs (n, classes) of a model for `x`, after it was asked twice and image by image.

    Args:
        model: `x` to outputs.
        x: (n, ...), n at least 2: what the model takes.
        classes: outputs for each image, as many as it has labels.
        what: the model in words, for the sentence.

    Raises:
        PriemoError: it fails; gives other things than one tensor (n, classes) of finite numbers; or
            answers an image differently the second time, or alone.
    """
    outputs = _checked(_asked(model, x, what), len(x), classes, what)
    again = _checked(_asked(model, x, what), len(x), classes, what)
    if difference := _difference(outputs, again):
        raise PriemoError(
            f"{what} answers the same images differently when asked twice (by {difference:.2g}): "
            "dropout or noise is at work in it; export it after model.eval()"
        )
    try:
        alone = torch.cat([_tensor(_asked(model, image[None], what), what) for image in x])
    except PriemoError as error:
        raise PriemoError(
            f"{what} predicts {len(x)} images at once but not one alone, as networks in training "
            f"mode do; export it after model.eval(): {error}"
        ) from None
    if difference := _difference(outputs, alone):
        raise PriemoError(
            f"{what} answers an image differently alone and among others (by {difference:.2g}): "
            "it normalises by the batch, as in training mode; export it after model.eval()"
        )
    return outputs


def probe_gradient(model: Model, x: Tensor, what: str) -> None:
    """Check that the gradient of the outputs reaches the images.

    Raises:
        PriemoError: there is none, it is zero everywhere in every image, or not finite.
    """
    x = x.detach().clone().requires_grad_()
    remedy = "if it is to be judged only, and never a surrogate, write evaluation_only = true"
    with torch.enable_grad():
        try:
            outputs = _tensor(model(x), what)
            weights = torch.linspace(-1, 1, outputs.shape[1], dtype=outputs.dtype)
            if not outputs.requires_grad:
                raise PriemoError(
                    f"{what} gives no gradient at its images: detach(), no_grad() or numpy cuts "
                    f"it; take that out, or {remedy}"
                )
            (gradient,) = torch.autograd.grad((outputs * weights.to(outputs)).sum(), x,
                                              allow_unused=True)  # fmt: skip
        except PriemoError:
            raise
        except Exception as error:  # any that a stranger's network may raise
            raise PriemoError(
                f"{what} has no gradient at its images ({reason(error)}); mend it, or {remedy}"
            ) from error
    if gradient is None or not gradient.any():
        raise PriemoError(
            f"{what} has a gradient of zero at every pixel, as rounding, thresholds and argmax have"
            f"; take such steps out, or {remedy}"
        )
    if not gradient.isfinite().all():
        raise PriemoError(f"{what} has a gradient that is NaN or infinite; mend it, or {remedy}")


def are_probabilities(outputs: Tensor) -> bool:
    """Whether every row is non-negative and sums to 1."""
    sums = outputs.sum(1)
    return bool((outputs >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def reason(error: BaseException) -> str:
    """An exception of a stranger's network in one line: the last of its message."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _asked(model: Model, x: Tensor, what: str) -> object:
    try:
        with torch.no_grad():
            return model(x)
    except PriemoError:
        raise
    except Exception as error:  # any that a stranger's network may raise
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise PriemoError(f"memory ran out while {what} predicted {len(x)} images") from None
        if takes_one(model, x):
            raise PriemoError(
                f"{what} takes one image at a time; it must take any number"
            ) from None
        shape = "x".join(str(side) for side in x.shape[1:])
        raise PriemoError(f"{what} cannot predict images of {shape}: {reason(error)}") from error


def takes_one(model: Model, x: Tensor) -> bool:
    """Whether a model takes one image, but not all of `x` at once."""
    return not _works(model, x) and _works(model, x[:1])


def _works(model: Model, x: Tensor) -> bool:
    try:
        with torch.no_grad():
            model(x)
    except Exception:  # any that a stranger's network may raise
        return False
    return True


def _tensor(outputs: object, what: str) -> Tensor:
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, Mapping):
        names = ", ".join(repr(str(name)) for name in outputs)
        raise PriemoError(f"{what} gives {len(outputs)} outputs, {names}; pick one: output = NAME")
    if isinstance(outputs, tuple | list):
        shapes = ", ".join(str(tuple(getattr(o, "shape", ()))) for o in outputs)
        raise PriemoError(
            f"{what} gives {len(outputs)} outputs, of shapes {shapes}; pick one: output = 0, say"
        )
    raise PriemoError(f"{what} gives a {type(outputs).__name__}; it must give one tensor")


def _checked(outputs: object, n: int, classes: int, what: str) -> Tensor:
    found = _tensor(outputs, what)
    if found.ndim != 2 or found.shape[0] != n:
        raise PriemoError(
            f"{what} gives {tuple(found.shape)} for {n} images; it must give ({n}, {classes}), a "
            "row for each image"
        )
    if found.shape[1] != classes:
        raise PriemoError(
            f"{what} has {found.shape[1]} outputs for {classes} labels; give a label for each, in "
            'their order ("other" for what is no emotion)'
        )
    if not found.isfinite().all():
        raise PriemoError(f"{what} gives NaN or infinity; its weights are damaged")
    return found


def _difference(a: Tensor, b: Tensor) -> float:
    """Largest difference of two answers where it is more than rounding, else 0."""
    if a.shape != b.shape:
        return float("inf")
    largest = float((a - b).abs().max())
    return largest if largest > TOLERANCE * max(float(a.abs().max()), TOLERANCE) else 0.0
