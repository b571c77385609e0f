"""A user's own emotion classifiers as victims: a weight file, described by a few lines of TOML.

`registry.get("victims", "my.toml")` finds them by the entry-point group `priemo_bench.loaders`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priemo_bench.contracts.victim import Victim


@dataclass(frozen=True)
class CustomVictim:
    """Entry point of a user's victim: calling it loads the victim and tries it on two images.

    torch is imported on use.

    Attributes:
        path: of the TOML file, see `priemo_bench.victims.custom.description.Description`.
    """

    path: Path

    def __call__(self) -> Victim:
        """The frozen victim; PriemoError for any fault in the TOML or the weights."""
        from priemo_bench.victims.custom.description import read
        from priemo_bench.victims.custom.victim import load

        return load(*read(self.path))
