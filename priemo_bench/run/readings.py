"""The answers of a black box to exported images, as a victim of the run they are from."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from priemo_bench import registry
from priemo_bench.contracts.emotions import emotion_of
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import write_text
from priemo_bench.errors import PriemoError
from priemo_bench.run.export import exported, finished_cells, opened
from priemo_bench.run.spec import Spec, parse

COLUMNS = ("image", "label")
"""Columns of the answers; a further one, `confidence`, is kept."""


@dataclass(frozen=True)
class Answered:
    """What answers are good for.

    Attributes:
        spec: of the run with the black box among its victims, and the attacks that it has answered.
        out: folder of that run: the same, or one inside where some attacks were not exported.
        left_out: attacks without answers.
    """

    spec: Spec
    out: Path
    left_out: tuple[str, ...]


def take_answers(run: Path, answers: Path, name: str) -> Answered:
    """Keep the answers to exported images as the victim `name` of the run; nothing is run.

    Args:
        run: folder of a run whose images were exported.
        answers: csv with a line for each image: `image` as in images.csv, `label`, an emotion, and
            maybe `confidence`.

    Raises:
        PriemoError: nothing was exported; a label, image or column that is unknown, an image that
            is answered twice or not at all; or a name that is taken.
    """
    registry.check_name("victims", name)
    if name.startswith("."):
        raise PriemoError(f"victim {name!r} cannot be called so; let its name begin otherwise")
    known = exported(run)
    if not known:
        raise PriemoError(f"nothing of {run} was exported; run priemo-bench export {run} --out DIR")
    session = opened(run)
    cells = finished_cells(session)
    images = {line["image"]: line["pixels"] for line in known}
    found = _answers(answers, images)
    present = {line["cell"] for line in known}
    wanted = [line for line in known if line["cell"] in {"", *(cell.key for cell in cells)}]
    if missing := list(dict.fromkeys(i["image"] for i in wanted if i["image"] not in found)):
        raise PriemoError(
            f"{answers} has no answer to {len(missing)} of {len(images)} images, such as "
            f"{missing[0]}"
        )
    reference = _save(run, name, images, found)
    left = dict.fromkeys(cell.attack for cell in cells if cell.key not in present)
    out = run / "readings" / name if left else run
    return Answered(_with_victim(session.spec, name, reference, tuple(left)), out, tuple(left))


def _answers(path: Path, images: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Emotion and confidence by image."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PriemoError(f"{path} cannot be read: {error}") from None
    table = csv.DictReader(io.StringIO(text))
    found: dict[str, tuple[str, str]] = {}
    lines: dict[str, int] = {}
    try:
        for column in COLUMNS:
            if column not in (table.fieldnames or ()):
                raise PriemoError(
                    f"{path} has no column {column!r}; its first line must be image,label"
                )
        for row in table:
            where = f"{path}, line {table.line_num}"
            image = _image(row["image"] or "", images, where)
            if image in found:
                raise PriemoError(f"{where}: {image} is answered already, in line {lines[image]}")
            emotion = emotion_of(row["label"] or "")
            if emotion is None:
                raise PriemoError(
                    f"{where}: the label {row['label']!r} is none of {', '.join(EMOTIONS)}; give "
                    "the most probable of these"
                )
            found[image], lines[image] = (emotion, row.get("confidence") or ""), table.line_num
    except csv.Error as error:
        raise PriemoError(f"{path} is no csv: {error}") from None
    return found


def _image(text: str, images: dict[str, str], where: str) -> str:
    """The exported image that a line is about, also where folders stand before its name."""
    parts = text.strip().replace("\\", "/").split("/")
    name = "/".join(parts[-2:])
    if name not in images:
        raise PriemoError(
            f"{where}: no image was exported as {text!r}; give it as in images.csv, such as "
            f"{next(iter(images))}"
        )
    return name


def _save(run: Path, name: str, images: dict[str, str], answers: dict[str, tuple[str, str]]) -> str:
    """Write the readings by pixels and their description; a reference to it."""
    folder = run / "readings"
    description = folder / f"{name}.toml"
    reference = f"{name}={description}"
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("pixels", "label", "confidence", "image"))
    for image, (label, confidence) in sorted(answers.items()):
        table.writerow((images[image], label, confidence, image))
    write_text(folder / f"{name}.csv", text.getvalue())
    write_text(
        description, tomli_w.dumps({"name": name, "format": "readings", "file": f"{name}.csv"})
    )
    return reference


def _with_victim(spec: Spec, name: str, reference: str, left: tuple[str, ...]) -> Spec:
    """The spec with one more victim, and without attacks that it has not answered."""
    values = spec.model_dump(exclude_defaults=True)
    values["victims"] = [*(v for v in spec.victims if v != name), reference]
    labels = zip(spec.attacks, values["attacks"], strict=True)
    values["attacks"] = [item for attack, item in labels if attack.title not in left]
    return parse(values)
