"""Procedural colour of a head, vertex by vertex, placed in the coordinates of the undeformed mesh.

Paint therefore sticks to the skin: a brow moves with the brow. All shares are in [0, 1], colours linear in 8-bit / 255.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from priemo_bench.datasets.rendering.assets import Array, Assets
from priemo_bench.datasets.rendering.head import Head
from priemo_bench.datasets.rendering.identity import Identity

Mask = NDArray[np.float32]
FIXED = {"upper-teeth": (212, 206, 194), "lower-teeth": (198, 192, 180), "tongue": (136, 62, 62)}
SCLERA = (226, 224, 222)
LASHES = (38, 28, 24)
MOUTH_INSIDE = (70, 22, 24)
EYE_Y, EYE_X, BROW_Y = 7.285, 0.31, 7.492


class Painter:
    """The places of a head that have a colour of their own, found once for all identities."""

    def __init__(self, head: Head, assets: Assets) -> None:
        self.head = head
        self.body = head.is_part("body")
        self.lips = self._moved(assets, ("mouthRollUpper", "mouthRollLower"), 0.55, 0.25) * _lip_height(head.base)
        self.ears = self._moved(assets, (), 0.1, 0.1, ("ears/l-ear-scale-incr", "ears/r-ear-scale-incr"))
        self.inside = _inside_mouth(head.base) & self.body

    def _moved(
        self, assets: Assets, units: Sequence[str], edge: float, ramp: float, shapes: Sequence[str] = ()
    ) -> Mask:
        """Where the given units or shape targets move the mesh by more than `edge` of their largest move."""
        moves = [assets.unit(name) for name in units]
        moves += [assets.target(f"mpfb2/targets/{name}") for name in shapes]
        lengths = [np.linalg.norm(move[self.head.coarse][self.head.ends].mean(axis=1), axis=1) for move in moves]
        share = np.max([length / length.max() for length in lengths], axis=0)
        return (_ramp(share, edge, ramp) * self.body).astype(np.float32)

    def paint(self, identity: Identity) -> Array:
        """Colours (n, 3) of the head without its eyeballs' irises, which move with the gaze."""
        rng = np.random.default_rng([identity.seed, int(identity.name[1:]), 1])
        base = self.head.base
        skin = np.array(identity.skin, dtype=np.float32) / 255
        hair = np.array(identity.hair, dtype=np.float32) / 255
        colors = np.tile(skin, (len(base), 1))
        colors *= 1 + rng.uniform(0.02, 0.06) * noise(base, rng, 4.0)[:, None]
        colors *= 1 + rng.uniform(0.005, 0.015) * noise(base, rng, 30.0)[:, None]
        _mix(colors, skin * (1.0, 0.72, 0.70), _blush(base) * rng.uniform(0.1, 0.5))
        if rng.random() < 0.3:
            _mix(colors, skin * (0.72, 0.60, 0.52), _freckles(base, rng))
        _mix(colors, skin * (0.72, 0.66, 0.66), _eye_shade(base) * rng.uniform(0.1, 0.5))
        redness = rng.uniform(0.50, 0.72)
        _mix(colors, skin * (rng.uniform(0.8, 0.95), redness, redness + 0.03), self.lips * rng.uniform(0.6, 0.95))
        _mix(colors, hair * 0.6 + skin * 0.15, _beard(base) * (1 - self.lips) * identity.beard)
        _mix(colors, hair * 0.75, brows(base, rng) * rng.uniform(0.75, 0.95))
        strands = 1 + 0.16 * noise(base * (1, 0.25, 1), rng, 26.0)[:, None]
        _mix(colors, hair * strands, self.scalp(identity) * (0.8 if identity.hair_style == "cropped" else 1.0))
        _mix(colors, np.array(MOUTH_INSIDE) / 255, self.inside.astype(np.float32))
        self._paint_parts(colors, hair * strands)
        return np.clip(colors, 0, 1).astype(np.float32)

    def _paint_parts(self, colors: Array, hair: Array) -> None:
        for part, color in FIXED.items():
            colors[self.head.is_part(part)] = np.array(color) / 255
        colors[self.head.is_part("l-eye", "r-eye")] = np.array(SCLERA) / 255
        lashes = self.head.is_part(*(f"{side}-eyelashes-{row}" for side in "lr" for row in (1, 2)))
        colors[lashes] = np.array(LASHES) / 255
        shell = self.head.is_part("hair")
        colors[shell] = hair[shell]

    def scalp(self, identity: Identity, width: float = 0.05) -> Mask:
        """Share of hair on the scalp: above the identity's own hairline, growing over `width` decimetres."""
        if identity.hair_style == "bald":
            return np.zeros(len(self.head.base), dtype=np.float32)
        rng = np.random.default_rng([identity.seed, int(identity.name[1:]), 2])
        x, y, z = self.head.base.T
        line = np.interp(z, (-0.2, 0.35, 0.55, 0.95, 1.3), (6.75, 6.95, 7.35, 7.75, 7.95))
        line = line + rng.uniform(-0.06, 0.06) + rng.uniform(-0.04, 0.1) * np.exp(-((x / 0.3) ** 2))
        line = line + 0.02 * noise(self.head.base, rng, 25.0)
        share = _ramp(y - line, -0.02, width) * self.body * (1 - np.minimum(1, self.ears * 3))
        return share.astype(np.float32)


