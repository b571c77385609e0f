"""A damaged, foreign, full or refusing store is healed or named, and gives no wrong number."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Whole = tuple[Path, Path, float]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit of one byte is another."""
    changed = bytearray(data)
    if changed:
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


Damage = Callable[[bytes, np.random.Generator], bytes | None]
DAMAGES: dict[str, Damage] = {
    "halved": lambda data, _: data[: len(data) // 2],
    "empty": lambda *_: b"",
    "deleted": lambda *_: None,
    "flipped": flipped,
    "longer": lambda data, _: data + b"\0",
}
FOREIGN: dict[str, Damage] = {
    text: lambda _, __, text=text: text.encode()  # type: ignore[misc]
    for text in (
        "1", '"x"', "[]", "null", "{}",
        '{"status": "done"}', '{"status": "done", "attacked": true}',
        '{"format": 999, "status": "done"}',
    )
}  # fmt: skip


def files(out: Path) -> list[Path]:
    """All that decides numbers: pages and pictures are made from it."""
    kinds = (".json", ".npz", ".parquet", ".csv", ".toml")
    return sorted(p for p in out.rglob("*") if p.is_file() and p.suffix in kinds)


def do(damage: Damage, path: Path, rng: np.random.Generator) -> None:
    changed = damage(path.read_bytes(), rng)
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)


def check_heals(lab: Any, whole: Whole, out: Path, what: object) -> None:
    spec, undisturbed, _ = whole
    ended = lab.finish(spec, out)
    assert ended.code == 0, (what, ended)
    assert not ended.is_traceback, (what, ended.text)
    assert not lab.differences(lab.contents(undisturbed), lab.contents(out)), what


@pytest.mark.parametrize("round_", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_damage_to_every_second_file(
    lab: Any, whole: Whole, tmp_path: Path, rng: np.random.Generator, round_: int
) -> None:
    out = shutil.copytree(whole[1], tmp_path / "out")
    done = {}
    for path in files(out):
        if rng.random() < 0.5:
            kinds = DAMAGES | (FOREIGN if path.suffix == ".json" else {})
            done[path.name] = str(rng.choice(list(kinds)))
            do(kinds[done[path.name]], path, rng)
    check_heals(lab, whole, out, done)


@pytest.mark.slow
def test_damage_to_each_file(
    lab: Any, whole: Whole, tmp_path: Path, rng: np.random.Generator
) -> None:
    count = 0
    for path in files(whole[1]):
        kinds = DAMAGES | (FOREIGN if path.suffix == ".json" else {})
        for kind, damage in kinds.items():
            out = shutil.copytree(whole[1], tmp_path / str(count))
            do(damage, out / path.relative_to(whole[1]), rng)
            check_heals(lab, whole, out, (path.name, kind))
            shutil.rmtree(out)
            count += 1
    print(f"{count} damages, all healed")


REFUSE = """
import errno, os, sys
left = [{writes}]
def refuse(event, args):
    writing = (
        event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        or event in ("os.mkdir", "os.rename")
    )
    if writing and not isinstance(args[0], int) and os.fsdecode(args[0]).startswith({out!r}):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.{error}, os.strerror(errno.{error}))
sys.addaudithook(refuse)
"""
"""From some write on, the disk below a folder refuses."""
FILE_SIZE = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize(
    ("error", "said", "writes"),
    [("ENOSPC", "full", 20), pytest.param("EROFS", "ead-only", 0, marks=pytest.mark.slow)],
)
def test_a_disk_that_refuses_midway(
    lab: Any, whole: Whole, tmp_path: Path, error: str, said: str, writes: int
) -> None:
    out = tmp_path / "out"
    setup = REFUSE.format(writes=writes, out=str(out), error=error)
    ended = lab.finish(whole[0], out, setup=setup)
    assert (ended.code, ended.is_traceback) == (2, False), ended
    assert said in ended.text
    assert not list(out.rglob("*.part"))
    check_heals(lab, whole, out, (error, writes))


@pytest.mark.slow
@pytest.mark.parametrize("error", ["ENOSPC", "EROFS"])
@pytest.mark.parametrize("writes", range(0, 90, 3))
def test_a_disk_that_refuses_at_any_write(
    lab: Any, whole: Whole, tmp_path: Path, error: str, writes: int
) -> None:
    out = tmp_path / "out"
    ended = lab.finish(whole[0], out, setup=REFUSE.format(writes=writes, out=str(out), error=error))
    assert ended.is_polite, ended
    check_heals(lab, whole, out, (error, writes))


@pytest.mark.slow
def test_files_that_may_not_grow(lab: Any, whole: Whole, tmp_path: Path) -> None:
    """Writes fail in their midst."""
    out = tmp_path / "out"
    ended = lab.finish(whole[0], out, setup=FILE_SIZE.format(size=8000))
    assert (ended.code, ended.is_traceback) == (2, False), ended
    check_heals(lab, whole, out, "size")


def test_a_finished_run_in_a_folder_that_is_read_only(
    lab: Any, whole: Whole, tmp_path: Path
) -> None:
    out = shutil.copytree(whole[1], tmp_path / "out")
    ended = lab.finish(whole[0], out, setup=REFUSE.format(writes=0, out=str(out), error="EROFS"))
    assert ended.is_polite, ended
    assert not lab.differences(lab.contents(whole[1]), lab.contents(out))


@pytest.mark.slow
def test_a_folder_deleted_midway(lab: Any, whole: Whole, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = lab.start(whole[0], out)
    while run.poll() is None and len(list(out.glob("cells/*.json"))) < 3:
        time.sleep(0.002)
    shutil.rmtree(out, ignore_errors=True)
    ended = run.wait()
    assert ended.is_polite, ended
    check_heals(lab, whole, out, "deleted")
