"""Recognisers that a user has on disk, as victims: weights beside a few lines of TOML.

`registry.get("victims", "my.toml")` comes here by the entry point group `priemo_bench.loaders`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priemo_bench.contracts.victim import Victim


@dataclass(frozen=True)
class CustomVictim:
    """Entry point of a user's victim: call it for the victim, frozen and tried on two images.

    torch is imported on use.
    """

    path: Path

    def __call__(self) -> Victim:
        """PriemoError for anything wrong in the TOML or in the weights."""
        from priemo_bench.victims.custom.description import read
        from priemo_bench.victims.custom.victim import load

        return load(*read(self.path))
