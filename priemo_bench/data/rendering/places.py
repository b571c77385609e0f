"""Masks of the regions of a head: weights (n,) in [0, 1] over the vertices of the undeformed mesh.

Lengths are in decimetres of that mesh; the numbers were measured on it.
"""

import numpy as np
from numpy.typing import NDArray

from priemo_bench.data.rendering.assets import Array
from priemo_bench.data.rendering.head import Head

Mask = NDArray[np.float32]
EYE_Y, EYE_X, BROW_Y = 7.285, 0.31, 7.492


def moved_most(head: Head, moves: list[Array], edge: float, width: float) -> Mask:
    """Where displacements (m, 3) of the base mesh exceed `edge` of their largest, over `width`."""
    fine = [move[head.coarse][head.ends].mean(axis=1) for move in moves]
    lengths = [np.linalg.norm(move, axis=1) for move in fine]
    share = np.max([length / length.max() for length in lengths], axis=0)
    return (ramp(share, edge, width) * head.is_part("body")).astype(np.float32)


def hairline(base: Array, rng: np.random.Generator) -> Array:
    """Height (n,) above which the scalp has hair: low at the back, high above the forehead."""
    x, _, z = base.T
    line = np.interp(z, (-0.2, 0.35, 0.55, 0.95, 1.3), (6.75, 6.95, 7.35, 7.75, 7.95))
    line = line + rng.uniform(-0.06, 0.06) + rng.uniform(-0.04, 0.1) * np.exp(-((x / 0.3) ** 2))
    height: Array = line + 0.02 * noise(base, rng, 25.0)
    return height


def brows(base: Array, rng: np.random.Generator) -> Mask:
    """An arch above each eye, of random thickness, arch and length."""
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    start, length = rng.uniform(0.10, 0.15), rng.uniform(0.38, 0.46)
    along = (x - start) / length
    middle = (
        BROW_Y
        + rng.uniform(0.02, 0.06) * np.sin(np.pi * np.clip(along, 0, 1) * 0.8)
        + rng.uniform(-0.015, 0.015)
    )
    half = rng.uniform(0.022, 0.042) * (1 - 0.55 * np.clip(along, 0, 1))
    share = (
        ramp(half - np.abs(y - middle), -0.008, 0.02)
        * ramp(along, -0.04, 0.08)
        * ramp(1 - along, -0.04, 0.08)
    )
    return (share * (z > 0.9)).astype(np.float32)


def noise(points: Array, rng: np.random.Generator, frequency: float, waves: int = 20) -> Array:
    """Smooth noise (n,) of unit variance: random plane waves, frequency in radians a decimetre."""
    direction = rng.normal(size=(3, waves))
    direction *= frequency * rng.uniform(0.5, 1.5, waves) / np.linalg.norm(direction, axis=0)
    phase = rng.uniform(0, 2 * np.pi, waves)
    at = points.astype(np.float32) @ direction.astype(np.float32) + phase.astype(np.float32)
    total: Array = np.cos(at).sum(axis=1) * np.sqrt(2 / waves)
    return total.astype(np.float32)


def freckles(base: Array, rng: np.random.Generator) -> Mask:
    """Sixty spots about the nose and the cheeks."""
    spots = np.stack([rng.normal(0, 0.3, 60), rng.normal(7.05, 0.14, 60)], axis=1)
    size, depth = rng.uniform(0.008, 0.014, 60), rng.uniform(0.2, 0.6, 60)
    front = base[:, 2] > 1.0
    away = ((base[:, None, :2] - spots) ** 2).sum(axis=2) / (2 * size**2)
    spotted: Array = np.max(depth * np.exp(-np.minimum(away, 50)), axis=1) * front
    return spotted.astype(np.float32)


def blush(base: Array) -> Mask:
    """Cheeks and the tip of the nose."""
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    cheeks = np.exp(-(((x - 0.42) / 0.16) ** 2) - ((y - 6.98) / 0.14) ** 2)
    nose = 0.6 * np.exp(-((x / 0.12) ** 2) - ((y - 6.98) / 0.1) ** 2)
    return (np.maximum(cheeks, nose) * (z > 0.8)).astype(np.float32)


def eye_shade(base: Array) -> Mask:
    """The surroundings of the eyes."""
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    away = ((x - EYE_X) / 0.26) ** 2 + ((y - EYE_Y + 0.02) / 0.14) ** 2
    shade: Array = np.exp(-(away**2)) * (z > 1.0)
    return shade.astype(np.float32)


def beard(base: Array) -> Mask:
    """Chin, jaw and upper lip."""
    x, y, z = np.abs(base[:, 0]), base[:, 1], base[:, 2]
    edge = np.interp(x, (0.0, 0.25, 0.45, 0.75), (6.86, 6.84, 6.68, 6.95))
    return (ramp(edge - y, -0.02, 0.1) * ramp(y - 5.95, 0, 0.2) * (z > 0.3)).astype(np.float32)


def lip_height(base: Array) -> Mask:
    """Keeps the lips' mask off the chin and the philtrum."""
    y = base[:, 1]
    return (ramp(y, 6.49, 0.05) * ramp(6.83 - y, 0, 0.03)).astype(np.float32)


def inside_mouth(base: Array) -> NDArray[np.bool_]:
    """Vertices of the mouth's cavity: well behind the foremost surface at the same place."""
    x, y, z = base.T
    window = (np.abs(x) < 0.38) & (y > 6.40) & (y < 6.95) & (z > 0.5)
    cells = np.round(base[:, :2] / 0.05).astype(int)
    front: dict[tuple[int, int], float] = {}
    for cell, depth in zip(map(tuple, cells[window]), z[window], strict=True):
        front[cell] = max(front.get(cell, -9.0), float(depth))
    foremost = np.array([front.get((int(a), int(b)), -9.0) for a, b in cells])
    behind: NDArray[np.bool_] = window & (z < foremost - 0.12)
    return behind


def ramp(value: Array, edge: float, width: float) -> Array:
    """0 below `edge`, 1 above `edge + width`, straight in between."""
    return np.clip((np.asarray(value, dtype=np.float64) - edge) / width, 0, 1)
