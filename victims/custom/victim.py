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

FOUND, NOT_FOUND = "input of the last linear layer", "the logits (no last linear layer was found)"


class OwnVictim(Victim):
    """The network of a description; its outputs are put into our order, further ones left out.

    Features are the input of its last linear layer where the outputs are that layer's (or its
    softmax); `head` then gives true logits even for a network that ends in a softmax. Elsewhere
    features are the logits themselves, and `head` is the identity.

    Attributes:
        identity: SHA-256 of TOML and weights, by which the harness tells this victim from others.
    """

    _order: Tensor

    def __init__(self, found: Description, net: nn.Module, identity: str) -> None:
        turn = -1 if found.order == "bgr" else 1  # `prepare` is before the channels are swapped
        mean, std = (tuple(v / found.range for v in vs[::turn]) for vs in (found.mean, found.std))
        super().__init__(found.size, found.channels, mean, std)
        self.found, self.net, self.identity = found, net, identity
        self.register_buffer("_order", torch.tensor(found.order_of_ours), persistent=False)
        self.last = ""

    def _outputs(self, x: Tensor) -> Tensor:
        """Network input to what the network gives, (n, labels)."""
        if self.found.order == "bgr":
            x = x.flip(1)
        if self.found.layout == "nhwc":
            x = x.permute(0, 2, 3, 1)
        outputs: Tensor = self.net(x)
        return outputs

    def embed(self, x: Tensor) -> Tensor:
        """Network input (n, channels, size, size) to features (n, d)."""
        if self.last:
            return self._seen([self.last], x)[1][self.last][0]
        outputs = self._outputs(x)
        if self.found.outputs == "probabilities":
            outputs = outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
        return outputs[:, self._order]

    def head(self, f: Tensor) -> Tensor:
        """Features (n, d) to logits (n, 7)."""
        if not self.last:
            return f
        logits: Tensor = self.net.get_submodule(self.last)(f)
        return logits[:, self._order]

    def _seen(self, names: list[str], x: Tensor) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
        """The outputs, and what went into and came out of the named modules, in calling order."""
        seen: dict[str, tuple[Tensor, Tensor]] = {}

        def watch(name: str) -> Any:
            def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                seen.pop(name, None)
                seen[name] = (inputs[0], output)

            return self.net.get_submodule(name).register_forward_hook(hook)

        handles = [watch(name) for name in names]
        try:
            return self._outputs(x), seen
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def find_last(self) -> None:
        """Try the network on two images, and find its last linear layer.

        Raises:
            PriemoError: it cannot read two images, or its outputs are not what the TOML says.
        """
        generator = torch.Generator().manual_seed(0)
        x = self.prepare(torch.rand(2, self.channels, self.size, self.size, generator=generator))
        modules = {n: m for n, m in self.net.named_modules() if isinstance(m, nn.Linear)}
        names = [n for n, m in modules.items() if m.out_features == len(self.found.labels)]
        try:
            outputs, seen = self._seen(names, x)
        except PriemoError:
            raise
        except Exception as error:  # whatever a foreign network may raise
            said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise PriemoError(
                f"{self.found.file} cannot read two images of {self.channels} channels and "
                f"{self.size}x{self.size} pixels ({self.found.layout}): {said}"
            ) from error
        self._check(outputs)
        softmax = self.found.outputs == "probabilities"
        for name, (features, logits) in reversed(seen.items()):
            told = logits.softmax(1) if softmax and logits.ndim == 2 else logits
            if features.ndim == 2 and torch.allclose(told, outputs, rtol=1e-4, atol=1e-6):
                self.last = name
                return

    def _check(self, outputs: object) -> None:
        found, many = self.found, len(self.found.labels)
        if not isinstance(outputs, Tensor):
            raise PriemoError(f"{found.file} gives a {type(outputs).__name__}, not one tensor")
        if outputs.shape != (2, many):
            raise PriemoError(
                f"{found.file} gives {tuple(outputs.shape)} for two images; with {many} labels "
                f"it must be (2, {many})"
            )
        if not outputs.isfinite().all():
            raise PriemoError(f"{found.file} gives NaN or infinity; its weights are damaged")
        shares = bool((outputs >= 0).all()) and torch.allclose(
            outputs.sum(1), torch.ones(2), atol=1e-3
        )
        if shares != (found.outputs == "probabilities"):
            right, wrong = ("probabilities", "logits") if shares else ("logits", "probabilities")
            raise PriemoError(f'{found.file} gives {right}, not {wrong}; say outputs = "{right}"')


def load(found: Description, weights: bytes, identity: str) -> Victim:
    """The frozen victim with its card.

    Raises:
        PriemoError: weights that are not what the description says.
    """
    victim = OwnVictim(found, network(found, weights), identity)
    freeze(victim)
    victim.find_last()
    victim.card = _card(victim)
    return victim


def _card(victim: OwnVictim) -> Card:
    found = victim.found
    colour = "grey" if found.channels == 1 else found.order.upper()
    architecture = f"{found.format} {found.architecture}" if found.architecture else found.format
    further: dict[str, Any] = {
        "features": FOUND if victim.last else NOT_FOUND,
        "labels": list(found.labels),
        "dropped": [w for i, w in enumerate(found.labels) if i not in found.order_of_ours],
    }
    return Card(
        name=found.name,
        architecture=architecture,
        parameters=sum(p.numel() for p in victim.parameters()),
        input=f"{found.size}x{found.size} {colour}, white = {found.range}, "
        f"mean {list(found.mean)}, std {list(found.std)}",
        training_data=found.training_data,
        licence=found.licence,
        sha256=str(found.sha256),
        data=found.data,
        authors=found.authors,
        kin=found.kin,
        **further,
    )
