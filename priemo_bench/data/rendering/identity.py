"""The person in a picture: an identity is sampled once, and all of its pictures share it."""

from dataclasses import dataclass

import numpy as np

from priemo_bench.data.rendering import recipes
from priemo_bench.data.rendering.assets import MACRO, SHAPE, Array, Assets

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Identity:
    """One synthetic person. Colours are 8-bit RGB; `age` runs from 0 (young) to 1 (old)."""

    number: int
    seed: int
    ethnicity: str
    other_ethnicity: str
    mix: float
    sex: str
    age: float
    skin: Color
    hair: Color
    hair_style: str
    iris: Color
    beard: float
    shape: tuple[tuple[str, float], ...]

    @property
    def name(self) -> str:
        """Its id in the data set, such as `p017`."""
        return f"p{self.number:03d}"


def sample_identity(number: int, seed: int) -> Identity:
    """Sample person `number`; ethnicity and sex alternate, so that every split is balanced."""
    rng = np.random.default_rng([seed, number])
    ethnicity = recipes.ETHNICITIES[number % 3]
    sex = ("female", "male")[number // 3 % 2]
    mixed = rng.random() < recipes.MIXED
    other = str(rng.choice([name for name in recipes.ETHNICITIES if name != ethnicity]))
    mix = float(rng.uniform(0.25, 0.5)) if mixed else 0.0
    age = float(np.clip(rng.beta(0.8, 1.2), 0, 1))
    skin = _blend(_pick(rng, recipes.SKINS[ethnicity]), _pick(rng, recipes.SKINS[other]), mix)
    grey = float(np.clip((age - 0.45) * 1.8 + rng.normal(0, 0.15), 0, 1))
    return Identity(
        number=number,
        seed=seed,
        ethnicity=ethnicity,
        other_ethnicity=other if mixed else ethnicity,
        mix=mix,
        sex=sex,
        age=age,
        skin=_scale(skin, float(rng.uniform(0.93, 1.06))),
        hair=_blend(_pick(rng, recipes.HAIRS[ethnicity]), recipes.GREY_HAIR, grey),
        hair_style=_hair_style(rng, sex, age),
        iris=_pick(rng, recipes.IRISES[ethnicity]),
        beard=float(rng.choice([0.0, 0.15, 0.35])) if sex == "male" else 0.0,
        shape=_sample_shape(rng),
    )


def identity_moves(identity: Identity, assets: Assets) -> Array:
    """Displacements (n, 3) that turn the base mesh into this person's neutral face."""
    moves = np.zeros_like(assets.mesh.vertices)
    ethnic = ((identity.ethnicity, 1 - identity.mix), (identity.other_ethnicity, identity.mix))
    for ethnicity, share in ethnic:
        for stage, part in (("young", 1 - identity.age), ("old", identity.age)):
            moves += share * part * assets.target(f"{MACRO}/{ethnicity}-{identity.sex}-{stage}")
    for name, weight in identity.shape:
        moves += weight * assets.target(f"{SHAPE}/{name}")
    return moves


def _sample_shape(rng: np.random.Generator) -> tuple[tuple[str, float], ...]:
    shape: list[tuple[str, float]] = []
    for plus, minus, deviation in recipes.SHAPE_AXES:
        weight = float(np.clip(rng.normal(0, deviation), -2 * deviation, 2 * deviation))
        name = plus if weight >= 0 else minus
        if "?" in name:
            uneven = float(rng.uniform(0.92, 1.08))
            shape += [
                (name.replace("?", "l"), abs(weight)),
                (name.replace("?", "r"), abs(weight) * uneven),
            ]
        else:
            shape.append((name, abs(weight)))
    return tuple(shape)


def _hair_style(rng: np.random.Generator, sex: str, age: float) -> str:
    if sex == "female":
        return str(rng.choice(["long", "short", "tied"], p=[0.5, 0.25, 0.25]))
    bald = 0.1 + 0.2 * age
    return str(rng.choice(["bald", "cropped", "short"], p=[bald, 0.4 - bald / 2, 0.6 - bald / 2]))


def _pick(rng: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    return colors[int(rng.integers(len(colors)))]


def _blend(first: Color, second: Color, share: float) -> Color:
    mixed = (1 - share) * np.array(first) + share * np.array(second)
    return _scale((float(mixed[0]), float(mixed[1]), float(mixed[2])), 1.0)


def _scale(color: tuple[float, float, float], factor: float) -> Color:
    red, green, blue = (int(np.clip(round(value * factor), 0, 255)) for value in color)
    return red, green, blue
