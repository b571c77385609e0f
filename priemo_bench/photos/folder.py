"""A folder of photos protected: with progress, resumed, each photo for itself."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cached_property
from itertools import islice
from operator import methodcaller
from pathlib import Path
from threading import Lock

import torch

from priemo_bench.contracts.storage import StorageError, write_file
from priemo_bench.data.pictures import open_picture
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError
from priemo_bench.photos.photo import read_photo
from priemo_bench.photos.places import Source, collect, places
from priemo_bench.photos.protector import Protector
from priemo_bench.photos.record import FORMAT, Line, Record, held, stamp
from priemo_bench.photos.saving import encoded
from priemo_bench.photos.settings import Settings
from priemo_bench.progress import Mode, Progress
from priemo_bench.progress import progress as show

LARGE = 6_000_000
"""Photos of more pixels are worked on one at a time: memory."""

WORKERS = 8
"""Photos that a perturbation is added to at once, at most."""


def protect_photos(
    photos: Sequence[Path], out: Path, settings: Settings | None = None, progress: Mode = "auto"
) -> Iterator[Line]:
    """Protect photos and folders of photos into `out`; finished work is never done again.

    A file is never written over that is not this photo's own earlier result.

    Args:
        progress: on standard error: "auto", "bars", "lines", "json" or "quiet".

    Yields:
        The line of each photo in OUT/protected.jsonl, in order: `photo`, `status` ("done",
        "no face", "failed"), `out` below the folder, `faces`, `notes`, `reason`.

    Raises:
        PriemoError: before the first photo, for whatever is wrong with the settings or the places.
    """
    settings = (settings or Settings()).settled()
    sources, notes = collect(photos, out)
    with held(out) as record, show(progress) as shown, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # of damaged metadata, told or not needed
        digest = settings.digest()
        paths = places(sources, out, settings.suffix, record.places)
        job = Job(settings, out, digest, record)
        for note in notes:
            shown.say(note)
        pairs = list(zip(sources, paths, strict=True))
        known = {source.key: record.done(source, path, digest) for source, path in pairs}
        n_known = sum(line is not None for line in known.values())
        if n_known:
            shown.say(f"{n_known} of {len(pairs)} photos were protected before")
        if n_known < len(pairs):
            job.open(shown)
        shown.run(len(pairs) - n_known)
        todo = [pair for pair in pairs if known[pair[0].key] is None]
        lines = job.run(todo, shown)
        for source, _ in pairs:
            line = known[source.key]
            if line is None:
                record.add(line := next(lines))
            yield line
        record.tidy()


class Job:
    """Photos read, protected and written, one after the other or two at a time."""

    def __init__(self, settings: Settings, out: Path, digest: str, record: Record) -> None:
        self.settings, self.out, self.digest, self.record = settings, out, digest, record
        self._large = Lock()

    @cached_property
    def protector(self) -> Protector:
        """With its models."""
        return Protector(self.settings)

    def open(self, shown: Progress) -> None:
        """Load what all photos need."""
        s = self.settings
        what = s.attack if s.perturbation is None else str(s.perturbation)
        shown.say(f"opening {what} and {', '.join(self.protector.readers) or 'no classifier'}")

    def run(self, pairs: Sequence[tuple[Source, Path]], shown: Progress) -> Iterator[Line]:
        """The lines of photos, in order; those of a perturbation are made several at a time."""
        workers = 1
        if self.settings.perturbation is not None:
            workers = max(1, min(os.cpu_count() or 1, len(pairs), WORKERS))
        if workers == 1:  # in this thread, where Ctrl-C stops an attack at once
            for source, path in pairs:
                self._begin(source, path, shown)
                yield self._told(source, self._line(source, path), shown)
            return
        rest = iter(pairs)
        waiting: deque[tuple[Source, Future[Line]]] = deque()
        with _one_thread_each(workers), ThreadPoolExecutor(workers) as pool:
            try:
                for source, path in islice(rest, 2 * workers):
                    waiting.append((source, self._submit(pool, source, path, shown)))
                while waiting:
                    source, future = waiting.popleft()
                    yield self._told(source, future.result(), shown)
                    for source, path in islice(rest, 1):
                        waiting.append((source, self._submit(pool, source, path, shown)))
            finally:
                pool.shutdown(cancel_futures=True)

    def _begin(self, source: Source, path: Path, shown: Progress) -> None:
        """Say so, in the record too: what a killed job leaves at `path` is known as its own."""
        self.record.add({**self._head(source), "status": "begun", "out": self._below(path)})
        shown.begin(source.key, str(source.path))

    def _head(self, source: Source) -> Line:
        return {
            "format": FORMAT,
            "photo": source.key,
            "of": stamp(source.path),
            "settings": self.digest,
        }

    def _below(self, path: Path) -> str:
        return path.relative_to(self.out).as_posix()

    def _told(self, source: Source, line: Line, shown: Progress) -> Line:
        shown.end(source.key, str(source.path), line["status"])
        return line

    def _submit(
        self, pool: ThreadPoolExecutor, source: Source, path: Path, shown: Progress
    ) -> Future[Line]:
        self._begin(source, path, shown)
        return pool.submit(self._line, source, path)

    def _line(self, source: Source, path: Path) -> Line:
        line = self._head(source)
        try:
            return line | self._protected(source.path, path)
        except StorageError:
            raise
        except PriemoError as error:
            return line | {"status": "failed", "reason": str(error)}
        except MemoryError:
            return line | {"status": "failed", "reason": f"memory ran out at {source.path}"}

    def _protected(self, source: Path, path: Path) -> Line:
        with told(source, "cannot be read as a picture"), open_picture(source) as file:
            is_large = file.width * file.height > LARGE
        with self._large if is_large else nullcontext():
            photo = read_photo(source)
            boxes = self.protector.find(photo)
            found = self.protector(photo, boxes)
            notes = [*photo.notes, *(face.note for face in found.faces if not face.is_protected)]
            if not any(face.is_protected for face in found.faces):
                return {"status": "no face", "notes": notes}
            data, faces = encoded(found, self.protector)
        write_file(path, methodcaller("write", data))
        notes = list(photo.notes)
        return {"status": "done", "out": self._below(path), "faces": faces, "notes": notes}


@contextmanager
def _one_thread_each(workers: int) -> Iterator[None]:
    """Torch with one thread in each of several workers, which share the cores."""
    before = torch.get_num_threads()
    if workers > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sentence(line: Line, out: Path) -> str:
    """A line of the record in words.

    Example:
        >>> face = {"box": [0, 0, 90, 90], "before": {"resnet": "happy"}, "ssim": 0.99712}
        >>> face |= {"after": {"resnet": "sad"}, "linf": 0.031373}
        >>> line = {"photo": "a.jpg", "status": "done", "out": "a.png", "faces": [face]}
        >>> sentence(line, Path("o"))
        'a.jpg -> o/a.png: face of 90x90: resnet happy > sad; SSIM 0.9971, linf 8/255'
    """
    notes = line.get("notes", [])
    if line["status"] == "failed":
        return f"{line['photo']}: failed: {line['reason']}"
    if line["status"] == "no face":
        return "; ".join([f"{line['photo']}: no face was found, nothing is written", *notes])
    faces = [_face(face) for face in line["faces"]]
    return f"{line['photo']} -> {out / line['out']}: {'; '.join([*faces, *notes])}"


def _face(face: Line) -> str:
    left, top, right, bottom = face["box"]
    said = f"face of {right - left}x{bottom - top}"
    if "after" not in face:
        return f"{said} {face['note']}"
    seen = [face[key] for key in ("before", "after", "saved") if key in face]
    read = ", ".join(f"{name} {' > '.join(r[name] for r in seen)}" for name in face["before"])
    parts = [f"SSIM {face['ssim']:.4f}, linf {round(255 * face['linf'])}/255"]
    if "saved" in face:
        parts.append(
            f"as saved SSIM {face['saved_ssim']:.4f}, of which JPEG alone {face['jpeg_ssim']:.4f}"
        )
    if note := face.get("note"):
        parts.append(note)
    return "; ".join([f"{said}: {read}" if read else said, *parts])