def brows(base: Array, rng: np.random.Generator) -> Mask:
    """An arch above each eye, of random thickness, arch and length."""
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    start, length = rng.uniform(0.10, 0.15), rng.uniform(0.38, 0.46)
    along = (x - start) / length
    middle = BROW_Y + rng.uniform(0.02, 0.06) * np.sin(np.pi * np.clip(along, 0, 1) * 0.8) + rng.uniform(-0.015, 0.015)
    half = rng.uniform(0.022, 0.042) * (1 - 0.55 * np.clip(along, 0, 1))
    share = _ramp(half - np.abs(y - middle), -0.008, 0.02) * _ramp(along, -0.04, 0.08) * _ramp(1 - along, -0.04, 0.08)
    return (share * (z > 0.9)).astype(np.float32)


def noise(points: Array, rng: np.random.Generator, frequency: float, waves: int = 20) -> Array:
    """Smooth noise (n,) of unit variance: a sum of random plane waves, frequency in radians a decimetre."""
    direction = rng.normal(size=(3, waves))
    direction *= frequency * rng.uniform(0.5, 1.5, waves) / np.linalg.norm(direction, axis=0)
    phase = rng.uniform(0, 2 * np.pi, waves)
    waves_at = np.cos(points.astype(np.float32) @ direction.astype(np.float32) + phase.astype(np.float32))
    return (waves_at.sum(axis=1) * np.sqrt(2 / waves)).astype(np.float32)


def _freckles(base: Array, rng: np.random.Generator) -> Mask:
    spots = np.stack([rng.normal(0, 0.3, 60), rng.normal(7.05, 0.14, 60)], axis=1)
    size, depth = rng.uniform(0.008, 0.014, 60), rng.uniform(0.2, 0.6, 60)
    front = base[:, 2] > 1.0
    away = ((base[:, None, :2] - spots) ** 2).sum(axis=2) / (2 * size**2)
    return (np.max(depth * np.exp(-np.minimum(away, 50)), axis=1) * front).astype(np.float32)


def _blush(base: Array) -> Mask:
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    cheeks = np.exp(-(((x - 0.42) / 0.16) ** 2) - ((y - 6.98) / 0.14) ** 2)
    nose = 0.6 * np.exp(-((x / 0.12) ** 2) - ((y - 6.98) / 0.1) ** 2)
    return (np.maximum(cheeks, nose) * (z > 0.8)).astype(np.float32)


def _eye_shade(base: Array) -> Mask:
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    away = ((x - EYE_X) / 0.26) ** 2 + ((y - EYE_Y + 0.02) / 0.14) ** 2
    return (np.exp(-(away**2)) * (z > 1.0)).astype(np.float32)


def _beard(base: Array) -> Mask:
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    edge = np.interp(x, (0.0, 0.25, 0.45, 0.75), (6.86, 6.84, 6.68, 6.95))
    return (_ramp(edge - y, -0.02, 0.1) * _ramp(y - 5.95, 0, 0.2) * (z > 0.3)).astype(np.float32)


def _lip_height(base: Array) -> Mask:
    """Keeps the lips' mask off the chin and the philtrum."""
    y = base[:, 1]
    return (_ramp(y, 6.49, 0.05) * _ramp(6.83 - y, 0, 0.03)).astype(np.float32)


def _inside_mouth(base: Array) -> NDArray[np.bool_]:
    """Vertices of the mouth's cavity: well behind the foremost surface at the same place."""
    x, y, z = base.T
    window = (np.abs(x) < 0.38) & (y > 6.40) & (y < 6.95) & (z > 0.5)
    cells = np.round(base[:, :2] / 0.05).astype(int)
    front: dict[tuple[int, int], float] = {}
    for cell, depth in zip(map(tuple, cells[window]), z[window], strict=True):
        front[cell] = max(front.get(cell, -9.0), float(depth))
    foremost = np.array([front.get((int(a), int(b)), -9.0) for a, b in cells])
    return window & (z < foremost - 0.12)


def _mix(colors: Array, other: Array | NDArray[np.float64], share: Mask | NDArray[np.float64]) -> None:
    colors += share[:, None].astype(np.float32) * (np.asarray(other, dtype=np.float32) - colors)


def _ramp(value: NDArray[np.floating], edge: float, width: float) -> NDArray[np.float64]:
    return np.clip((np.asarray(value, dtype=np.float64) - edge) / width, 0, 1)
