"""A stranger's network as a victim: its own outputs in the order of EMOTIONS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from priemo_bench.contracts.emotions import outputs_of_emotions
from priemo_bench.contracts.probe import (
    are_probabilities,
    probe_gradient,
    probe_images,
    probe_outputs,
    reason,
    takes_one,
)
from priemo_bench.contracts.victim import Victim
from priemo_bench.errors import PriemoError

Layout = Literal["nchw", "nhwc"]
Order = Literal["rgb", "bgr"]
SIZES = (48, 224, 112, 64, 96, 128, 32, 40, 42, 44, 56, 80, 100, 160, 197, 200, 227, 240, 256, 260,
         288, 299, 320, 384)  # fmt: skip
"""Input sides that a network is tried at, in this order, where none is given."""


class Contiguous(nn.Module):
    """A network whose input and weights stay contiguous, as any `view` in it requires."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Contiguous:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for tensor in (*self.parameters(), *self.buffers()):
            tensor.data = tensor.data.contiguous()
        return self

    def forward(self, x: Tensor) -> object:
        """What the network returns."""
        return self.net(x.contiguous())


class OneByOne(nn.Module):
    """A network that takes one image at a time, as one that takes several."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        """What the network gives for each image, together."""
        found = [self.net(image[None]) for image in x]
        if isinstance(found[0], Mapping):
            return {key: torch.cat([one[key] for one in found]) for key in found[0]}
        if isinstance(found[0], tuple | list):
            return tuple(torch.cat(parts) for parts in zip(*found, strict=True))
        return torch.cat(found)


class GivenVictim(Victim):
    """A network with outputs of its own, in the order of EMOTIONS, others left out.

    Features are the input of its last linear layer, where the outputs are those of this layer (or
    its softmax); `head` then gives logits even for a network that ends in a softmax. Otherwise the
    features are the logits themselves, and `head` is the identity.

    Args:
        net: network input to outputs (n, labels), in evaluation mode.
        labels: of the outputs, in the network's order.
        size, channels: of the network's input; 0 for any.
        mean, std: per channel of RGB (or grey), of pixels in [0, 1].
        order: of the network's channels. layout: of its input.
        output: the one of several outputs that has the emotions, by number or name.
        differentiable: False for a network that is judged only, and never looked into.
        identity: what else decides its answers, part of the victim's fingerprint.

    Attributes:
        last: path of the last linear layer in `net`, "" where there is none.
        probabilities: whether the network ends in a softmax.

    Raises:
        PriemoError: labels that do not name each emotion once.
    """

    _outputs_of_emotions: Tensor

    def __init__(
        self,
        net: nn.Module,
        labels: Sequence[str],
        *,
        size: int = 0,
        channels: int = 0,
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        order: Order = "rgb",
        layout: Layout = "nchw",
        output: int | str | None = None,
        differentiable: bool = True,
        identity: str = "",
    ) -> None:
        super().__init__(size, channels, mean, std)
        self.differentiable = differentiable
        self.net, self.labels, self.identity = net, tuple(labels), identity
        self.order, self.layout, self.output = order, layout, output
        emotions = torch.tensor(outputs_of_emotions(labels))
        self.register_buffer("_outputs_of_emotions", emotions, persistent=False)
        self.last, self.probabilities = "", False

    def prepare(self, x: Tensor) -> Tensor:
        """As of every victim; PriemoError where one that is judged only is asked for a gradient."""
        if not self.differentiable:
            refuse_gradient(x)
        return super().prepare(x)

    def outputs(self, x: Tensor) -> Tensor:
        """Network input, RGB and NCHW, to the network's own outputs, (n, labels)."""
        if self.order == "bgr":
            x = x.flip(1)
        if self.layout == "nhwc":
            x = x.permute(0, 2, 3, 1)
        outputs: Tensor = picked(self.net(x), self.output)
        return outputs

    def embed(self, x: Tensor) -> Tensor:
        """Network input (n, channels, size, size) to features (n, d)."""
        if self.last:
            return self._traced([self.last], x)[1][self.last][0]
        return logits_of(self.outputs(x), self.probabilities)[:, self._outputs_of_emotions]

    def head(self, f: Tensor) -> Tensor:
        """Features (n, d) to logits (n, 7)."""
        if not self.last:
            return f
        logits: Tensor = self.net.get_submodule(self.last)(f)
        return logits[:, self._outputs_of_emotions]

    def _traced(
        self, names: list[str], x: Tensor
    ) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
        """The network's outputs, and input and output of the named modules in order of calls."""
        calls: dict[str, tuple[Tensor, Tensor]] = {}

        def record(name: str) -> torch.utils.hooks.RemovableHandle:
            def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                calls.pop(name, None)
                calls[name] = (inputs[0], output)

            return self.net.get_submodule(name).register_forward_hook(hook)

        handles = [record(name) for name in names]
        try:
            return self.outputs(x), calls
        finally:
            for handle in handles:
                handle.remove()

    def probe(self, what: str) -> None:
        """Try the network, and find out how it ends: its last linear layer, and its softmax.

        Raises:
            PriemoError: see `priemo_bench.contracts.probe`.
        """
        images = probe_images(self.channels or 3, self.size or SIZES[0])
        x = self.prepare(images)
        if takes_one(self.outputs, x):
            self.net = OneByOne(self.net)
        outputs = probe_outputs(self.outputs, x, len(self.labels), what)
        self.probabilities = are_probabilities(outputs)
        self.last = self._last_linear(x, outputs)
        if self.differentiable:
            probe_gradient(self, images, what)

    def find_input(self, what: str, size: int = 0, channels: int = 0) -> None:
        """Set size and channels of the input: as given, or as the network takes them.

        One that takes several sides is given images as they are, others the first of SIZES that
        they take; and so for its channels.

        Raises:
            PriemoError: it takes none.
        """
        known = (channels,) if channels else (3, 1)
        self.size = self.channels = 0
        first = ""
        for side in (size,) if size else SIZES:
            for c in known:
                failure = self._failure(c, side)
                first = first or failure
                if not failure:
                    any_size = not size and side == SIZES[0] and not self._failure(c, 112)
                    any_channels = not channels and not self._failure(4 - c, side)
                    self.size, self.channels = 0 if any_size else side, 0 if any_channels else c
                    return
        where = f"{size}x{size}" if size else f"{min(SIZES)} to {max(SIZES)}"
        raise PriemoError(
            f"{what} cannot predict images of {' or '.join(map(str, known))} channels and {where} "
            f"pixels: {first}; give its size, channels and layout"
        )

    @torch.no_grad()
    def _failure(self, channels: int, size: int) -> str:
        """Why the network takes no images of this shape; "" where it does."""
        try:
            self.outputs(self.prepare(probe_images(channels, size, 2)))
        except PriemoError:
            raise
        except Exception as error:  # any that a stranger's network may raise
            return reason(error)
        return ""

    @torch.no_grad()
    def _last_linear(self, x: Tensor, outputs: Tensor) -> str:
        """Path of the linear layer that gives `outputs`, before the softmax if there is one."""
        linear = {n: m for n, m in self.net.named_modules() if isinstance(m, nn.Linear)}
        names = [n for n, m in linear.items() if m.out_features == len(self.labels)]
        for name, (features, logits) in reversed(self._traced(names, x)[1].items()):
            found = logits.softmax(1) if self.probabilities and logits.ndim == 2 else logits
            if features.ndim == 2 and torch.allclose(found, outputs, rtol=1e-4, atol=1e-6):
                return name
        return ""


def refuse_gradient(x: Tensor) -> None:
    """PriemoError where a gradient is asked for at the images of a victim that has none."""
    if x.requires_grad and torch.is_grad_enabled():
        raise PriemoError(
            "a victim that is judged only, without gradients, cannot be a surrogate; name others"
        )


def picked(outputs: Any, output: int | str | None) -> Any:
    """One of several outputs, by number or name; all of them where none is asked for."""
    if output is None:
        return outputs
    if isinstance(outputs, Mapping) and isinstance(output, int):
        outputs = list(outputs.values())
    try:
        return outputs[output]
    except (KeyError, IndexError, TypeError):
        known = list(outputs) if isinstance(outputs, Mapping) else range(len(outputs))
        names = ", ".join(map(repr, known))
        raise PriemoError(f"output is {output!r}; the network has {names}") from None


def logits_of(outputs: Tensor, probabilities: bool) -> Tensor:
    """Outputs as logits: logarithms of probabilities, others as they are."""
    return outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log() if probabilities else outputs
