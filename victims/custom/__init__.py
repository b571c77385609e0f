"""A user's own emotion classifiers as victims: a file, described by a few lines of TOML.

`registry.get("victims", "my.toml")` finds them by the entry-point group `priemo_bench.loaders`, and
so "emotieff-b0-vgaf:enet_b0_8_best_vgaf.onnx", a description that is ready here and a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priemo_bench.contracts.victim import Victim
    from priemo_bench.victims.custom.description import Description


@dataclass(frozen=True)
class CustomVictim:
    """Entry point of a user's victim: calling it loads the victim and tries it on a few images.

    torch is imported on use.

    Attributes:
        path: of the TOML file, see `priemo_bench.victims.custom.description.Description`.
        file: the file of the network, where the TOML is one of `victims/custom/ready`.
    """

    path: Path
    file: Path | None = None

    @property
    def description(self) -> Description:
        """What the TOML says; PriemoError for any fault in it."""
        from priemo_bench.victims.custom.description import read

        return read(self.path, self.file)

    @property
    def judged_only(self) -> bool:
        """Whether it has no gradient, and can be no surrogate."""
        return self.description.judged_only

    def __call__(self) -> Victim:
        """The frozen victim; PriemoError for any fault in the TOML or the weights."""
        from priemo_bench.victims.custom.victim import load

        return load(self.description)
