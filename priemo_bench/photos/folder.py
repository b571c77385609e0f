"""A folder of photos protected: with progress, resumed, each photo for itself."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import islice
from pathlib import Path

from priemo_bench.photos.places import Source, collect, places
from priemo_bench.photos.record import Line, Record, held
from priemo_bench.photos.settings import Settings
from priemo_bench.photos.working import Worker, line_in_process, n_pixels, processes
from priemo_bench.progress import Mode, Progress
from priemo_bench.progress import progress as show

LARGE = 6_000_000
"""Photos of more pixels are worked on one at a time: memory."""
MANY = 200
"""Photos from which processes are worth the seconds that they take to start."""
WORKERS = 8
"""Processes at most."""


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
        job = Job(Worker(settings, out, digest), record, shown)
        for note in notes:
            shown.say(note)
        pairs = list(zip(sources, paths, strict=True))
        known = {source.key: record.done(source, path, digest) for source, path in pairs}
        n_known = sum(line is not None for line in known.values())
        if n_known:
            shown.say(f"{n_known} of {len(pairs)} photos were protected before")
        shown.run(len(pairs) - n_known)
        todo = [pair for pair in pairs if known[pair[0].key] is None]
        lines = job.run(todo)
        for source, _ in pairs:
            line = known[source.key]
            if line is None:
                record.add(line := next(lines))
            yield line
        record.tidy()


class Job:
    """The photos of a folder, each worked on once: here, or several at a time in processes."""

    def __init__(self, worker: Worker, record: Record, shown: Progress) -> None:
        self.worker, self.record, self.shown = worker, record, shown

    def _open(self) -> None:
        """Load what all photos need."""
        s = self.worker.settings
        what = s.attack if s.perturbation is None else str(s.perturbation)
        readers = ", ".join(self.worker.protector.readers) or "no classifier"
        self.shown.say(f"opening {what} and {readers}")

    def run(self, pairs: Sequence[tuple[Source, Path]]) -> Iterator[Line]:
        """The lines of photos, in order; many of a perturbation are made several at a time."""
        if not pairs:
            return
        workers = min(os.cpu_count() or 1, WORKERS)
        if self.worker.settings.perturbation is None or len(pairs) < MANY or workers == 1:
            self._open()
            for source, path in pairs:
                self._begin(source, path)
                yield self._told(source, self.worker.line(source, path))
            return
        rest = iter(pairs)
        waiting: deque[tuple[Source, Future[Line]]] = deque()
        with processes(self.worker, workers) as pool:
            self._open()
            try:
                while True:
                    more = islice(rest, 2 * workers - len(waiting))
                    waiting.extend((s, self._submitted(pool, s, path)) for s, path in more)
                    if not waiting:
                        return
                    source, future = waiting.popleft()
                    yield self._told(source, future.result())
            finally:
                for _, future in waiting:
                    future.cancel()

    def _submitted(self, pool: Executor, source: Source, path: Path) -> Future[Line]:
        """The line to come; a large photo is worked on here, one at a time."""
        self._begin(source, path)
        if n_pixels(source.path) <= LARGE:
            return pool.submit(line_in_process, source, path)
        future: Future[Line] = Future()
        future.set_result(self.worker.line(source, path))
        return future

    def _begin(self, source: Source, path: Path) -> None:
        """Say so, in the record too: what a killed job leaves at `path` is known as its own."""
        head, below = self.worker.head(source), self.worker.below(path)
        self.record.add({**head, "status": "begun", "out": below})
        self.shown.begin(source.key, str(source.path))

    def _told(self, source: Source, line: Line) -> Line:
        self.shown.end(source.key, str(source.path), line["status"])
        return line


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
