"""An entry of attacks: what makes one, with arguments of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from priemo_bench.contracts.attack import Attack, Traits

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier


@dataclass(frozen=True)
class Preset:
    """An attack class, or a function that makes one, with default arguments: an `AttackEntry`.

    Attributes:
        attack: called as `attack(classifier, **params)`.
        params: arguments that a call may override.
        summary, source: what it is, and its paper, for `priemo-bench list --long`.
    """

    attack: Callable[..., Attack]
    traits: Traits
    params: Mapping[str, object] = field(default_factory=dict)
    summary: str = field(default="", repr=False, compare=False)
    source: str = field(default="", repr=False, compare=False)

    def __call__(self, classifier: PyTorchClassifier | None, **params: object) -> Attack:
        return self.attack(classifier, **{**self.params, **params})

    @property
    def load(self) -> Callable[..., Attack]:
        """The class's `load(path, classifier=None, ...)`, for what its `save` wrote."""
        load: Callable[..., Attack] = getattr(self.attack, "load")  # noqa: B009
        return load
