"""An attack with the classifier and the faces that the rules of attacks are checked on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from priemo_bench.contracts.attack import Attack, AttackEntry, make_attack
from priemo_bench.contracts.image import FloatImages, Labels, publish
from priemo_bench.testing.surroundings import stirred, watched
from priemo_bench.testing.toys import toy_classifier, toy_faces

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier


@dataclass(frozen=True)
class AttackCase:
    """An attack entry with the classifier and the images to check it on.

    Attributes:
        entry: what the entry point points at.
        classifier: an ART classifier of the images' shape.
        x, y: images in [0, 1] and their labels, all emotions among them.
        params: constructor arguments for every call (fewer steps, say).
        model_before: `state_of` the classifier's model before any call.
    """

    entry: AttackEntry
    classifier: PyTorchClassifier
    x: FloatImages
    y: Labels
    params: Mapping[str, Any] = field(default_factory=dict)
    model_before: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "model_before", state_of(self.classifier.model))

    def make(
        self,
        seed: int = 0,
        targeted: bool = False,
        y: Labels | None = None,
        fitted: bool = True,
        **params: Any,
    ) -> Any:
        """The attack as the harness makes it; unless not `fitted`, on `x` if it has a `fit`."""
        used = [] if self.entry.traits.surrogates == "none" else [self.classifier]
        attack: Any = make_attack(self.entry, used, {**self.params, **params}, seed, targeted)
        if fitted and hasattr(attack, "fit"):
            attack.fit(self.x.copy(), (self.y if y is None else y).copy())
        return attack

    def protect(
        self, seed: int = 0, targeted: bool = False, y: Labels | None = None, **params: Any
    ) -> FloatImages:
        """Protected images of `x`; with `targeted`, `y` are the targets."""
        attack = self.make(seed, targeted, y, **params)
        found: FloatImages = self.run(attack, y=y)
        return found

    def run(self, attack: Attack, y: Labels | None = None, rows: slice = slice(None)) -> Any:
        """What an attack gives for copies of `x` and of its labels, or of some rows of them."""
        labels = self.y if y is None else y
        return attack.generate(self.x[rows].copy(), labels[rows].copy())

    @cached_property
    def attack(self) -> Any:
        """`make()`, once for all rules."""
        return self.make()

    @cached_property
    def protected(self) -> FloatImages:
        """Protected images of `x` by `attack`, or by a new cipher: each draws anew in each call."""
        is_cipher = self.entry.traits.family == "cryptographic"
        found: FloatImages = self.run(self.make() if is_cipher else self.attack)
        return found

    @cached_property
    def again(self) -> tuple[FloatImages, list[str]]:
        """The same by another object, from another state of the global generators; what changed."""
        with stirred(1), watched() as changed:
            found = self.protect()
        return found, changed

    @cached_property
    def at_ends(self) -> dict[float, FloatImages]:
        """Protected images at the weakest and the strongest value of the knob."""
        traits = self.entry.traits
        ends = dict.fromkeys((*traits.strengths[:1], *traits.strengths[-1:]))
        knobs: dict[float, dict[str, Any]] = {end: {str(traits.knob): end} for end in ends}
        return {end: self.protect(**knob) for end, knob in knobs.items()}


def toy_case(entry: AttackEntry, channels: int = 1, **params: Any) -> AttackCase:
    """`entry` on the toy faces and the toy victim."""
    return AttackCase(entry, toy_classifier(channels), *toy_faces(channels=channels), params)


def protect(entry: AttackEntry, channels: int = 1, **params: Any) -> FloatImages:
    """Toy faces protected by `entry`, white-box on the toy victim: (14, channels, 32, 32)."""
    return toy_case(entry, channels, **params).protect()


def state_of(model: torch.nn.Module) -> dict[str, Any]:
    """The modes of a model's modules; values and gradients of its tensors, and who needs them."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {
        **{f"the mode of {name or 'the model'}": m.training for name, m in model.named_modules()},
        **{f"requires_grad of {name}": t.requires_grad for name, t in tensors},
        **{f"the gradient of {name}": t.grad for name, t in tensors},
        **{f"the values of {name}": t.detach().clone() for name, t in tensors},
    }


def differing(a: Any, b: Any) -> float:
    """Share of published pixels that differ."""
    if np.shape(a) != np.shape(b):
        return 1.0
    return float((publish(a) != publish(b)).mean())
