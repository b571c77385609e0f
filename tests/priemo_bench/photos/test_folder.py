"""Folders of photos: resumed, nothing written over, what is left out is told."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from priemo_bench import cli, protect
from priemo_bench.contracts.storage import load_tensors, save_tensors
from priemo_bench.errors import PriemoError
from priemo_bench.photos import folder, working
from priemo_bench.photos.folder import protect_photos
from priemo_bench.photos.settings import Settings
from priemo_bench.run.deploy import FitRequest, fit_to_file
from priemo_bench.run.spec import DatasetSpec

pytestmark = pytest.mark.usefixtures("world")
SETTINGS = Settings("gradient", ("toy-a",), readers=(), whole=True)


def photo(path: Path, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 200, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def run(photos: list[Path], out: Path, settings: Settings = SETTINGS) -> list[dict[str, Any]]:
    return list(protect_photos(photos, out, settings, "quiet"))


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "b.jpg", "beach/c.webp", "beach/deep/d.PNG")):
        photo(tmp_path / "holiday" / name, number)
    (tmp_path / "holiday" / "notes.txt").write_text("")
    (tmp_path / "holiday" / ".hidden.png").write_text("")
    (tmp_path / "holiday" / "bad.jpg").write_text("<html>404</html>")
    return tmp_path / "holiday"


def test_a_folder_is_protected_and_resumed(
    holiday: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    before = {p: p.read_bytes() for p in holiday.rglob("*") if p.is_file()}
    lines = list(protect_photos([holiday], out, SETTINGS, "lines"))
    assert "1 file of type .txt was left out" in capsys.readouterr().err
    assert [line["status"] for line in lines] == ["done", "done", "failed", "done", "done"]
    assert lines[2]["reason"].endswith("it is of no known type; save it as JPEG or PNG")
    written = {p.relative_to(out).as_posix() for p in out.rglob("*.png")}
    assert written == {"a.png", "b.png", "beach/c.png", "beach/deep/d.png"}
    assert [json.loads(t) for t in (out / "protected.jsonl").read_text().splitlines()] == lines
    assert {p: p.read_bytes() for p in before} == before

    times = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    (out / "a.png").unlink()
    photo(holiday / "b.jpg", 9)
    with (out / "protected.jsonl").open("a") as file:
        file.write('{"torn')
    again = run([holiday], out)
    assert [line["status"] for line in again] == [line["status"] for line in lines]
    changed = {p.name for p, t in times.items() if p.stat().st_mtime_ns != t}
    assert changed == {"a.png", "b.png"}
    text = (out / "protected.jsonl").read_text()
    assert len(text.splitlines()) == 5
    assert run([holiday], out, Settings("fgsm", ("toy-a",), readers=(), whole=True)) != again


def test_what_a_killed_job_wrote_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, perturbation: Path
) -> None:
    photos = [photo(tmp_path / "in" / f"{n}.png", n) for n in range(6)]
    asked = Settings(perturbation=perturbation, readers=(), whole=True)
    for settings in (SETTINGS, asked):
        out = tmp_path / str(settings is asked)

        def killed(source: object, line: object) -> None:
            raise KeyboardInterrupt  # its file is there, its line is not

        with monkeypatch.context() as patch:
            patch.setattr(folder.Job, "_told", lambda self, *given: killed(*given))
            with pytest.raises(KeyboardInterrupt):
                run(photos, out, settings)
        assert (out / "0.png").exists()
        assert "done" not in (out / "protected.jsonl").read_text()
        assert {line["status"] for line in run(photos, out, settings)} == {"done"}


def test_a_folder_within_a_folder_that_is_its_own_output(holiday: Path) -> None:
    first = run([holiday], holiday / "out")
    assert len(run([holiday], holiday / "out")) == len(first) == 5


def test_photos_of_one_name_keep_their_suffixes(tmp_path: Path) -> None:
    photos = [photo(tmp_path / "in" / name, k) for k, name in enumerate(("me.jpg", "me.webp"))]
    lines = run(photos, tmp_path / "out")
    assert [line["out"] for line in lines] == ["me.png", "me.webp.png"]
    assert [line["out"] for line in run(photos[1:], tmp_path / "out")] == ["me.webp.png"]
    assert len(run([*photos, photos[0]], tmp_path / "out")) == 2
    assert len(run([tmp_path / "in", photos[0]], tmp_path / "both")) == 2


def test_an_original_is_never_written_over(tmp_path: Path) -> None:
    original, other = photo(tmp_path / "a" / "me.png"), photo(tmp_path / "a" / "you.jpg")
    before = original.read_bytes()
    (tmp_path / "linked").symlink_to(original.parent)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "me.png").hardlink_to(original)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "me.png").symlink_to(original)
    for name in ("a", "linked", "b", "c"):
        with pytest.raises(PriemoError, match=r"me\.png is one of the photos; give another folder"):
            run([other, original], tmp_path / name)
    assert original.read_bytes() == before
    photo(tmp_path / "a" / "you.png")
    with pytest.raises(PriemoError, match=r"you\.png is there already; give another folder"):
        run([other], original.parent)
    (tmp_path / "a" / "you.png").unlink()
    for _ in range(2):  # an earlier result for the same photo
        assert run([other], original.parent)[0]["out"] == "you.png"


@pytest.mark.parametrize("place", ["/proc/x", "file/x"])
def test_a_place_is_tried_before_the_work(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(working, "Protector", lambda *_: pytest.fail("opened"))
    with pytest.raises(PriemoError, match="cannot be written"):
        run([photo(tmp_path / "a.png")], tmp_path / place)
    for wrong in ([tmp_path / "none.png"], [tmp_path / "empty"]):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(PriemoError, match=r"does not exist|there are no photos in"):
            run(wrong, tmp_path / "out")


def test_records_of_others_are_read_with_care(tmp_path: Path) -> None:
    original, out = photo(tmp_path / "a.png"), tmp_path / "out"
    (line,) = run([original], out)
    odd: list[Any] = [[], 1, None, {"photo": 3}, {**line, "out": 4}, {**line, "of": "x"}]
    odd += [{**line, "out": "../../evil.png"}, {**line, "status": []}, {"format": 1, **line}]
    for number, wrong in enumerate(odd):
        at = tmp_path / str(number)
        at.mkdir()
        (at / "protected.jsonl").write_text(json.dumps(wrong) + "\n\xff\0\n{")
        assert run([original], at)[0]["out"] == "a.png"
        assert {p.name for p in at.iterdir()} <= {"a.png", "protected.jsonl", ".lock"}
    (out / "protected.jsonl").write_text(json.dumps({**line, "format": 2}))
    with pytest.raises(PriemoError, match="written by another version"):
        run([original], out)


@pytest.fixture
def perturbation(tmp_path: Path) -> Path:
    params: dict[str, object] = {"passes": 1}
    request = FitRequest("sga", ("toy-a",), DatasetSpec(name="toys"), params, limit=14)
    fit_to_file(request, tmp_path / "u.safetensors", "quiet")
    return tmp_path / "u.safetensors"


def test_many_photos_are_shared_by_processes(
    holiday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, perturbation: Path
) -> None:
    settings = Settings(perturbation=perturbation, readers=(), whole=True)
    alone = run([holiday], tmp_path / "alone", settings)
    monkeypatch.setattr(folder, "MANY", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert run([holiday], tmp_path / "shared", settings) == alone
    for line in alone:
        if line["status"] == "done":
            files = (tmp_path / name / line["out"] for name in ("alone", "shared"))
            assert len({file.read_bytes() for file in files}) == 1
    monkeypatch.setattr(folder, "LARGE", -1)  # all in this process
    monkeypatch.setattr(folder, "line_in_process", None)
    assert run([holiday], tmp_path / "large", settings) == alone


class Deadly:
    """Ends the process that it is sent to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


