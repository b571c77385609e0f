"""A user's network as a victim."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from priemo_bench.contracts.card import Card
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description
from priemo_bench.victims.custom.networks import network

LINEAR, LOGITS = "input of the last linear layer", "the logits (no last linear layer was found)"
"""What the features are, as the card says it."""


class OwnVictim(Victim):
    """The network of a description; its outputs in the order of EMOTIONS, others left out.

    Features are the input of its last linear layer, where the outputs are those of this layer (or
    its softmax); `head` then gives logits even for a network that ends in a softmax. Otherwise the
    features are the logits themselves, and `head` is the identity.

    Attributes:
        identity: SHA-256 of TOML and weights, part of the victim's fingerprint.
        last: path of the last linear layer in `net`, "" where there is none.
    """

    _outputs_of_emotions: Tensor

    def __init__(self, described: Description, net: nn.Module, identity: str) -> None:
        rgb = -1 if described.order == "bgr" else 1  # `prepare` normalises RGB
        mean, std = (
            tuple(value / described.range for value in values[::rgb])
            for values in (described.mean, described.std)
        )
        super().__init__(described.size, described.channels, mean, std)
        self.described, self.net, self.identity = described, net, identity
        self.register_buffer(
            "_outputs_of_emotions", torch.tensor(described.emotion_outputs), persistent=False
        )
        self.last = ""

    def _outputs(self, x: Tensor) -> Tensor:
        """Network input to the network's own outputs, (n, labels)."""
        if self.described.order == "bgr":
            x = x.flip(1)
        if self.described.layout == "nhwc":
            x = x.permute(0, 2, 3, 1)
        outputs: Tensor = self.net(x)
        return outputs

    def embed(self, x: Tensor) -> Tensor:
        """Network input (n, channels, size, size) to features (n, d)."""
        if self.last:
            return self._traced([self.last], x)[1][self.last][0]
        outputs = self._outputs(x)
        if self.described.outputs == "probabilities":
            outputs = outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
        return outputs[:, self._outputs_of_emotions]

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
            return self._outputs(x), calls
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def find_last(self) -> None:
        """Run the network on two images, check its outputs, and find its last linear layer.

        Raises:
            PriemoError: it fails on two images, or its outputs are not those described.
        """
        generator = torch.Generator().manual_seed(0)
        x = self.prepare(torch.rand(2, self.channels, self.size, self.size, generator=generator))
        linear = {n: m for n, m in self.net.named_modules() if isinstance(m, nn.Linear)}
        names = [n for n, m in linear.items() if m.out_features == len(self.described.labels)]
        try:
            outputs, calls = self._traced(names, x)
        except PriemoError:
            raise
        except Exception as error:  # any that a user's network may raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise PriemoError(
                f"{self.described.file} cannot predict two images of {self.channels} channels and "
                f"{self.size}x{self.size} pixels ({self.described.layout}): {reason}"
            ) from error
        self._check(outputs)
        softmax = self.described.outputs == "probabilities"
        for name, (features, logits) in reversed(calls.items()):
            found = logits.softmax(1) if softmax and logits.ndim == 2 else logits
            if features.ndim == 2 and torch.allclose(found, outputs, rtol=1e-4, atol=1e-6):
                self.last = name
                return

    def _check(self, outputs: object) -> None:
        """PriemoError unless `outputs`, for two images, are those described."""
        file, classes = self.described.file, len(self.described.labels)
        if not isinstance(outputs, Tensor):
            raise PriemoError(f"{file} gives a {type(outputs).__name__}, not one tensor")
        if outputs.shape != (2, classes):
            raise PriemoError(
                f"{file} gives {tuple(outputs.shape)} for two images; with {classes} labels "
                f"it must be (2, {classes})"
            )
        if not outputs.isfinite().all():
            raise PriemoError(f"{file} gives NaN or infinity; its weights are damaged")
        probabilities = bool((outputs >= 0).all()) and torch.allclose(
            outputs.sum(1), torch.ones(2), atol=1e-3
        )
        found = "probabilities" if probabilities else "logits"
        if found != self.described.outputs:
            raise PriemoError(
                f'{file} gives {found}, not {self.described.outputs}; write outputs = "{found}"'
            )


def load(described: Description, weights: bytes, identity: str) -> Victim:
    """The frozen victim with its card; PriemoError when the weights are not those described."""
    victim = OwnVictim(described, network(described, weights), identity)
    freeze(victim)
    victim.find_last()
    victim.card = _card(victim)
    return victim


def _card(victim: OwnVictim) -> Card:
    described = victim.described
    colour = "grey" if described.channels == 1 else described.order.upper()
    named = f" {described.architecture}" if described.architecture else ""
    kept = described.emotion_outputs
    further: dict[str, Any] = {
        "features": LINEAR if victim.last else LOGITS,
        "labels": list(described.labels),
        "dropped": [label for i, label in enumerate(described.labels) if i not in kept],
    }
    return Card(
        name=described.name,
        architecture=f"{described.format}{named}",
        parameters=sum(p.numel() for p in victim.parameters()),
        input=f"{described.size}x{described.size} {colour}, white = {described.range}, "
        f"mean {list(described.mean)}, std {list(described.std)}",
        training_data=described.training_data,
        licence=described.licence,
        sha256=str(described.sha256),
        data=described.data,
        authors=described.authors,
        kin=described.kin,
        **further,
    )
