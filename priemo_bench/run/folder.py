"""The folder of a run: one run at a time, and never over another spec's."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from priemo_bench import __version__
from priemo_bench.contracts.storage import storage_errors, write_text
from priemo_bench.errors import PriemoError
from priemo_bench.run.spec import Spec, differences, parse, same_run

SPEC = "spec.toml"


@contextmanager
def claimed(out: Path, spec: Spec, overwrite: bool = False) -> Iterator[None]:
    """Hold the folder `out` for a run of `spec`; the system frees it when the process ends.

    Raises:
        PriemoError: another run holds it; or, unless `overwrite`, it holds the run of another spec
            or files of none.
    """
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if not overwrite and _is_strange(out):
            raise PriemoError(
                f"{out} holds files that are of no run; give a new or empty folder with --out, or "
                "--overwrite to write the run beside them"
            )
    lock = FileLock(out / ".lock")
    try:
        with storage_errors(out / ".lock"):
            lock.acquire(timeout=0)
    except Timeout:
        raise PriemoError(
            f"another run is writing to {out}; wait for its end, or give another folder with --out"
        ) from None
    try:
        held = stored_spec(out)
        if held is not None and not overwrite and not same_run(held, spec):
            raise PriemoError(
                f"{out} holds the run of another spec (other {differences(held, spec)}); give "
                "another folder with --out, or --overwrite to let it become this one's: cells that "
                "both have in common are kept"
            )
        if held is None or not same_run(held, spec):
            write_text(out / SPEC, spec.to_toml())
        try:
            yield
        except PriemoError:
            if held is None and not _has_work(out):  # a mistake claims no folder
                (out / SPEC).unlink(missing_ok=True)
            raise
    finally:
        lock.release()


def _is_strange(out: Path) -> bool:
    """Whether there are files, none of which says that a run was here."""
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    return bool(names) and not names & {SPEC, "cells"}


def _has_work(out: Path) -> bool:
    """Whether there is any file but the spec and the lock."""
    return any(p.is_file() and p.name not in (SPEC, ".lock") for p in out.rglob("*"))


def stored_spec(out: Path) -> Spec | None:
    """The spec of the run in a folder; None where there is none that can be read.

    Raises:
        PriemoError: the run is of a newer version of priemo-bench, whose spec this one cannot read.
    """
    try:
        values = tomllib.loads((out / SPEC).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    try:
        return parse(values)
    except PriemoError as error:
        made = values.get("versions")
        version = str(made.get("priemo-bench", "")) if isinstance(made, dict) else ""
        if _numbers(version) > _numbers(__version__):
            raise PriemoError(
                f"{out} holds a run of priemo-bench {version[:20]}, which this version "
                f"({__version__}) cannot read ({error}); update it, or give another folder with "
                "--out"
            ) from None
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with."""
    found = re.match(r"\d{1,6}(\.\d{1,6})*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
