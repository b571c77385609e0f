"""The code blocks of README and the documentation, and the files that they may name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<kind>[a-z]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
MARK = re.compile(r"<!-- (?P<word>slow|parsed): (?P<why>[^>]+) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        mark: "slow" or "parsed" from the comment before it, "" without one: `<!-- slow: WHY -->`
            is run by the slow tests only, `<!-- parsed: WHY -->` is only read.
        output: of the `text` block right behind it, None without one.
    """

    page: str
    line: int
    kind: str
    text: str
    mark: str
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    """The blocks of a page, in order."""
    page = path.read_text("utf-8")
    found = []
    fences = list(FENCE.finditer(page))
    for k, fence in enumerate(fences):
        mark = MARK.search(page[: fence.start()])
        following = fences[k + 1] if k + 1 < len(fences) else None
        output = None
        if following and following["kind"] == "text":
            output = (
                following["text"] if not page[fence.end() : following.start()].strip() else None
            )
        lines = [line.removeprefix(fence["indent"]) for line in fence["text"].splitlines()]
        found.append(
            Block(
                path.name, page[: fence.start()].count("\n") + 1, fence["kind"], "\n".join(lines),
                mark["word"] if mark else "", output,
            )
        )  # fmt: skip
    return found


BLOCKS = [block for path in PAGES if path.is_file() for block in blocks_of(path)]


def chosen(*kinds: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind in kinds]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`python_block`, `toml_block`, `command` ...: one test for each there is."""
    if "python_block" in metafunc.fixturenames:
        metafunc.parametrize("python_block", chosen("python"), ids=str)
    if "toml_block" in metafunc.fixturenames:
        metafunc.parametrize("toml_block", chosen("toml"), ids=str)
    lines = {line: str(block) for block in chosen("sh") for line in commands(block)}
    for fixture, kept in (("command", lines), ("quick_command", list(filter(is_quick, lines)))):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, kept, ids=[f"{lines[line]} {line[:50]}" for line in kept])
    if "python_page" in metafunc.fixturenames:
        pages = dict.fromkeys(block.page for block in chosen("python"))
        metafunc.parametrize("python_page", pages)


def commands(block: Block) -> list[str]:
    """The lines of a block that call `priemo-bench`, without comments and what comes before &&."""
    lines = block.text.replace("\\\n", " ").splitlines()
    calls = [re.sub(r"\s#.*", "", part).strip() for line in lines for part in line.split("&&")]
    return [call for call in calls if call.startswith("priemo-bench")]


def is_quick(line: str) -> bool:
    """Whether a command takes under a second, so that it is run and not only parsed."""
    return line.startswith("priemo-bench list") and "--long" not in line


@pytest.fixture
def blocks() -> list[Block]:
    return BLOCKS