def test_a_process_that_dies_is_told(
    holiday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, perturbation: Path
) -> None:
    settings = Settings(perturbation=perturbation, readers=(), whole=True)
    monkeypatch.setattr(folder, "MANY", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with monkeypatch.context() as patch:
        patch.setattr(working, "registered", lambda: {("victims", "deadly"): Deadly()})
        with pytest.raises(PriemoError, match="protects photos died"):
            run([holiday], tmp_path / "out", settings)
    assert len(run([holiday], tmp_path / "out", settings)) == 5


def test_a_perturbation_for_photos_of_every_size_and_colour(
    tmp_path: Path, perturbation: Path
) -> None:
    noise = load_tensors(perturbation)[0]["noise"][0]
    settings = Settings(perturbation=perturbation, readers=(), whole=True)
    for mode, size in (("RGB", 32), ("L", 32), ("RGBA", 90), ("RGB", 700)):
        original = tmp_path / f"{mode}-{size}.png"
        pixels = np.random.default_rng(0).integers(60, 200, (32, 32), dtype=np.uint8)
        picture = Image.fromarray(pixels).resize((size, size), 3).convert(mode)
        picture.save(original)
        (line,) = run([original], tmp_path / "out", settings)
        with Image.open(tmp_path / "out" / line["out"]) as protected:
            assert protected.mode == mode
            change = np.asarray(protected, int) - np.asarray(picture, int)
        assert 0 < np.abs(change).max() <= 8
        if size == 32:  # as it was fitted: all channels alike
            change = change.reshape(32, 32, -1)
            assert np.abs(change - 255 * noise.transpose(1, 2, 0)).max() <= 0.51


@pytest.mark.parametrize(
    ("attack", "surrogates", "params"),
    [
        ("priemo-generator", ("toy-a", "toy-b"), {"steps": 2}),
        ("priemo-generator", ("repvgg",), {"steps": 2, "feature_maps": True}),
        ("gap", ("toy-a", "toy-b"), {"passes": 2}),
        ("priemo-class", ("toy-a", "toy-b"), {"steps": 2}),
    ],
)
def test_what_makes_a_perturbation_for_each_photo(
    tmp_path: Path, attack: str, surrogates: tuple[str, ...], params: dict[str, object]
) -> None:
    file = tmp_path / "g.safetensors"
    fit_to_file(
        FitRequest(attack, surrogates, DatasetSpec(name="toys"), params, limit=14),
        file,
        "quiet",
    )
    settings = Settings(perturbation=file, readers=(), whole=True)
    for size in ((32, 32), (90, 61)):
        coarse = np.random.default_rng(0).integers(60, 200, (8, 8), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(size, 3)
        picture.save(tmp_path / f"{size[0]}.png")
        (line,) = run([tmp_path / f"{size[0]}.png"], tmp_path / "out", settings)
        change = np.asarray(Image.open(tmp_path / "out" / line["out"]), int) - picture
        assert 0 < np.abs(change).max() <= 8


def test_fit_takes_parameters_of_the_attack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "g.safetensors"
    words = ("fit", "gap", "--surrogates", "toy-a", "--dataset", "toys", "--limit", 14, "-q")
    assert call(monkeypatch, *words, "--param", "passes=3", "--out", file) == 0
    assert json.loads(load_tensors(file)[1]["settings"])["passes"] == 3


def test_many_photos_with_a_perturbation_are_in_order(tmp_path: Path, perturbation: Path) -> None:
    photos = [photo(tmp_path / "in" / f"{n}.png", n) for n in range(9)]
    settings = Settings(perturbation=perturbation, whole=True)
    lines = run(photos, tmp_path / "out", settings)
    assert [line["photo"] for line in lines] == [str(p) for p in photos]
    assert all("toy-a" in line["faces"][0]["before"] for line in lines)


def test_a_damaged_perturbation_is_one_sentence(tmp_path: Path, perturbation: Path) -> None:
    rng, original = np.random.default_rng(0), photo(tmp_path / "a" / "me.png")
    tensors, metadata = load_tensors(perturbation)
    odd = ["", "x", "-1", "1e30", "3x0x9", "1x99999x99999", "3x32x32", "1x31x31", "[]", "none"]
    for key in metadata:
        for value in [None, *odd]:
            changed = {k: v for k, v in {**metadata, key: value}.items() if v is not None}
            save_tensors(perturbation, tensors, changed)
            refused(original, perturbation)
    for name, tensor in tensors.items():
        for wrong in (tensor.ravel()[:3], tensor[..., :1], np.full_like(tensor, np.nan)):
            save_tensors(perturbation, {**tensors, name: wrong}, metadata)
            refused(original, perturbation)
    save_tensors(perturbation, {"u": np.zeros(3, np.float32)}, {})
    with pytest.raises(PriemoError, match="not written by priemo-bench fit"):
        run([original], tmp_path / "out", Settings(perturbation=perturbation, whole=True))
    save_tensors(perturbation, tensors, metadata)
    whole = perturbation.read_bytes()
    for _ in range(50):
        code = bytearray(whole)
        code[rng.integers(min(len(code), 900))] = rng.integers(256)
        perturbation.write_bytes(code)
        refused(original, perturbation)


def refused(original: Path, perturbation: Path) -> None:
    """Protects, or says in one line why not."""
    said = ""
    try:
        settings = Settings(perturbation=perturbation, readers=(), whole=True)
        (line,) = run([original], perturbation.parent / "out", settings)
        said = line.get("reason", "")
    except PriemoError as error:
        said = str(error)
    assert "\n" not in said, said


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> object:
    monkeypatch.setattr("sys.argv", ["priemo-bench", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scene: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(scene(240, 200, [(60, 40, 110)])).save("face.png")
    Image.new("RGB", (120, 90), "grey").save("wall.png")
    words = ["--attack=gradient", "--surrogates=toy-a", "--readers=toy-b", "--eps=3/255"]
    assert call(monkeypatch, "protect", "face.png", *words, "--quiet") == 0
    assert "toy-b" in (said := capsys.readouterr().out)
    assert said.startswith(f"{tmp_path}/face.png -> protected/face.png: face of ")
    assert int(said.split("linf ")[1].split("/255")[0]) <= 3
    assert call(monkeypatch, "protect", "face.png", "wall.png", *words, "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines] == ["done", "no face"]
    assert not (tmp_path / "protected" / "wall.png").exists()
    assert call(monkeypatch, "protect", "wall.png", *words, "--whole", "--jpeg", 90) == 0
    assert (tmp_path / "protected" / "wall.jpg").exists()
    assert call(monkeypatch, "protect", "no.png", *words) == 2
    assert "no.png does not exist" in capsys.readouterr().err
    assert call(monkeypatch, "protect", "wall.png", "--with", "u", "--attack", "pgd") == 2


def test_protect_returns_what_it_was_given(tmp_path: Path, scene: Any) -> None:
    options: dict[str, Any] = {"attack": "gradient", "surrogates": "toy-a", "readers": ()}
    x = scene(240, 200, [(60, 40, 110)])
    after = protect(x, **options)
    assert isinstance(after, np.ndarray)
    assert after.dtype == np.uint8
    assert 0 < np.abs(after.astype(int) - x).max() <= 16
    grey = np.array(Image.fromarray(x).convert("L"))
    assert protect(grey, **options).shape == grey.shape
    picture = Image.fromarray(x)
    picture.info["icc_profile"] = b"p"
    hidden = protect(picture, **options)
    assert isinstance(hidden, Image.Image)
    assert hidden.info["icc_profile"] == b"p"
    np.testing.assert_array_equal(np.array(hidden), after)
    picture.save(tmp_path / "a.png")
    path = protect(tmp_path / "a.png", out=tmp_path / "out", keep_metadata=True, **options)
    assert path == tmp_path / "out" / "a.png"
    np.testing.assert_array_equal(np.array(Image.open(path)), after)
    wall = np.full((90, 90, 3), 90, np.uint8)
    with pytest.raises(PriemoError, match=r"no face was found in the array; .*whole=True"):
        protect(wall, **options)
    assert protect(wall, whole=True, **options).shape == wall.shape
    with pytest.raises(PriemoError, match="no parameter is called 'nonsense'"):
        protect(x, nonsense=3, **options)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xe4.png")
    original = photo(tmp_path / "in" / "x.png").rename(tmp_path / "in" / name)
    assert original.exists()
    assert run([tmp_path / "in"], tmp_path / "out")[0]["status"] == "done"
    assert (tmp_path / "out" / name).exists()


@pytest.mark.parametrize("jpeg", [None, 90])
def test_metadata_goes_into_the_file_only_as_asked(tmp_path: Path, jpeg: int | None) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif[ExifTags.Base.Orientation] = 6
    original = photo(tmp_path / "a.jpg", exif=exif, icc_profile=b"profile" * 9)
    for keep in (False, True):
        asked = replace(SETTINGS, keep_metadata=keep, jpeg=jpeg)
        (line,) = run([original], tmp_path / "out", asked)
        with Image.open(tmp_path / "out" / line["out"]) as protected:
            assert protected.info["icc_profile"] == b"profile" * 9
            assert dict(protected.getexif()) == ({ExifTags.Base.Make: "Camera"} if keep else {})


def test_heif_where_it_can_be_read(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    picture = Image.fromarray(np.full((40, 60, 3), (200, 90, 40), np.uint8))
    picture.save(tmp_path / "a.heic", quality=95)
    (line,) = run([tmp_path], tmp_path / "out")
    assert line["out"] == "a.png"
    with Image.open(tmp_path / "out" / "a.png") as protected:
        assert np.abs(np.asarray(protected, int) - np.asarray(picture)).max() < 30
