"""Files are written whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from priemo_bench.contracts.storage import (
    StorageError,
    load_tensors,
    save_tensors,
    write_file,
    write_text,
)
from priemo_bench.errors import PriemoError


def test_a_writer_that_raises_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "grüß")
    assert path.read_text("utf-8") == "grüß"

    def fill(file: BinaryIO) -> None:
        file.write(b"half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_file(path, fill)
    assert path.read_text("utf-8") == "grüß"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    def fill(file: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"the disk is full: .*a\.txt cannot be written"):
        write_file(tmp_path / "a.txt", fill)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "")


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    save_tensors(path, {"a": transposed, "b": np.array([1, 2])}, {"eps": "0.1"})
    tensors, metadata = load_tensors(path)
    assert metadata == {"eps": "0.1"}
    assert tensors.keys() == {"a", "b"}
    np.testing.assert_array_equal(tensors["a"], transposed)
    assert tensors["b"].dtype == np.int64


@pytest.mark.parametrize("kept", [0, 5, -1, None])
def test_a_damaged_or_missing_file_is_one_sentence(tmp_path: Path, kept: int | None) -> None:
    path = tmp_path / "a.safetensors"
    if kept is not None:
        save_tensors(path, {"a": np.ones(3)}, {})
        path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PriemoError, match=r"a\.safetensors cannot be read as safetensors") as error:
        load_tensors(path)
    assert "\n" not in str(error.value)
