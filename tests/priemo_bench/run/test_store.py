"""Files of a run: whole or not there, images back bit by bit, a full disk in one sentence."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
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


def test_images_come_back_bit_by_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (2, 4, 3, 11, 12), dtype=np.uint8)
    quality = {"ssim": rng.random(4)}
    store = Store(tmp_path)
    store.save_images("k", x, y, quality)
    assert np.array_equal(store.images("k", x), y)
    assert np.array_equal(store.quality("k")["ssim"], quality["ssim"])


def test_a_cell_is_done_when_its_facts_say_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.facts("k") is None
    store.save_facts("k", {"status": "failed", "reason": "luck"})
    assert not store.done("k")
    store.save_facts("k", {"status": "done"})
    assert store.done("k")
    (store.cells / "k.json").write_text('{"status": "do')
    assert not store.done("k")


def test_readings(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.predictions("k").empty
    table = pd.DataFrame({"a": np.array([1, 2], np.int8)})
    store.save_predictions("k", table)
    pd.testing.assert_frame_equal(store.predictions("k"), table)
