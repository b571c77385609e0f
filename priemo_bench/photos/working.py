"""A photo read, protected and written: in this process, or in others of this machine."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from operator import methodcaller
from pathlib import Path

import torch

from priemo_bench.contracts.storage import StorageError, write_file
from priemo_bench.data.pictures import open_picture
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError
from priemo_bench.photos.photo import read_photo
from priemo_bench.photos.places import Source
from priemo_bench.photos.protector import Protector
from priemo_bench.photos.record import FORMAT, Line, stamp
from priemo_bench.photos.saving import encoded
from priemo_bench.photos.settings import Settings
from priemo_bench.registry import registered
from priemo_bench.run.faults import die_with_parent
from priemo_bench.run.sending import packed, unpack


@dataclass
class Worker:
    """Protects photos one after the other, and never ends for the fault of one.

    Attributes:
        out: folder of the protected files.
        digest: of the settings, for the record.
    """

    settings: Settings
    out: Path
    digest: str

    @cached_property
    def protector(self) -> Protector:
        """With its models."""
        return Protector(self.settings)

    def head(self, source: Source) -> Line:
        """What the line of every photo begins with."""
        return {
            "format": FORMAT,
            "photo": source.key,
            "of": stamp(source.path),
            "settings": self.digest,
        }

    def below(self, path: Path) -> str:
        """A protected file as the record names it."""
        return path.relative_to(self.out).as_posix()

    def line(self, source: Source, path: Path) -> Line:
        """The line of a photo that is protected into `path`.

        Raises:
            StorageError: nothing can be written there.
        """
        line = self.head(source)
        try:
            return line | self._protected(source.path, path)
        except StorageError:
            raise
        except PriemoError as error:
            return line | {"status": "failed", "reason": str(error)}
        except MemoryError:
            return line | {"status": "failed", "reason": f"memory ran out at {source.path}"}

    def _protected(self, source: Path, path: Path) -> Line:
        photo = read_photo(source)
        boxes = self.protector.find(photo)
        found = self.protector(photo, boxes)
        notes = [*photo.notes, *(face.note for face in found.faces if not face.is_protected)]
        if not any(face.is_protected for face in found.faces):
            return {"status": "no face", "notes": notes}
        data, faces = encoded(found, self.protector)
        write_file(path, methodcaller("write", data))
        notes = list(photo.notes)
        return {"status": "done", "out": self.below(path), "faces": faces, "notes": notes}


def n_pixels(source: Path) -> int:
    """Of a photo, by its header; 0 where it cannot be read."""
    try:
        with told(source, "cannot be read as a picture"), open_picture(source) as file:
            return file.width * file.height
    except PriemoError:
        return 0


@contextmanager
def processes(worker: Worker, n: int) -> Iterator[Executor]:
    """`n` processes, each with a worker like this one, that `line_in_process` is submitted to.

    Raises:
        PriemoError: one of them died.
    """
    from joblib.externals.loky import ProcessPoolExecutor

    fresh = replace(worker)  # without its models
    pool = ProcessPoolExecutor(
        n, initializer=_open, initargs=(fresh, packed(registered()), os.getpid())
    )
    try:
        for _ in range(n):  # they open their models while this process goes on
            pool.submit(_prepare)
        yield pool
    except BrokenProcessPool:
        raise PriemoError(
            "a process that protects photos died: killed, out of memory, or a crash of native "
            "code; type the command again, what is done is kept"
        ) from None
    finally:
        pool.shutdown()


_OPEN: list[Worker] = []
"""The worker of a process that `processes` started."""


def _open(worker: Worker, things: bytes, parent: int) -> None:
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    warnings.filterwarnings("ignore", module="PIL")
    torch.set_num_threads(1)
    unpack(things)
    _OPEN[:] = [worker]


def _prepare() -> None:
    with suppress(PriemoError):  # which the first process meets, too
        _ = _OPEN[0].protector


def line_in_process(source: Source, path: Path) -> Line:
    """`Worker.line` in a process of `processes`; tensors keep no history, which costs less."""
    with torch.inference_mode():
        return _OPEN[0].line(source, path)
