"""Pages of HTML without a browser: what they may load, faces as published, what is told apart."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from priemo_bench.contracts.examples import Examples
from priemo_bench.contracts.rows import ROW
from priemo_bench.errors import PriemoError
from priemo_bench.report import save_examples, write_overview
from priemo_bench.report.faces import FOLDER, LIST, load_faces
from priemo_bench.report.formatting import TextTable
from priemo_bench.report.grid import GAP, LEFT, TOP
from priemo_bench.report.methods_table import told_apart
from priemo_bench.report.page import _fewer_seeds
from priemo_bench.report.rendering import CHARTS, SCRIPTS, VEGA, as_html, asset
from priemo_bench.report.views import Section
from priemo_bench.report.webtable import plain

ROOT = Path(__file__).parents[3]


def test_a_page_runs_its_own_scripts_only() -> None:
    page = as_html(
        "web/overview.html.jinja",
        {"entries": [], "submitted": []},
        scripts=(*SCRIPTS, VEGA, CHARTS),
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].replace("&#39;", "'").split("; "))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for texts, rule in ((scripts, "script-src"), (styles, "style-src")):
        digests = [base64.b64encode(sha256(t.encode()).digest()).decode() for t in texts]
        assert rules[rule].split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(scripts) == 4
    assert (rules["default-src"], rules["connect-src"]) == ("'none'", "'none'")
    assert "unsafe" not in policy[1]
    assert not re.search(r"<(img|script|link|iframe)[^>]+(src|href)=\"(?!data:)", page)


@pytest.mark.parametrize("name", [*SCRIPTS, CHARTS, VEGA])
def test_scripts_end_no_script_and_keep_their_licence(name: str) -> None:
    text = asset(name)
    assert "</script" not in text
    if name == VEGA:
        assert text.startswith(f"/*\n{asset('web/vega.LICENSE')}*/\n")


def test_attacks_with_fewer_seeds_than_the_run_are_named() -> None:
    frame = pd.DataFrame({"attack": ["a", "a", "b"], "seed": [0, 1, 0]})
    rows: Any = SimpleNamespace(frame=frame, facts={"seeds": [0, 1]})
    assert _fewer_seeds(rows) == ["b"]


def examples() -> list[Examples]:
    draw = np.random.default_rng(1)
    first = draw.integers(30, 200, (2, 3, 20, 24), np.uint8)
    cell = dict.fromkeys(ROW, "x") | {"dataset": "rendered", "attack": "<i>"}
    return [
        Examples(cell | {"attack": attack}, 3, ("a", "b"), np.array([0, 4]), first,
                 first + np.uint8(k))
        for k, attack in enumerate(["<i>", "y"], 1)
    ]  # fmt: skip


def readings() -> pd.DataFrame:
    """Of both attacks, by one victim, that reads disgust in what is published."""
    lines = [
        {**own.cell, "seed": own.seed, "defense": "none", "victim": "v", "image": image,
         "clean": int(label), "prediction": 1, "clean_probability": 0.9}
        for own in examples()
        for image, label in zip(own.images, own.labels, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_faces_are_the_published_bytes(tmp_path: Path) -> None:
    save_examples(examples(), tmp_path)
    found = load_faces(tmp_path, readings())
    assert [(f.attack, f.image, f.emotion) for f in found] == [
        ("<i>", "a", "angry"), ("<i>", "b", "sad"), ("y", "a", "angry"), ("y", "b", "sad"),
    ]  # fmt: skip
    for face, published in zip(found, [x for e in examples() for x in e.published], strict=True):
        data = base64.b64decode(face.published.removeprefix("data:image/png;base64,"))
        path = tmp_path / "face.png"
        path.write_bytes(data)
        np.testing.assert_array_equal(np.asarray(Image.open(path)).transpose(2, 0, 1), published)
        (reading,) = face.readings
        assert (reading.clean, reading.published) == (face.emotion, "disgust")
        assert reading.clean_confidence == 0.9
        assert np.isnan(reading.published_confidence)
    assert len(list((tmp_path / FOLDER).glob("original-*"))) == 2  # of both attacks together
    grid = np.asarray(Image.open(tmp_path / "figures" / "grid.png"))
    top, left = TOP + 2 * (20 + GAP), LEFT + 24 + GAP
    second = examples()[0].published[1].transpose(1, 2, 0)
    np.testing.assert_array_equal(grid[top : top + 20, left : left + 24], second)
    save_examples([], tmp_path)
    assert not list((tmp_path / FOLDER).iterdir())


@pytest.mark.parametrize("damage", ["elsewhere", "link", "no picture", "no column", "not there"])
def test_pictures_of_another_folder_are_not_shown(tmp_path: Path, damage: str) -> None:
    save_examples(examples()[:1], tmp_path)
    path = tmp_path / FOLDER / LIST
    text = path.read_text()
    secret = tmp_path / "secret.png"
    picture = tmp_path / FOLDER / "published-0-angry.png"
    secret.write_bytes(picture.read_bytes())
    if damage == "elsewhere":
        path.write_text(text.replace("published-0-angry.png", "../secret.png"))
    elif damage == "no column":
        path.write_text(text.replace("published", "public", 1))
    else:
        picture.unlink()
        if damage == "link":
            picture.symlink_to(secret)
        elif damage == "no picture":
            picture.write_text("<svg onload=alert(1)>")
    emotions = [face.emotion for face in load_faces(tmp_path, readings())]
    assert emotions == ([] if damage == "no column" else ["sad"])


def test_what_cannot_be_told_apart_is_said() -> None:
    def line(low: float, high: float) -> dict[str, float]:
        return {"protection_low": low, "protection_high": high, "n": 28}

    assert "28 faces" in told_apart([line(0.0, 0.49), line(0.4, 0.9), line(0.2, 1.0)])
    assert told_apart([line(0.0, 0.49), line(0.5, 0.9)]) == ""
    assert told_apart([line(0.0, 0.49)]) == ""


def test_a_table_of_texts_is_sorted_by_its_numbers() -> None:
    section = Section("t", "", TextTable(["a", "b"], [["x", "9.5 [1, 2]"], ["y", "-"]]))
    table = plain("t", section)
    assert [cell.value for row in table.groups[0].rows for cell in row.cells] == [
        "x", 9.5, "y", None,
    ]  # fmt: skip
    assert [head.numeric for head in table.heads] == [False, True]


@pytest.mark.parametrize(
    "text", ["", "pages = 1", "[[pages]]\nname = 'a'", "[[pages]]\nname = '../a'\nshows = 'b'"]
)
def test_a_list_of_pages_that_is_wrong(tmp_path: Path, text: str) -> None:
    (tmp_path / "pages.toml").write_text(text)
    with pytest.raises(PriemoError):
        write_overview(tmp_path)
