import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from priemo_bench.contracts.dataset import SPLITS
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.fer2013 import Fer2013
from priemo_bench.data.fer2013_split import RowList
from priemo_bench.data.fer2013_wide import WideFer2013
from priemo_bench.errors import PriemoError

HELD_OUT = {"choice": 7, "fit": 7}


@pytest.fixture(scope="module")
def faces(patterns):
    """70 Training and 22 PublicTest faces; the last of these is a copy of a Training face."""
    images = np.concatenate([patterns(91), patterns(1)])
    labels = np.concatenate([np.tile(np.arange(7), 13), [0]])
    usage = np.array(["Training"] * 70 + ["PublicTest"] * 22)
    return images, labels, usage


@pytest.fixture(scope="module")
def rows(faces):
    return RowList.make(faces[0][:70], faces[1][:70], HELD_OUT)


def lines(faces):
    return [
        f"{label},{' '.join(map(str, image.ravel()))},{usage}"
        for image, label, usage in zip(*faces, strict=True)
    ]


def write_csv(folder, lines, header="emotion,pixels,Usage"):
    path = folder / "fer2013.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def write_folders(folder, faces, name="{i}.png"):
    for i, (image, label, usage) in enumerate(zip(*faces, strict=True)):
        part = "train" if usage == "Training" else "test"
        target = folder / part / EMOTIONS[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(target / name.format(i=i, usage=usage))
    return folder


def test_splits_of_the_csv(faces, rows, tmp_path):
    data = Fer2013(write_csv(tmp_path, lines(faces)), rows=rows)
    sets = {split: data.split(split) for split in SPLITS}
    assert {split: len(x) for split, x in sets.items()} == {
        "train": 56,
        "choice": 7,
        "fit": 7,
        "test": 21,
    }
    seen = np.concatenate([sets[split].columns["source"] for split in ("train", "choice", "fit")])
    assert sorted(seen) == sorted(f"line {i + 2}" for i in range(70))
    assert sets["test"].notes == (
        "1 of 22 PublicTest faces have a near copy in Training and were left out",
        "0 PublicTest faces repeat another and were left out",
    )
    for face, label, source in zip(
        sets["test"].images, sets["test"].labels, sets["test"].columns["source"], strict=True
    ):
        row = int(source.split()[1]) - 2
        np.testing.assert_array_equal(face, faces[0][row])
        assert label == faces[1][row]


def test_both_forms_and_any_order_give_the_same_sets(faces, rows, tmp_path):
    order = np.random.default_rng(0).permutation(len(faces[0]))
    (tmp_path / "sorted").mkdir()
    copies = [
        Fer2013(write_csv(tmp_path / "sorted", lines(faces)).parent, rows=rows),
        Fer2013(write_csv(tmp_path, lines([array[order] for array in faces])), rows=rows),
        Fer2013(write_folders(tmp_path / "folders", faces), rows=rows),
    ]
    for split in SPLITS:
        assert len({copy.split(split).fingerprint for copy in copies}) == 1


def test_columns_in_another_order_with_spaces(faces, rows, tmp_path):
    other = [
        f" {label}, {usage} , {pixels}"
        for label, pixels, usage in (line.split(",") for line in lines(faces))
    ]
    plain = Fer2013(write_csv(tmp_path, lines(faces)), rows=rows).split("test")
    path = write_csv(tmp_path, other, "emotion, Usage, pixels")
    assert Fer2013(path, rows=rows).split("test").fingerprint == plain.fingerprint


def test_private_faces_are_not_used(faces, rows, tmp_path):
    private = faces[2].astype("<U11")
    private[77:91] = "PrivateTest"
    changed = (*faces[:2], private)
    by_csv = Fer2013(write_csv(tmp_path, lines(changed)), rows=rows).split("test")
    folders = write_folders(tmp_path / "f", changed, "{usage}_{i}.png")
    by_folder = Fer2013(folders, rows=rows).split("test")
    assert len(by_csv) == 7
    assert by_csv.notes[2] == "14 PrivateTest faces were not used"
    assert by_folder.fingerprint == by_csv.fingerprint
    assert by_folder.notes == by_csv.notes


def test_size_and_repeated_faces(faces, rows, tmp_path):
    twice = [*lines(faces), lines(faces)[75]]
    data = Fer2013(write_csv(tmp_path, twice), 32, rows)
    assert len(data.public_test) == 23
    assert sum(name.endswith("-2") for name in data.public_test.ids) == 1
    assert data.split("test").images.shape == (21, 1, 32, 32)
    assert data.split("test").notes[1].startswith("1 PublicTest faces repeat another")


def test_the_wide_fit_split_is_all_of_training_but_the_choice_part(faces, rows, tmp_path):
    path = write_csv(tmp_path, lines(faces))
    narrow, wide = Fer2013(path, rows=rows), WideFer2013(path, rows=rows)
    parts = [narrow.split(split) for split in ("fit", "train")]
    fit = wide.split("fit")
    assert (fit.name, fit.split, len(fit)) == ("fer2013-wide", "fit", 63)
    assert fit.ids.tolist() == sorted(i for part in parts for i in part.ids)
    known = {i: part.take(np.array([k])) for part in parts for k, i in enumerate(part.ids)}
    for k, i in enumerate(fit.ids):
        assert fit.take(np.array([k])).fingerprint == known[i].fingerprint
        assert fit.columns["source"][k] == known[i].columns["source"][0]
    for split in ("choice", "test"):
        assert wide.split(split).fingerprint == narrow.split(split).fingerprint


def test_faces_that_the_list_does_not_know_train_victims(faces, patterns, tmp_path):
    others = RowList.make(patterns(70, seed=5), faces[1][:70], HELD_OUT)
    data = Fer2013(write_csv(tmp_path, lines(faces)), rows=others)
    assert len(data.split("train")) == 70
    assert data.split("train").notes[0].startswith("70 Training faces are not in the committed")
    with pytest.raises(PriemoError, match="in the fit part"):
        data.split("fit")


def damaged(lines, row, old, new, column):
    cells = lines[row].split(",")
    cells[column] = cells[column].replace(old, new, 1) if old else new
    return [*lines[:row], ",".join(cells), *lines[row + 1 :]]


@pytest.mark.parametrize(
    ("column", "old", "new", "sentence"),
    [
        (0, "", "7", "line 7: emotion '7' is not one of 0 to 6"),
        (0, "", "happy", "line 7: emotion 'happy'"),
        (1, " ", " x ", "line 7: 2305 pixels, but a face has 48x48 = 2304"),
        (1, "", "1 2 3", "line 7: 3 pixels"),
        (1, "", "", "line 7: 0 pixels"),
        (1, "", " ".join(["0"] * 2303 + ["256"]), "line 7: pixels must be whole numbers 0 to 255"),
        (1, "", " ".join(["0"] * 2303 + ["1.5"]), "line 7: pixels must be"),
        (2, "", "Trianing", "line 7: Usage 'Trianing' is not one of Training"),
    ],
)
def test_wrong_lines_are_named(faces, tmp_path, column, old, new, sentence):
    path = write_csv(tmp_path, damaged(lines(faces), 5, old, new, column))
    with pytest.raises(PriemoError, match=sentence):
        Fer2013(path).split("test")


def test_a_truncated_csv_is_named(faces, tmp_path):
    path = write_csv(tmp_path, [*lines(faces), "3,1 2 3"])
    with pytest.raises(PriemoError, match="Expected 3 columns, got 2") as error:
        Fer2013(path).split("test")
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "encode", [lambda text: text.encode("utf-16"), lambda text: text.encode() + b"0,\xe9,Training"]
)
def test_a_csv_that_is_not_utf_8(faces, tmp_path, encode):
    path = write_csv(tmp_path, lines(faces))
    path.write_bytes(encode(path.read_text()))
    with pytest.raises(PriemoError, match=r"fer2013\.csv .*(UTF-?8)") as error:
        Fer2013(path).split("fit")
    assert "\n" not in str(error.value)


