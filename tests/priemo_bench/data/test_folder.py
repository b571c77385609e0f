import numpy as np
import pytest
from PIL import Image

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.folder import Folder
from priemo_bench.errors import PriemoError


def write(root, images, labels, names=EMOTIONS):
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (root / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(root / names[label] / f"{i:03d}.png")
    return root


@pytest.fixture
def root(patterns, tmp_path):
    """70 grey pictures, ten of each emotion."""
    return write(tmp_path / "faces", patterns(70), np.tile(np.arange(7), 10))


def test_a_folder_is_split_by_emotion_and_reproducibly(root):
    fit, test = Folder(root).split("fit"), Folder(root).split("test")
    assert set(fit.ids) | set(test.ids) == {f"{EMOTIONS[i % 7]}/{i:03d}.png" for i in range(70)}
    assert not set(fit.ids) & set(test.ids)
    assert all(n in (4, 5) for n in fit.counts.values())
    assert [name.split("/")[0] for name in test.ids] == [EMOTIONS[k] for k in test.labels]
    assert fit.images.shape[1:] == (1, 48, 48)
    assert Folder(root).split("test").fingerprint == test.fingerprint


def test_folder_names_of_other_sets(patterns, tmp_path):
    names = ("Anger", "Disgusted", "FEAR", "Happiness", "sadness", "Surprised", "Neutral")
    root = write(tmp_path, patterns(35), np.tile(np.arange(7), 5), names)
    assert min(Folder(root).split("test").counts.values()) > 0


def test_persons_are_on_one_side(root):
    people = [f"person{i // 7}" for i in range(70)]
    files = [f"{EMOTIONS[i % 7]}/{i:03d}.png" for i in range(70)]
    rows = "\n".join(f"{f},{p}" for f, p in zip(files, people, strict=True))
    (root / "persons.csv").write_text("file,person\n" + rows)
    fit, test = Folder(root).split("fit"), Folder(root).split("test")
    assert not set(fit.persons) & set(test.persons)
    assert len(set(fit.persons)) in (4, 5)
    assert len(fit) + len(test) == 70
    assert fit.counts == dict.fromkeys(EMOTIONS, len(set(fit.persons)))


def test_pictures_without_a_person_are_counted(root):
    (root / "persons.csv").write_text("file,person\nhappy/003.png,ann\nhappy/010.png,ann\n")
    faces = Folder(root).split("fit")
    assert faces.notes == ("68 pictures are not in persons.csv and count as a person each",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file;person\nhappy/003.png;ann", "needs file, person"),
        ("file,person\nx.png,ann", "names none of the pictures"),
        ("file,person\nhappy/003.png,ann\nhappy/003.png,bob", "names happy/003.png twice"),
        ("", "not a readable csv"),
    ],
)
def test_wrong_person_lists_are_named(root, text, sentence):
    (root / "persons.csv").write_text(text)
    with pytest.raises(PriemoError, match=sentence):
        Folder(root).split("fit")


def test_near_copies_stay_on_one_side(patterns, tmp_path):
    x = patterns(35)
    both = np.concatenate([x, (x * 0.8 + 20).astype(np.uint8)])
    root = write(tmp_path, both, np.tile(np.arange(7), 10))
    fit, test = Folder(root).split("fit"), Folder(root).split("test")
    numbers = [{int(name[-7:-4]) % 35 for name in faces.ids} for faces in (fit, test)]
    assert not numbers[0] & numbers[1]
    assert numbers[0] | numbers[1] == set(range(35))
    assert len(fit) == 2 * len(numbers[0])
    assert len(test) == len(numbers[1])
    assert test.notes == (f"{len(test)} test pictures repeat another: left out",)


def test_given_splits_are_kept_and_copies_left_out(patterns, tmp_path):
    write(tmp_path / "train", patterns(21), np.tile(np.arange(7), 3))
    test = np.concatenate([patterns(28, seed=1), patterns(2)])
    write(tmp_path / "test", test, np.concatenate([np.tile(np.arange(7), 4), [5, 6]]))
    assert len(Folder(tmp_path).split("fit")) == 21
    faces = Folder(tmp_path).split("test")
    assert len(faces) == 28
    assert faces.notes == ("2 test pictures have a near copy in the fit split: left out",)
    assert all(name.startswith("test/") for name in faces.ids)


def test_known_persons_are_left_out_of_a_given_test(patterns, tmp_path):
    write(tmp_path / "train", patterns(21), np.tile(np.arange(7), 3))
    write(tmp_path / "test", patterns(21, seed=1), np.tile(np.arange(7), 3))
    (tmp_path / "persons.csv").write_text(
        "file,person\ntrain/angry/000.png,ann\ntest/happy/003.png,ann\ntest/sad/004.png,bob\n"
    )
    faces = Folder(tmp_path).split("test")
    assert "test/happy/003.png" not in faces.ids
    assert "1 test pictures show a person of the fit split: left out" in faces.notes


