"""The committed file of rendered faces holds what its page says, and its recipe still makes it."""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import priemo_bench.data
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.rendering import build, recipes

FILE = Path(priemo_bench.data.__file__).parent / "files" / "rendered.parquet"


@pytest.fixture(scope="module")
def faces() -> pd.DataFrame:
    return pd.read_parquet(FILE)


def pixels(code: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(code)) as picture:
        return np.asarray(picture)


def test_file_is_small_enough_to_ship() -> None:
    assert FILE.stat().st_size <= 25e6


def test_counts_of_every_split(faces: pd.DataFrame) -> None:
    counts = faces.groupby("split").size().to_dict()
    assert counts == {"train": 1680, "choice": 140, "fit": 210, "test": 210}
    persons = faces.groupby("split")["person"].nunique().to_dict()
    assert persons == {"train": 120, "choice": 20, "fit": 30, "test": 30}


def test_no_person_is_in_two_splits(faces: pd.DataFrame) -> None:
    assert (faces.groupby("person")["split"].nunique() == 1).all()


def test_every_person_shows_every_emotion_in_every_take(faces: pd.DataFrame) -> None:
    for _, rows in faces.groupby(["person", "take"]):
        assert tuple(rows["emotion"]) == EMOTIONS


def test_test_split_is_ordered_by_person(faces: pd.DataFrame) -> None:
    first = faces[faces["split"] == "test"].head(140)
    assert first["person"].nunique() == 20
    assert (first.groupby("person").size() == 7).all()


def test_every_split_is_balanced(faces: pd.DataFrame) -> None:
    for _, rows in faces.groupby("split"):
        persons = rows.drop_duplicates("person")
        for column in ("sex", "ethnicity"):
            counts = persons[column].value_counts()
            assert counts.max() - counts.min() <= 2


def test_pictures_are_lossless_rgb_bytes_and_all_different(faces: pd.DataFrame) -> None:
    for code in faces["image"]:
        assert code[12:16] == b"VP8L"  # WebP's lossless bit stream
        with Image.open(io.BytesIO(code)) as picture:  # the header only
            assert (picture.size, picture.mode) == ((112, 112), "RGB")
    assert faces["image"].nunique() == len(faces)


def test_parameters_stay_in_their_ranges(faces: pd.DataFrame) -> None:
    ranges = {
        "yaw": recipes.YAW,
        "pitch": recipes.PITCH,
        "strength": recipes.STRENGTH,
        "light_x": recipes.LIGHT_X,
        "softness": recipes.SOFTNESS,
        "age": (0.0, 1.0),
    }
    for column, (low, high) in ranges.items():
        assert faces[column].between(low, high).all(), column


def test_rows_follow_the_plan(faces: pd.DataFrame) -> None:
    shots = build.plan()
    assert len(shots) == len(faces)
    for number in range(0, len(shots), 101):
        shot = shots[number]
        described = build.describe(shot, *build.stage(shot))
        assert described == faces.iloc[number].drop("image").to_dict()


@pytest.mark.skipif(
    find_spec("pyvista") is None or find_spec("anny") is None, reason="needs the extra `render`"
)
def test_rendering_a_row_again_gives_its_pixels(faces: pd.DataFrame) -> None:
    """Edges may differ by a little with another graphics driver, the face may not."""
    from priemo_bench.data.rendering.scene import Studio

    studio = Studio()
    shots = build.plan()
    for number in (5, len(shots) - 4):
        again = studio.render(*build.stage(shots[number]))
        stored = pixels(faces["image"].iloc[number])
        apart = np.abs(again.astype(int) - stored.astype(int))
        assert apart.mean() < 0.5
        assert np.mean(apart > 8) < 0.01
    studio.close()