def test_latin_1_names_of_columns(faces, tmp_path):
    path = write_csv(tmp_path, lines(faces))
    path.write_bytes(path.read_bytes().replace(b"emotion", b"\xe9motion", 1))
    with pytest.raises(PriemoError, match="it is not UTF-8 text; save it as UTF-8"):
        Fer2013(path).split("fit")


def test_a_test_of_copies_only(faces, rows, tmp_path):
    images, labels, _ = faces
    usage = np.array(["Training"] * 70 + ["PublicTest"] * 7)
    copies = np.concatenate([images[:70], images[:7]]), np.concatenate([labels[:70], labels[:7]])
    data = Fer2013(write_csv(tmp_path, lines((*copies, usage))), rows=rows)
    with pytest.raises(PriemoError, match="the test split of data set 'fer2013' is empty"):
        data.split("test")


def test_incomplete_copies_are_named(faces, tmp_path):
    images, labels, usage = faces
    no_fear = labels != 2
    path = write_csv(tmp_path, lines((images[no_fear], labels[no_fear], usage[no_fear])))
    with pytest.raises(PriemoError, match="no Training faces of fear"):
        Fer2013(path).split("train")
    path = write_csv(tmp_path, lines((images[:70], labels[:70], usage[:70])))
    with pytest.raises(PriemoError, match="no PublicTest faces"):
        Fer2013(path).split("test")
    with pytest.raises(PriemoError, match="no column 'usage'"):
        Fer2013(write_csv(tmp_path, ["0,1 2"], "emotion,pixels")).split("test")
    with pytest.raises(PriemoError, match="header and no rows"):
        Fer2013(write_csv(tmp_path, [])).split("test")


def test_wrong_places_are_named(tmp_path):
    (tmp_path / "empty.csv").touch()
    for data, sentence in (
        (None, "give its csv or its folder with --data"),
        (tmp_path / "none", "does not exist"),
        (tmp_path, "neither fer2013.csv nor a folder train"),
        (tmp_path / "empty.csv", "not a readable csv"),
    ):
        with pytest.raises(PriemoError, match=sentence):
            Fer2013(data).split("test")
    with pytest.raises(PriemoError, match="did you mean test"):
        Fer2013(tmp_path).split("tset")


@pytest.mark.skipif("PRIEMO_FER2013" not in os.environ, reason="needs a copy of FER2013")
def test_the_real_copy():
    """PRIEMO_FER2013 names a csv or folder; PRIEMO_FER2013_OTHER, if set, the other form."""
    data = Fer2013(Path(os.environ["PRIEMO_FER2013"]))
    assert list(data.training.counts.values()) == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    sizes = [len(data.split(split)) for split in ("train", "choice", "fit")]
    assert sizes == [23709, 2500, 2500]
    # 373 faces by the correlation of their thumbnails, and a black one that Training has too
    assert data.split("test").notes[0].startswith("374 of 3589 PublicTest faces")
    if other := os.environ.get("PRIEMO_FER2013_OTHER"):
        again = Fer2013(Path(other))
        for split in SPLITS:
            assert again.split(split).fingerprint == data.split(split).fingerprint
