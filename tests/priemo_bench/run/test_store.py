"""Files of a run: whole or not there, images back bit by bit, a full disk in one sentence."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from priemo_bench.contracts.storage import write_file
from priemo_bench.errors import PriemoError
from priemo_bench.run.store import Store


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_file(path, lambda file: file.write(b"old"))

    def half(file: BinaryIO) -> None:
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(path, half)
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "cannot be written")]
)
def test_a_disk_that_refuses(tmp_path: Path, number: int, said: str) -> None:
    def refuse(file: BinaryIO) -> None:
        raise OSError(number, "no")

    with pytest.raises(PriemoError, match=said):
        write_file(tmp_path / "x", refuse)
    assert not list(tmp_path.iterdir())


def test_images_come_back_bit_by_bit_and_block_by_block(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (2, 4, 3, 11, 12), dtype=np.uint8)
    store = Store(tmp_path)
    store.save_images("k", [(x[:3], y[:3]), (x[3:], y[3:])])
    assert store.has_images("k")
    blocks = list(store.images("k", [x[:3], x[3:]]))
    assert [len(block) for block in blocks] == [3, 1]
    assert np.array_equal(np.concatenate(blocks), y)


def test_perturbations_and_arrays_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    noise = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float16)
    store.save_perturbation("k", iter(noise))
    assert np.array_equal(np.stack(list(store.perturbation("k"))), noise)
    store.save_arrays("k.metrics", {"ssim a": noise[0], "x/../y": noise[1]})
    assert {name: a.tolist() for name, a in store.arrays("k.metrics").items()} == {
        "ssim a": noise[0].tolist(), "x/../y": noise[1].tolist()
    }  # fmt: skip
    assert store.arrays("nothing") == {}


def test_a_cell_is_done_when_its_facts_say_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.facts("k") is None
    store.save_facts("k", {"status": "failed", "reason": "luck"})
    assert not store.done("k")
    store.save_facts("k", {"status": "done", "rate": float("nan"), "n": (1, 2)})
    assert store.done("k")
    path = store.cells / "k.json"
    for other in ('{"status": "do', "1", "null", "[]", "{}", '"x"', '{"facts": 1, "sha256": 2}'):
        path.write_text(other)
        assert store.facts("k") is None


@pytest.mark.parametrize("kind", ["images", "metrics", "facts"])
def test_no_flipped_byte_is_ever_read(tmp_path: Path, kind: str) -> None:
    """Every bit of a stored file: what is read is what was written, or nothing."""
    store = Store(tmp_path)
    x = np.random.default_rng(0).integers(0, 256, (2, 1, 11, 11), dtype=np.uint8)
    store.save_images("k", [(x, x[::-1])])
    store.save_arrays("k.metrics", {"ssim": np.arange(4.0)})
    store.save_facts("k", {"status": "done", "strength": 0.25})

    def read() -> object:
        if kind == "images":
            return (
                b"".join(b.tobytes() for b in store.images("k", [x]))
                if store.has_images("k")
                else 0
            )
        if kind == "metrics":
            return {
                name: values.tolist() for name, values in store.arrays("k.metrics").items()
            } or 0
        return store.facts("k") or 0

    name = {"images": "k.images.npz", "metrics": "k.metrics.npz", "facts": "k.json"}[kind]
    path = store.cells / name
    whole, right = path.read_bytes(), read()
    rng = np.random.default_rng(1)
    for place in rng.choice(len(whole), min(len(whole), 150), replace=False):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        assert (found := read()) == right or not found, place


def test_leftovers_of_killed_processes_are_swept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_facts("k", {"status": "done"})
    (store.cells / "k.json.123.part").write_text("half")
    store.sweep()
    assert [path.name for path in store.cells.iterdir()] == ["k.json"]


def test_cells_of_before_are_read_and_newer_ones_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_facts("k", {"status": "done"})
    path = store.cells / "k.json"
    whole = json.loads(path.read_text())
    assert whole["format"] == 1
    path.write_text(json.dumps({name: value for name, value in whole.items() if name != "format"}))
    assert store.done("k")
    path.write_text(json.dumps(whole | {"format": 2}))
    with pytest.raises(PriemoError, match=r"newer version of priemo-bench \(format 2"):
        store.done("k")
    for wrong in ("x", None, -1, 0, 1.5, True, []):
        path.write_text(json.dumps(whole | {"format": wrong}))
        with pytest.raises(PriemoError, match="is damaged"):
            store.done("k")


def test_images_of_other_faces_are_a_sentence(tmp_path: Path) -> None:
    x = np.zeros((4, 1, 11, 12), np.uint8)
    store = Store(tmp_path)
    store.save_images("k", [(x, x)])
    for other in (x[:2], x[..., 1:], np.concatenate([x, x])):
        with pytest.raises(PriemoError, match="no images of the same faces"):
            list(store.images("k", [other]))
    with pytest.raises(PriemoError, match="no images of the same faces"):
        list(store.images("k", [x, x]))


@pytest.mark.parametrize("text", ["[" * 9999, "{}", "[1]", '{"facts": 1, "sha256": "x"}', "\ud800"])
def test_facts_that_are_none_count_as_absent(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    store.cells.mkdir()
    (store.cells / "k.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert store.facts("k") is None
