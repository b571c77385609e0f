import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from priemo_bench.contracts.dataset import SPLITS
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.rendered import Rendered
from priemo_bench.errors import PriemoError


def encode(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def table():
    return pd.DataFrame(
        [
            {
                "image": encode((10 * p, k, 200)),
                "emotion": name,
                "person": f"p{p}",
                "split": split,
                "take": 0,
                "yaw": 1.5 * p,
            }
            for p, split in enumerate(SPLITS)
            for k, name in enumerate(EMOTIONS)
        ]
    )


def written(table, folder):
    table.to_parquet(folder / "faces.parquet")
    return folder / "faces.parquet"


def test_a_split_has_its_own_rows_in_the_order_of_the_file(table, tmp_path):
    faces = Rendered(written(table, tmp_path)).split("fit")
    assert faces.images.shape == (7, 3, 20, 20)
    assert faces.images[:, :, 5, 5].tolist() == [[20, k, 200] for k in range(7)]
    assert faces.labels.tolist() == list(range(7))
    assert faces.ids[3] == "p2-happy-0"
    assert set(faces.persons) == {"p2"}
    assert faces.columns["yaw"].tolist() == [3.0] * 7


def test_size_resizes(table, tmp_path):
    assert Rendered(written(table, tmp_path), 12).split("test").images.shape == (7, 3, 12, 12)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.drop(columns="person"), "no column 'person'"),
        (lambda t: t[t["split"] != "fit"], "no picture in the split fit"),
        (lambda t: t.replace({"emotion": {"sad": "gloomy"}}), "emotion 'gloomy'"),
        (lambda t: t.assign(image=b"nothing"), "cannot be decoded"),
    ],
)
def test_wrong_files_are_named(table, tmp_path, change, sentence):
    with pytest.raises(PriemoError, match=sentence):
        Rendered(written(change(table), tmp_path)).split("fit")


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(PriemoError, match="does not exist"):
        Rendered(tmp_path / "none.parquet").split("fit")
    (tmp_path / "text.parquet").write_text("emotion,pixels")
    with pytest.raises(PriemoError, match="not a readable parquet"):
        Rendered(tmp_path / "text.parquet").split("fit")
    with pytest.raises(PriemoError, match="no split is called 'tset'; did you mean test"):
        Rendered().split("tset")


def test_the_embedded_faces_are_disjoint_by_person_and_balanced():
    """All but train, which takes long to decode; test_rendered_file.py has the persons of all."""
    sets = [Rendered().split(split) for split in SPLITS if split != "train"]
    persons = [set(faces.persons) for faces in sets]
    assert len(set.union(*persons)) == sum(map(len, persons)) == 80
    for faces in sets:
        assert len(set(faces.counts.values())) == 1
        assert len(np.unique(faces.ids)) == len(faces)
        assert faces.images.shape[1:] == (3, 112, 112)
