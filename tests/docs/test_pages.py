"""README is short and quick to the point, its table is the published one, and the site builds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import priemo_bench

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
LINES = README.splitlines()


def module(path: str) -> ModuleType:
    spec = spec_from_file_location("of_docs", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    found = sys.modules["of_docs"] = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_readme_is_for_thirty_seconds() -> None:
    assert len(LINES) <= 120
    assert next(k for k, line in enumerate(LINES, 1) if line.startswith("![")) <= 12
    python = LINES.index("```python")
    end = LINES.index("```", python)
    assert end < 45
    assert LINES[end + 2] == "```text"
    measured = LINES.index("## What is measured")
    numbers = [k for k, line in enumerate(LINES) if re.search(r"\d+\.\d \[\d", line)]
    assert min(numbers) > measured
    assert len(re.findall(r"(?m)^\|[ -]*---", README)) == 1, "one table"


def test_tables_are_those_of_the_published_pages() -> None:
    """`python docs/tables.py --write` writes them."""
    tables = module("docs/tables.py")
    used = set()
    for file in tables.FILES:
        text = file.read_text("utf-8")
        assert tables.written(text) == text, file
        used |= {marks["name"] for marks in tables.MARKS.finditer(text)}
    assert used == set(tables.TABLES)


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda p: p.name
)
def test_every_link_to_a_file_finds_one(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text):
        if not target.startswith(("http", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("nav:")[1]
    listed = set(re.findall(r"[a-z-]+\.md", navigation))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_tables_of_the_site_name_everything_there_is() -> None:
    from priemo_bench import registry
    from priemo_bench.judge.glossary import GLOSSARY

    hooks = module("docs/hooks.py")
    for mark, names in {
        "<!-- GLOSSARY -->": list(GLOSSARY),
        "<!-- ATTACKS -->": registry.names("attacks"),
        "<!-- VICTIMS -->": registry.names("victims"),
    }.items():
        pages = [p for p in (ROOT / "docs").glob("*.md") if mark in p.read_text("utf-8")]
        assert len(pages) == 1, mark
        table = hooks.on_page_markdown(mark)
        assert all(f"| `{name}` |" in table for name in names)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed: extra docs")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for name in ("index.html", "numbers/index.html", "attacks/index.html", "api/index.html"):
        assert (tmp_path / "site" / name).is_file()
    assert "priemo-universal" in (tmp_path / "site/attacks/index.html").read_text("utf-8")


def test_the_notebook_is_executed_and_shows_no_error() -> None:
    notebook = json.loads((ROOT / "docs/tour.ipynb").read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} >= {"stream", "execute_result"}
    assert all(output["output_type"] != "error" for output in outputs)
    assert all(str(ROOT) not in json.dumps(output) for output in outputs)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    for cell in json.loads((ROOT / "docs/tour.ipynb").read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "tour.ipynb", "exec"), names)


def test_the_citation_is_of_this_version_and_the_forms_are_forms() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == priemo_bench.__version__
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
    forms = [p for p in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if p.stem != "config"]
    for path in forms:
        form = yaml.safe_load(path.read_text("utf-8"))
        assert {"name", "description", "body"} <= set(form), path.name
        kinds = {part["type"] for part in form["body"]}
        assert kinds <= {"input", "textarea", "checkboxes", "dropdown", "markdown"}, path.name
        names = [part["id"] for part in form["body"]]
        assert len(set(names)) == len(names), path.name


@pytest.mark.slow
def test_the_picture_is_made_by_its_command(tmp_path: Path) -> None:
    """Pixels may differ in the last bit of a logit; what it shows does not."""
    from PIL import Image

    module("docs/picture.py").main(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as made, Image.open(ROOT / "docs/picture.png") as own:
        assert made.size == own.size
        change = np.abs(np.asarray(made, float) - np.asarray(own, float))
    assert (change > 64).mean() < 0.05
