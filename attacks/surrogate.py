"""A surrogate opened up: images in, feature vectors and logits out, differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, unfold

from priemo_bench.attacks.losses import check_classifier
from priemo_bench.errors import PriemoError

Layers = str | Sequence[str] | None
"""Name of a submodule, several, or None for the input of the last linear layer."""


class Surrogate:
    """An ART `PyTorchClassifier` opened at the input of its last linear layer.

    A model without one (mini_XCEPTION, whose last convolution is averaged) is opened at the input
    of its last layer with parameters, averaged over the map: for a convolution over what its
    kernel sees, so that the averaged logits are linear in these features too.

    Args:
        classifier: images of clip values (0, 1).
        layer: name of a submodule whose flattened output is to be the features, or several: each
            output is then normalised and they are joined. None takes `features(x)` and `head(f)`
            where the model offers them, as victims of the project do, and the input of the last
            `nn.Linear` otherwise, or of the last layer with parameters.

    Raises:
        PriemoError: not a PyTorchClassifier, other clip values, or no such layer.
    """

    def __init__(self, classifier: Any, layer: Layers = None) -> None:
        check_classifier(classifier)
        self.classifier = classifier
        self.model: nn.Module = classifier.model
        self.classes = int(classifier.nb_classes)
        self._open = self._opener(layer)

    def _opener(self, layer: Layers) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        modules = dict(self.model.named_modules())
        if layer is not None:
            names = [layer] if isinstance(layer, str) else list(layer)
            if absent := [name for name in names if name not in modules]:
                has = ", ".join(filter(None, modules))
                raise PriemoError(f"the model has no layer {absent[0]!r}; it has {has}")
            registers = [modules[name].register_forward_hook for name in names]
            return self._hooked(registers, lambda args: args[-1])
        if callable(getattr(self.model, "features", None)) and callable(
            getattr(self.model, "head", None)
        ):
            return self._split
        layers = [m for m in modules.values() if any(True for _ in m.parameters(recurse=False))]
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        if not layers:
            raise PriemoError(
                f"{type(self.model).__name__} has neither features() and head() nor a layer with "
                "parameters; name the layer whose output are the features with layer=..."
            )
        last = (linear or layers)[-1]
        return self._hooked(
            [last.register_forward_pre_hook], lambda args: _averaged(last, args[1][0])
        )

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        f = self.model.features(x)  # type: ignore[operator]
        return f, self.model.head(f)  # type: ignore[operator]

    def _hooked(
        self, registers: list[Callable[..., Any]], pick: Callable[[tuple[Any, ...]], Tensor]
    ) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        def run(x: Tensor) -> tuple[Tensor, Tensor]:
            seen: dict[int, Tensor] = {}

            def note(place: int) -> Callable[..., None]:
                return lambda *args: seen.__setitem__(place, pick(args).flatten(1))

            handles = [register(note(place)) for place, register in enumerate(registers)]
            try:
                logits = self.model(x)
            finally:
                for handle in handles:
                    handle.remove()
            if len(seen) == 1:
                return seen[0], logits
            return torch.cat([normalize(seen[place]) for place in sorted(seen)], 1), logits

        return run

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, c, h, w) in [0, 1] to features (n, d) and logits (n, classes).

        Preprocessing of the classifier that is not differentiable is passed straight through by
        the gradient (backward pass differentiable approximation, Athalye et al. 2018).
        """
        if self.classifier.preprocessing_operations:
            if self.classifier.all_framework_preprocessing:
                x, _ = self.classifier._apply_preprocessing(x, y=None, no_grad=False)
            else:
                seen, _ = self.classifier._apply_preprocessing(x.detach().cpu().numpy(), y=None)
                x = x + (torch.as_tensor(seen, dtype=x.dtype, device=x.device) - x).detach()
        self.model.eval()
        return self._open(x)


def _averaged(layer: nn.Module, x: Tensor) -> Tensor:
    """Input (n, c, h, w) of a layer averaged over the map, (n, d); other inputs as they are."""
    if x.ndim != 4:
        return x
    if isinstance(layer, nn.Conv2d) and layer.groups == 1 and not isinstance(layer.padding, str):
        seen = unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        return seen.mean(-1)
    return x.mean((2, 3))


def reading(surrogates: Sequence[Surrogate], x: Tensor, batch_size: int = 64) -> Tensor:
    """(n,) what surrogates together read in images (n, c, h, w): by their summed probabilities."""
    with torch.no_grad():
        parts = [
            torch.stack([surrogate(part)[1].softmax(1) for surrogate in surrogates]).sum(0)
            for part in x.split(batch_size)
        ]
    return torch.cat(parts).argmax(1)
