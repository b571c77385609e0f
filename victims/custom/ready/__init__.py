"""Descriptions of networks that people have on disk: `--victims NAME:FILE` is all that is typed.

Each has a TOML file here, in which stands where its labels and its input are published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from priemo_bench.victims.custom import CustomVictim


@dataclass(frozen=True)
class Ready:
    """Loader of a network that is described here.

    Example:
        >>> hf("vit-face-expression").path.name
        'hf.toml'
    """

    name: str

    def __call__(self, file: str) -> CustomVictim:
        """The entry of the victim whose file or folder this is."""
        return CustomVictim(Path(__file__).with_name(f"{self.name}.toml"), Path(file))


deepface = Ready("deepface")
dima806_vit = Ready("dima806-vit")
emotieff_enet_b0 = Ready("emotieff-enet-b0")
emotieff_enet_b0_mtl = Ready("emotieff-enet-b0-mtl")
emotieff_enet_b2 = Ready("emotieff-enet-b2")
emotieff_enet_b2_7 = Ready("emotieff-enet-b2-7")
emotieff_mbf_mtl = Ready("emotieff-mbf-mtl")
emotieff_mobilevit_mtl = Ready("emotieff-mobilevit-mtl")
ferplus = Ready("ferplus")
hf = Ready("hf")
motheecreator_vit = Ready("motheecreator-vit")
trpakov_vit = Ready("trpakov-vit")
