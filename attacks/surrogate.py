"""Surrogates: classifiers that an attack has access to, as features and logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, unfold
from torch.utils.hooks import RemovableHandle

from priemo_bench.attacks.filters import all_views, mean_view, open_filters
from priemo_bench.attacks.losses import check_classifier
from priemo_bench.contracts.predict import device_of
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

Layers = str | Sequence[str] | None
"""Name of a submodule, several, or None for the input of the last linear layer."""
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Images to features and logits."""


class Surrogate:
    """An ART `PyTorchClassifier` as a differentiable map from images to features and logits.

    Args:
        classifier: images of clip values (0, 1).
        layer: name of a submodule whose flattened output are the features, or several: each
            output is then normalised and they are concatenated. None takes `features(x)` and
            `head(f)` where the model has them, as victims of the project do, and the input of the
            last `nn.Linear` otherwise. A model without one (mini_XCEPTION, whose last convolution
            is averaged) has for features the input of its last layer with parameters, averaged
            over the map; for a convolution its unfolded input, so that the averaged logits are
            linear in these features too.
        filters: names of defenses, or of sets of them: features and logits are then the means over
            the image and what each filter makes of it.

    Raises:
        PriemoError: not a PyTorchClassifier, other clip values, or no such layer.
    """

    def __init__(
        self,
        classifier: PyTorchClassifier,
        layer: Layers = None,
        filters: Sequence[str] = (),
    ) -> None:
        check_classifier(classifier)
        self.filters = open_filters(filters)
        self.classifier = classifier
        self.model: nn.Module = classifier.model
        self.classes = int(classifier.nb_classes)
        self._forward = _named(self.model, layer) if layer is not None else _default(self.model)

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return device_of(self.model)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, c, h, w) in [0, 1] to features (n, d) and logits (n, classes).

        The gradient passes straight through preprocessing of the classifier that is not
        differentiable (BPDA, Athalye et al. 2018).
        """
        if self.filters:
            features, logits = self._without_filters(all_views(x, self.filters))
            return mean_view(features, len(x)), mean_view(logits, len(x))
        return self._without_filters(x)

    def _without_filters(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.classifier.preprocessing_operations:
            if self.classifier.all_framework_preprocessing:
                x, _ = self.classifier._apply_preprocessing(x, y=None, no_grad=False)
            else:
                done, _ = self.classifier._apply_preprocessing(x.detach().cpu().numpy(), y=None)
                x = x + (torch.as_tensor(done, dtype=x.dtype, device=x.device) - x).detach()
        self.model.eval()
        try:
            features, logits = self._forward(x)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError, IndexError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise PriemoError(
                f"the classifier cannot predict images of shape {tuple(x.shape)}, {x.dtype}: "
                f"{reason}"
            ) from error
        if not isinstance(logits, Tensor):
            raise PriemoError(
                f"the classifier gives a {type(logits).__name__}; it must give logits, a tensor: "
                "wrap the model in one that picks them"
            )
        if logits.shape != (len(x), self.classes):
            raise PriemoError(
                f"the classifier gives outputs of shape {tuple(logits.shape)} for {len(x)} images; "
                f"its nb_classes says {self.classes} each"
            )
        return features, logits


def open_surrogates(
    classifier: PyTorchClassifier | None,
    others: Sequence[PyTorchClassifier] = (),
    layer: Layers = None,
    filters: Sequence[str] = (),
) -> list[Surrogate]:
    """The surrogates of an attack; PriemoError for one that was loaded without a classifier."""
    if classifier is None:
        raise PriemoError("this needs a classifier: load(path, classifier)")
    found = [Surrogate(c, layer, filters) for c in (classifier, *others)]
    if len({surrogate.classes for surrogate in found}) > 1:
        raise PriemoError(
            f"the surrogates have {', '.join(str(s.classes) for s in found)} classes; all must "
            "have the same"
        )
    return found


def input_gradient(loss: Tensor, x: Tensor) -> Tensor:
    """Of the summed loss (n,) with respect to `x`.

    Raises:
        PriemoError: the classifier cuts it off.
    """
    gradient = None
    if loss.requires_grad:
        gradient = torch.autograd.grad(loss.sum(), x, allow_unused=True)[0]
    if gradient is None:
        raise PriemoError(
            "the classifier has no gradient with respect to its input: it detaches it, or computes "
            "outside of torch; no attack that needs a gradient can look into it"
        )
    return gradient


def predict_ensemble(surrogates: Sequence[Surrogate], x: Tensor, batch_size: int = 64) -> Tensor:
    """(n,) classes that surrogates predict together, by the sum of their probabilities."""
    with torch.no_grad():
        parts = [
            torch.stack([surrogate(part)[1].softmax(1) for surrogate in surrogates]).sum(0)
            for part in torch.split(x, batch_size)
        ]
    return torch.cat(parts).argmax(1)


def _named(model: nn.Module, layer: str | Sequence[str]) -> Forward:
    """Features are the outputs of named submodules."""
    modules = dict(model.named_modules())
    names = [layer] if isinstance(layer, str) else list(layer)
    if not names:
        raise PriemoError("layer names no layer; give None for the default")
    if absent := [name for name in names if name not in modules]:
        has = ", ".join(filter(None, modules))
        raise PriemoError(f"the model has no layer {absent[0]!r}; it has {has}")

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        outputs: dict[str, Tensor] = {}

        def keep(name: str) -> RemovableHandle:
            def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                outputs[name] = output.flatten(1)

            handle: RemovableHandle = modules[name].register_forward_hook(hook)
            return handle

        logits = _hooked(model, x, [keep(name) for name in names])
        if len(names) == 1:
            return outputs[names[0]], logits
        return torch.cat([normalize(outputs[name]) for name in names], 1), logits

    return forward


def _default(model: nn.Module) -> Forward:
    """Features are `features(x)`, or the input of the last linear layer or last with parameters."""
    if callable(getattr(model, "features", None)) and callable(getattr(model, "head", None)):

        def split(x: Tensor) -> tuple[Tensor, Tensor]:
            f = model.features(x)  # type: ignore[operator]  # looked up now: it may be counted
            return f, model.head(f)  # type: ignore[operator]

        return split
    layers = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
    if not layers:
        raise PriemoError(
            f"{type(model).__name__} has neither features() and head() nor a layer with "
            "parameters; name the layer whose output are the features with layer=..."
        )
    last = ([layer for layer in layers if isinstance(layer, nn.Linear)] or layers)[-1]

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        inputs: list[Tensor] = []

        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            inputs[:] = [_averaged(last, args[0]).flatten(1)]

        logits = _hooked(model, x, [last.register_forward_pre_hook(hook)])
        return inputs[0], logits

    return forward


def _hooked(model: nn.Module, x: Tensor, handles: list[RemovableHandle]) -> Tensor:
    """The logits of `model`, after which its hooks are removed."""
    try:
        logits: Tensor = model(x)
    finally:
        for handle in handles:
            handle.remove()
    return logits


def _averaged(layer: nn.Module, x: Tensor) -> Tensor:
    """Input (n, c, h, w) of a layer averaged over the map, (n, d); other inputs unchanged."""
    if x.ndim != 4:
        return x
    if isinstance(layer, nn.Conv2d) and layer.groups == 1 and not isinstance(layer.padding, str):
        patches = unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        return patches.mean(-1)
    return x.mean((2, 3))
