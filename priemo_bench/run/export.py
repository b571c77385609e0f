"""The published images of a run as PNG files, for a black box that is asked elsewhere.

DIR/clean-DATASET-DIGEST/00000.png    originals of the test faces
DIR/ATTACK-KEY/00000.png              what the attack published
DIR/images.csv                        what each image is; an image that is there twice has one
                                      file, and a line for each of its places
RUN/readings/images.csv               the digest of each file's pixels, for `readings`
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from priemo_bench.contracts.image import EMOTIONS, ByteImages
from priemo_bench.contracts.readings import digest_of
from priemo_bench.contracts.storage import storage_errors, write_file, write_text
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, Progress, progress
from priemo_bench.registry import unknown
from priemo_bench.run.execute import published
from priemo_bench.run.folder import SPEC
from priemo_bench.run.plan import Cell
from priemo_bench.run.schedule import Workers
from priemo_bench.run.session import Session
from priemo_bench.run.spec import Spec, load

IMAGES = "images.csv"
PLACE = ("image", "kind", "dataset", "face", "emotion", "attack", "surrogate", "target", "budget",
         "scale", "seed")  # fmt: skip
"""Columns of images.csv."""
KNOWN = ("image", "pixels", "attack", "cell")
"""Columns of RUN/readings/images.csv."""


def export_images(run: Path, out: Path, attacks: Collection[str] = (), mode: Mode = "auto") -> Path:
    """Write the originals and published images of a finished run; what is there is kept.

    Args:
        run: folder of the run.
        out: folder to write to.
        attacks: labels of the attacks whose images are wanted; all when empty.

    Returns:
        The path of images.csv.

    Raises:
        PriemoError: there is no run, or none of that attack, or its images are not those that the
            code, weights and data of today give; a place that cannot be written to.
    """
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    session = opened(run)
    cells = _chosen(session, attacks, run)
    export = _Export(out)
    with progress(mode) as shown:
        samples = {session.place.keys.clean(cell): cell for cell in cells}
        shown.run(len(samples) + len(cells))
        for key, cell in samples.items():
            export.clean(session, key, cell, shown)
        for cell in cells:
            export.protected(session, cell, shown)
    _keep(run, export.known)
    write_text(out / IMAGES, _csv(PLACE, export.lines))
    return out / IMAGES


def opened(run: Path) -> Session:
    """The session of the run in a folder; nothing of it is run.

    Raises:
        PriemoError: there is none.
    """
    return Session(spec_of(run), run, run, Workers(), "cpu")


def spec_of(run: Path) -> Spec:
    """The spec of the run in a folder; PriemoError where there is none, or a part of it is gone."""
    if not (run / SPEC).is_file():
        raise PriemoError(f"{run} holds no run; it is written by priemo-bench run --out {run}")
    return load(run / SPEC).check()


def finished_cells(session: Session) -> list[Cell]:
    """Cells that have published images, of the code, weights and data of today."""
    store = session.place.store
    return [c for c in session.cells if store.facts(c.key) and store.has_images(c.key)]


def _chosen(session: Session, attacks: Collection[str], run: Path) -> list[Cell]:
    titles = list(dict.fromkeys(cell.attack for cell in session.cells))
    for name in attacks:
        if name not in titles:
            raise unknown("attacks", name, titles)
    wanted = [c for c in session.cells if not attacks or c.attack in attacks]
    found = {cell.key for cell in finished_cells(session)}
    store = session.place.store
    failed = {c.key for c in wanted if (store.facts(c.key) or {}).get("status") == "failed"}
    if missing := [c for c in wanted if c.key not in found | failed]:
        raise PriemoError(
            f"{run} has no images of {len(missing)} of {len(wanted)} cells, such as "
            f"{missing[0].title}: it is not finished, or its code, weights or data have changed "
            "since; run it again first"
        )
    if not (chosen := [c for c in wanted if c.key in found]):
        raise PriemoError(f"{run} has no images: every cell failed")
    return chosen


@dataclass
class _Export:
    """What has been written: lines of images.csv, and digests of pixels by file."""

    out: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    known: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def clean(self, session: Session, key: str, cell: Cell, shown: Progress) -> None:
        """Write the originals of a cell's faces."""
        title = f"originals ({cell.dataset})"
        images = session.place.context.test_faces(cell).images
        shown.begin(key, title, len(images))
        folder = f"clean-{_slug(cell.dataset)}-{key.rpartition('-')[2][:8]}"
        self._write(session, cell, folder, iter([images]), {"kind": "clean"}, "")
        shown.end(key, title)

    def protected(self, session: Session, cell: Cell, shown: Progress) -> None:
        """Write the published images of a cell."""
        shown.begin(cell.key, cell.title, 1)
        target = EMOTIONS[cell.target] if cell.target >= 0 else ""
        facts = {
            "kind": "protected", "attack": cell.attack, "surrogate": cell.surrogate,
            "target": target, "budget": cell.budget, "scale": cell.scale, "seed": cell.seed,
        }  # fmt: skip
        blocks = published(cell, session.place)
        self._write(session, cell, f"{_slug(cell.attack)}-{cell.key[:8]}", blocks, facts, cell.key)
        shown.end(cell.key, cell.title)

    def _write(
        self, session: Session, cell: Cell, folder: str, blocks: Iterator[ByteImages],
        facts: dict[str, Any], key: str,
    ) -> None:  # fmt: skip
        faces = session.place.context.test_faces(cell)
        images = (image for block in blocks for image in block)
        for number, image in enumerate(images):
            digest = digest_of(image)
            name = self.files.setdefault(digest, f"{folder}/{number:05}.png")
            if not (self.out / name).exists():
                _save(self.out / name, image)
            emotion = EMOTIONS[faces.labels[number]]
            face = {"dataset": cell.dataset, "face": faces.ids[number], "emotion": emotion}
            self.lines.append({"image": name, **face, **facts})
            own = {"image": name, "pixels": digest, "attack": str(facts.get("attack", ""))}
            self.known.append({**own, "cell": key})


def _slug(text: str) -> str:
    """`text` as part of a file name: letters, digits, dots and dashes."""
    return re.sub(r"[^a-zA-Z0-9.-]+", "-", text).strip(".-")[:60] or "images"


def _save(path: Path, image: ByteImages) -> None:
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    picture = Image.fromarray(pixels)
    write_file(path, lambda file: picture.save(file, "PNG"))


def _csv(columns: tuple[str, ...], lines: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    return text.getvalue()


def _keep(run: Path, known: list[dict[str, str]]) -> None:
    """Add what was exported to RUN/readings/images.csv."""
    lines = [*exported(run), *known]
    unique = {tuple(line[name] for name in KNOWN): line for line in lines}
    write_text(run / "readings" / IMAGES, _csv(KNOWN, list(unique.values())))


def exported(run: Path) -> list[dict[str, str]]:
    """What was exported of a run so far: KNOWN by name; nothing before the first time."""
    path = run / "readings" / IMAGES
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PriemoError(f"{path} cannot be read ({error}); export the run again") from None
    if any(set(line) != set(KNOWN) or None in line.values() for line in lines):
        raise PriemoError(f"{path} is damaged; remove it and export the run again")
    return lines
