"""Parameters of one picture: expression, pose, gaze, light, background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from priemo_bench.data.rendering import recipes
from priemo_bench.data.rendering.assets import Array

Color = tuple[int, int, int]
Range = tuple[float, float]


@dataclass(frozen=True)
class View:
    """All parameters of a picture but the person's.

    Angles in degrees; `light` points from the face to its source, z towards the viewer; `shift` is
    in widths of the picture, `softness` the standard deviation of a Gaussian in pixels; `units` are
    face units with their weights; colours 8-bit RGB.
    """

    emotion: str
    strength: float
    units: tuple[tuple[str, float], ...]
    yaw: float
    pitch: float
    roll: float
    gaze_yaw: float
    gaze_pitch: float
    light: tuple[float, float, float]
    ambient: float
    warmth: float
    zoom: float
    shift: tuple[float, float]
    softness: float
    background: tuple[Color, Color]
    background_angle: float


def sample_view(emotion: str, rng: np.random.Generator) -> View:
    """Sample expression, pose, light and background of a picture of this emotion."""

    def uniform(bounds: Range) -> float:
        return float(rng.uniform(*bounds))

    strength = uniform(recipes.STRENGTH)
    return View(
        emotion=emotion,
        strength=strength,
        units=_sample_units(emotion, strength, rng),
        yaw=uniform(recipes.YAW),
        pitch=uniform(recipes.PITCH),
        roll=uniform(recipes.ROLL),
        gaze_yaw=uniform(recipes.GAZE_YAW),
        gaze_pitch=uniform(recipes.GAZE_PITCH),
        light=(uniform(recipes.LIGHT_X), uniform(recipes.LIGHT_Y), 1.0),
        ambient=uniform(recipes.AMBIENT),
        warmth=uniform(recipes.WARMTH),
        zoom=uniform(recipes.ZOOM),
        shift=(uniform(recipes.SHIFT), uniform(recipes.SHIFT)),
        softness=uniform(recipes.SOFTNESS),
        background=_sample_background(rng),
        background_angle=uniform((0.0, 360.0)),
    )


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Rotation matrix (3, 3): roll about z, then pitch about x, then yaw about y; degrees."""
    a, b, c = np.radians([yaw, -pitch, roll])
    about_y = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    about_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return (np.array(about_y) @ np.array(about_x) @ np.array(about_z)).astype(np.float32)


def _sample_units(
    emotion: str, strength: float, rng: np.random.Generator
) -> tuple[tuple[str, float], ...]:
    units: list[tuple[str, float]] = []
    for name, weight in recipes.EXPRESSIONS[emotion].items():
        weight *= strength * float(rng.uniform(*recipes.UNIT_STRENGTH))
        if name in recipes.ONE_SIDED:
            units.append((name, weight))
        else:
            units += [
                (name + side, weight * float(rng.uniform(*recipes.SIDE_STRENGTH)))
                for side in ("Left", "Right")
            ]
    return tuple(units)


def _sample_background(rng: np.random.Generator) -> tuple[Color, Color]:
    first = rng.integers(40, 215) + rng.integers(-25, 26, 3)
    second = first + rng.integers(-45, 46) * int(rng.random() >= recipes.PLAIN)
    return _rgb(first), _rgb(second)


def _rgb(values: NDArray[np.integer]) -> Color:
    red, green, blue = (int(value) for value in np.clip(values, 0, 255))
    return red, green, blue
