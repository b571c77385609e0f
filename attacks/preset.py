"""An attack class with some arguments fixed, as the registry lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from priemo_bench.contracts.attack import Attack, Traits


@dataclass(frozen=True)
class Preset:
    """Calls `make(classifier, **params)`, `preset` filling in what is not given."""

    make: Callable[..., Attack]
    traits: Traits
    preset: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, classifier: Any, **params: Any) -> Attack:
        return self.make(classifier, **{**self.preset, **params})

    @property
    def load(self) -> Callable[..., Attack]:
        """Reads what the attack's `save` wrote: `load(path, classifier=None, ...)`."""
        found: Callable[..., Attack] = self.make.load  # type: ignore[attr-defined]
        return found