def test_mixed_sizes_need_a_size(root):
    with Image.open(root / "sad" / "004.png") as picture:
        picture.resize((60, 50)).save(root / "sad" / "004.png")
    with pytest.raises(PriemoError, match=r"004\.png is 60x50.*--size"):
        Folder(root).split("test")
    assert Folder(root, 56).split("test").images.shape[1:] == (1, 56, 56)


def test_one_colour_picture_makes_the_set_rgb_with_a_note(root):
    with Image.open(root / "sad" / "004.png") as picture:
        picture.convert("RGBA").save(root / "sad" / "004.png")
    faces = Folder(root).split("fit")
    assert faces.images.shape[1:] == (3, 48, 48)
    assert faces.notes == ("1 pictures of mode RGBA were converted to 8-bit RGB or grey",)


def test_wrong_folders_are_named(root, tmp_path):
    for data, sentence in (
        (None, "give their directory with --data"),
        (tmp_path / "none", "is not a directory"),
        (root / "sad" / "004.png", "is not a directory"),
        (tmp_path, "faces is not named after one of the seven emotions"),
    ):
        with pytest.raises(PriemoError, match=sentence):
            Folder(data).split("test")
    with pytest.raises(PriemoError, match="offers fit and test"):
        Folder(root).split("train")
    with pytest.raises(PriemoError, match="size is 0"):
        Folder(root, 0).split("test")
    for path in (root / "fear").iterdir():
        path.unlink()
    with pytest.raises(PriemoError, match="no pictures of fear"):
        Folder(root).split("test")


def test_half_a_split_is_refused(patterns, tmp_path):
    write(tmp_path / "train", patterns(7), np.arange(7))
    with pytest.raises(PriemoError, match="needs both train and test"):
        Folder(tmp_path).split("fit")


def test_a_truncated_picture_is_named(root):
    path = root / "happy" / "003.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(PriemoError, match=r"003\.png cannot be read as a picture"):
        Folder(root).split("test")


def test_other_types_are_read_or_told(root):
    pictures = sorted(root.rglob("*.png"))
    for path, suffix in zip(pictures, ("jfif", "gif", "jpe", "ppm"), strict=False):
        with Image.open(path) as picture:
            kind = "JPEG" if suffix in ("jfif", "jpe") else None
            picture.save(path.with_suffix(f".{suffix}"), kind, **({"quality": 95} if kind else {}))
        path.unlink()
    (root / "sad" / "readme.TXT").write_text("")
    (root / "sad" / "a.xyz").write_text("")
    faces = Folder(root)
    assert len(faces.split("fit")) + len(faces.split("test")) == 70
    for split in ("fit", "test"):
        assert {
            "1 files of type .xyz were left out", "1 files of type .txt were left out",
        } <= set(faces.split(split).notes)  # fmt: skip


def test_links_are_followed_once(patterns, tmp_path):
    labels = np.tile(np.arange(7), 3)
    own, other = write(tmp_path / "a", patterns(21), labels), write(
        tmp_path / "b", patterns(21, seed=1), labels
    )  # fmt: skip
    for name in EMOTIONS:
        (own / name / "more").symlink_to(other / name)
        (own / name / "again").symlink_to(other / name)
        (own / name / "loop").symlink_to(own)
    assert len(Folder(own).split("fit")) + len(Folder(own).split("test")) == 42


def test_folders_beside_train_and_test_are_told(patterns, tmp_path):
    for seed, name in enumerate(("train", "test", "validation")):
        write(tmp_path / name, patterns(21, seed=seed), np.tile(np.arange(7), 3))
    assert "the folders validation were left out" in Folder(tmp_path).split("fit").notes


def test_too_few_for_two_splits(patterns, tmp_path):
    labels = np.tile(np.arange(7), 4)
    one = write(tmp_path / "one", patterns(7), np.arange(7))
    alike = write(tmp_path / "alike", np.repeat(patterns(1), 28, 0), labels)
    mine = write(tmp_path / "mine", patterns(28), labels)
    files = [f"{EMOTIONS[k]}/{i:03d}.png,me" for i, k in enumerate(labels)]
    (mine / "persons.csv").write_text("\n".join(["file,person", *files]))
    for folder, said in (
        (one, "7 pictures of 7 different pictures"),
        (alike, "28 pictures of 1 different picture"),
        (mine, "28 pictures of 1 person"),
    ):
        for split in ("fit", "test"):
            with pytest.raises(PriemoError, match=f"{said}: too few for both a fit and a test"):
                Folder(folder).split(split)


def test_a_test_of_copies_only(patterns, tmp_path):
    for name in ("train", "test"):
        write(tmp_path / name, patterns(21), np.tile(np.arange(7), 3))
    said = "no picture is left to test on: 21 test pictures have a near copy in the fit split"
    with pytest.raises(PriemoError, match=said):
        Folder(tmp_path).split("test")


def test_pictures_too_small_for_ssim(patterns, tmp_path):
    root = write(tmp_path, patterns(28, size=10), np.tile(np.arange(7), 4))
    with pytest.raises(PriemoError, match=r"are 10x10; a side must have 11 pixels or more"):
        Folder(root).split("fit")
