"""Import paths of version 0.2, which work with a DeprecationWarning until version 0.4."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "attack": ("contracts.attack",),
    "attacks.entry": ("contracts.preset",),
    "attacks.shared_noise": ("attacks.universal.base",),
    "attacks.wrapped": ("attacks.adapter",),
    "budget": ("quality.budget",),
    "compare": ("judge.compare",),
    "datasets": ("contracts.dataset",),
    "datasets.draw": ("data.sampling",),
    "datasets.fer2013": ("data.fer2013",),
    "datasets.folder": ("data.folder",),
    "datasets.near_copies": ("data.near_copies",),
    "datasets.pictures": ("data.pictures",),
    "datasets.rendered": ("data.rendered",),
    "files": ("run.deploy", "photos.folder"),
    "images": ("contracts.image",),
    "kinship": ("contracts.card", "judge.kinship"),
    "leaderboard": ("judge.leaderboard",),
    "outcomes": ("contracts.outcomes",),
    "rows": ("contracts.rows",),
    "spec": ("run.spec",),
    "statistics": ("judge.statistics",),
    "store": ("contracts.storage", "run.store"),
    "training": ("train",),
    "victim": ("contracts.victim", "contracts.card", "contracts.weights"),
    "victims.own": ("victims.custom",),
    "victims.public.archive": ("contracts.weights.archive",),
}
"""Module of version 0.2 to the modules that have its names today, both below `priemo_bench`."""
RENAMED = {
    "attacks.entry": {"Entry": "Preset"},
    "attacks.shared_noise": {"SharedNoise": "BaseUniversalAttack"},
    "attacks.wrapped": {"WrappedAttack": "AdaptedAttack"},
    "images": {"Floats": "FloatImages", "Bytes": "ByteImages"},
    "attack": {"SHARED": "FITTED_SCOPES"},
    "datasets.draw": {"draw": "sample"},
    "datasets.near_copies": {"nearest": "highest_correlation"},
    "kinship": {
        "KINDS": "RELATIONS",
        "COUNTED": "COUNTED_RELATIONS",
        "check_kinds": "check_relations",
        "shared": "relations",
    },
    "statistics": {"Share": "RateEstimate", "next_recogniser": "next_victim"},
    "victims.own": {"Own": "CustomVictim"},
}
"""Names of version 0.2, by module, to those of today."""


class _Moved(ModuleType):
    """A module of version 0.2 that looks its names up where they are today."""

    def __init__(self, name: str, old: str) -> None:
        super().__init__(name, f"Moved to {' and '.join(MOVED[old])}.")
        self.__path__: list[str] = []
        self._old = old

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        today = RENAMED.get(self._old, {}).get(name, name)
        for home in MOVED[self._old]:
            module = import_module(f"priemo_bench.{home}")
            if hasattr(module, today):
                return getattr(module, today)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _Finder:
    """Finds and loads modules of version 0.2; importlib's base classes cost start-up time."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.startswith("priemo_bench.") and name.partition(".")[2] in MOVED:
            return ModuleSpec(name, self)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        old = spec.name.partition(".")[2]
        today = " and ".join(f"priemo_bench.{home}" for home in MOVED[old])
        warnings.warn(f"{spec.name} is {today} since version 0.3", DeprecationWarning, stacklevel=2)
        return _Moved(spec.name, old)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: names are looked up on use."""


def install() -> None:
    """Let the paths in MOVED be imported; once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
