"""The user's data: the csv of FER2013, folders of pictures with names, pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.fer2013 import Fer2013
from priemo_bench.data.folder import Folder
from priemo_bench.data.pictures import read_picture

SIDE = 48 * 48


def slow(few: int, many: int) -> Any:
    """How many inputs, in CI and in the slow run."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.slow)])


def csv(n: int = 16) -> str:
    rng = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for k in range(n):
        pixels = " ".join(map(str, rng.integers(0, 10, SIDE)))
        lines.append(f"{k % 7},{pixels},{'Training' if k < n // 2 else 'PublicTest'}")
    return "\n".join(lines) + "\n"


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-7", "cp500"]


@slow(15, 4_000)
def test_csv_of_fer2013(fuzz: Any, inputs: Any, amount: int) -> None:
    """The first and last lines, where a change makes most of a difference, are changed most."""
    text = csv()
    lines = text.splitlines()
    short = "\n".join([*lines[:2], *(line[:60] for line in lines[2:4]), lines[-1]])
    each = [inputs.damaged(short.encode(code, "replace"), 3) for code in ENCODINGS]
    heads = inputs.damaged(lines[0].encode(), 2).map(
        lambda head: head + text[len(lines[0]) :].encode()
    )
    path = fuzz.folder / "fer2013.csv"

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        faces = Fer2013(path)._usages
        for own in faces.values():
            assert own.images.shape[1:] == (1, 48, 48)

    fuzz(st.one_of(*each, heads, inputs.damaged(text.encode())), attempt, amount)


def picture(kind: str = "PNG", mode: str = "L", size: int = 12, seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).convert(mode).save(out, kind)
    return out.getvalue()


KINDS = [("PNG", "L"), ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"),
         ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "RGB"), ("WEBP", "RGB"),
         ("PPM", "RGB")]  # fmt: skip


@slow(40, 5_000)
@pytest.mark.filterwarnings("ignore")
def test_pictures(fuzz: Any, inputs: Any, amount: int) -> None:
    """Pillow warns of some, and reads them."""
    whole = [picture(kind, mode) for kind, mode in KINDS]

    def attempt(data: bytes) -> None:
        path = fuzz.folder / "picture"
        path.write_bytes(data)
        found = read_picture(path)[0]
        assert found.mode in ("L", "RGB")

    fuzz(st.one_of([inputs.damaged(data) for data in whole]), attempt, amount)


HOW = ["rename", "emotion", "data", "kind", "drop", "size", "persons"]


@st.composite
def folders(draw: st.DrawFn, inputs: Any) -> list[tuple[str, bytes]]:
    """Pictures of each emotion, of which some have other names, places or bytes."""
    found = [(f"{e}/{k}.png", picture(seed=7 * k + i)) for k in range(3)
             for i, e in enumerate(EMOTIONS)]  # fmt: skip
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(found) - 1))
        name, data = found[at]
        how = draw(st.sampled_from(HOW))
        text = draw(inputs.names).encode("utf-8", "replace").decode()
        if how == "rename":
            found[at] = f"{name.partition('/')[0]}/{text}.png", data
        elif how == "emotion":
            found[at] = f"{text}/{name.partition('/')[2]}", data
        elif how == "data":
            found[at] = name, draw(inputs.damaged(data))
        elif how == "kind":
            found[at] = name, picture(*draw(st.sampled_from(KINDS)))
        elif how == "size":
            found[at] = name, picture(size=draw(st.sampled_from([1, 11, 13, 60])))
        elif how == "persons":
            lines = ["file,person", *(f"{n},p{k % 9}" for k, (n, _) in enumerate(found))]
            found.append(("persons.csv", draw(inputs.damaged("\n".join(lines).encode()))))
        elif len(found) > 1:
            del found[at]
    return found


@slow(10, 4_000)
@pytest.mark.filterwarnings("ignore")
def test_folders_of_pictures(fuzz: Any, inputs: Any, amount: int) -> None:
    count = iter(range(10**9))

    def attempt(files: list[tuple[str, bytes]]) -> None:
        root = fuzz.folder / str(next(count))
        made: list[Path] = []
        for name, data in files:
            path = root / name.replace("\0", "").replace("..", "_").lstrip("/")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            except OSError:  # it is no name for a file
                continue
            made.append(path)
        try:
            dataset = Folder(root, 16 if len(files) % 2 else None)
            for split in ("fit", "test"):
                faces = dataset.split(split)
                assert len(np.unique(faces.ids)) == len(faces)
        finally:
            for path in made:
                path.unlink(missing_ok=True)

    fuzz(folders(inputs), attempt, amount)
