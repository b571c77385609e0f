"""Procedural colour of a head, vertex by vertex.

Paint is placed in the coordinates of the undeformed mesh and therefore sticks to the skin: a brow
moves with the brow. Colours are 8-bit values / 255.
"""

import numpy as np

from priemo_bench.data.rendering import places
from priemo_bench.data.rendering.assets import SHAPE, Array, Assets
from priemo_bench.data.rendering.head import LASHES, Head
from priemo_bench.data.rendering.identity import Identity
from priemo_bench.data.rendering.places import Mask, noise, ramp

PART_COLORS = {
    ("upper-teeth",): (212, 206, 194),
    ("lower-teeth",): (198, 192, 180),
    ("tongue",): (136, 62, 62),
    ("l-eye", "r-eye"): (226, 224, 222),
    LASHES: (38, 28, 24),
}
MOUTH_INSIDE = (70, 22, 24)
FRECKLED = 0.3  # share of identities with freckles


class Painter:
    """Paints identities; the masks that all heads share are computed once."""

    def __init__(self, head: Head, assets: Assets) -> None:
        self.head = head
        body = head.is_part("body")
        rolls = [assets.unit(f"mouthRoll{lip}") for lip in ("Upper", "Lower")]
        self.lips = places.moved_most(head, rolls, 0.55, 0.25) * places.lip_height(head.base)
        scales = [assets.target(f"{SHAPE}/ears/{side}-ear-scale-incr") for side in "lr"]
        self.ears = places.moved_most(head, scales, 0.1, 0.1)
        self.inside = (places.inside_mouth(head.base) & body).astype(np.float32)
        self.hairy = body * (1 - np.minimum(1, self.ears * 3))

    def paint(self, identity: Identity) -> Array:
        """Colours (n, 3) of everything but the irises, which move with the gaze."""
        rng = np.random.default_rng([identity.seed, identity.number, 1])
        base = self.head.base
        skin = np.array(identity.skin, dtype=np.float32) / 255
        hair = np.array(identity.hair, dtype=np.float32) / 255
        colors = np.tile(skin, (len(base), 1))
        self._paint_skin(colors, skin, rng)
        beard = places.beard(base) * (1 - self.lips) * identity.beard
        _mix(colors, hair * 0.6 + skin * 0.15, beard)
        _mix(colors, hair * 0.75, places.brows(base, rng) * rng.uniform(0.75, 0.95))
        strands = hair * (1 + 0.16 * noise(base * (1, 0.25, 1), rng, 26.0)[:, None])
        cover = 0.8 if identity.hair_style == "cropped" else 1.0
        _mix(colors, strands, self.scalp(identity) * cover)
        _mix(colors, np.array(MOUTH_INSIDE) / 255, self.inside)
        for names, color in PART_COLORS.items():
            colors[self.head.is_part(*names)] = np.array(color) / 255
        shell = self.head.is_part("hair")
        colors[shell] = strands[shell]
        return np.clip(colors, 0, 1).astype(np.float32)

    def scalp(self, identity: Identity, width: float = 0.05) -> Mask:
        """Share of hair (n,): from the identity's own hairline up, full `width` above it."""
        if identity.hair_style == "bald":
            return np.zeros(len(self.head.base), dtype=np.float32)
        rng = np.random.default_rng([identity.seed, identity.number, 2])
        above = self.head.base[:, 1] - places.hairline(self.head.base, rng)
        share: Array = ramp(above, -0.02, width) * self.hairy
        return share.astype(np.float32)

    def _paint_skin(self, colors: Array, skin: Array, rng: np.random.Generator) -> None:
        base = self.head.base
        colors *= 1 + rng.uniform(0.02, 0.06) * noise(base, rng, 4.0)[:, None]
        colors *= 1 + rng.uniform(0.005, 0.015) * noise(base, rng, 30.0)[:, None]
        _mix(colors, skin * (1.0, 0.72, 0.70), places.blush(base) * rng.uniform(0.1, 0.5))
        if rng.random() < FRECKLED:
            _mix(colors, skin * (0.72, 0.60, 0.52), places.freckles(base, rng))
        _mix(colors, skin * (0.72, 0.66, 0.66), places.eye_shade(base) * rng.uniform(0.1, 0.5))
        redness = rng.uniform(0.50, 0.72)
        lips = skin * (rng.uniform(0.8, 0.95), redness, redness + 0.03)
        _mix(colors, lips, self.lips * rng.uniform(0.6, 0.95))


def _mix(colors: Array, other: Array, share: Array) -> None:
    colors += share[:, None].astype(np.float32) * (np.asarray(other, dtype=np.float32) - colors)
