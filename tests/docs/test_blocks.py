"""Every code block of README and the documentation is run, or where that takes long, read."""

from __future__ import annotations

import contextlib
import io
import shlex
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest
import typer

from priemo_bench import cli, registry
from priemo_bench.references import is_reference
from priemo_bench.run.spec import BUNDLED, parse

Block = Any  # tests/docs/conftest.py
KINDS = {"python", "sh", "toml", "text", ""}


def test_every_block_is_of_a_kind_that_is_tested(blocks: list[Block]) -> None:
    assert len(blocks) > 30
    for block in blocks:
        assert block.kind in KINDS, f"{block} is {block.kind!r}"


def test_python_is_python(python_block: Block) -> None:
    compile(python_block.text, str(python_block), "exec")


def test_toml_is_a_spec_or_a_victim(toml_block: Block) -> None:
    values = tomllib.loads(toml_block.text)
    if "datasets" in values or "attacks" in values:
        spec = parse(values, str(toml_block))
        spec.check()
    elif "format" in values:
        from priemo_bench.victims.custom.description import Description

        assert set(values) <= set(Description.model_fields)
    else:
        assert "project" in values or toml_block.mark == "parsed", values


def parsed(line: str) -> tuple[str, list[str]]:
    """The command and its arguments; what the command line cannot parse raises."""
    _, name, *arguments = shlex.split(line)
    group = typer.main.get_command(cli.app)
    command = group.get_command(None, name)  # type: ignore[attr-defined, arg-type]
    assert command is not None, f"there is no command {name!r}"
    command.make_context(name, list(arguments), resilient_parsing=False).close()
    return name, arguments


def test_commands_are_parsed(command: str) -> None:
    if command == "priemo-bench" or command.startswith("priemo-bench COMMAND"):
        return
    name, arguments = parsed(command)
    if name == "run" and arguments and not arguments[0].startswith("-"):
        assert arguments[0] in BUNDLED or arguments[0].endswith(".toml")
    for option, kind in {"--attacks": "attacks", "--victims": "victims", "--defenses": "defenses",
                         "--surrogates": "victims"}.items():  # fmt: skip
        given = arguments[arguments.index(option) + 1] if option in arguments else ""
        for item in filter(None, given.replace("+", ",").split(",")):
            plain = item.partition("=")[2] or item
            assert is_reference(plain) or plain in (*registry.names(kind), "set-1"), item


def test_quick_commands_run(quick_command: str, capsys: pytest.CaptureFixture[str]) -> None:
    typer.main.get_command(cli.app).main(shlex.split(quick_command)[1:], standalone_mode=False)
    assert capsys.readouterr().out.strip()


def run_blocks(page: str, blocks: list[Block], slow: bool) -> int:
    """Execute the python blocks of a page in order, in one namespace; how many."""
    names: dict[str, Any] = {"__name__": "block"}
    count = 0
    for block in blocks:
        if block.page != page or block.kind != "python" or block.mark == "parsed":
            continue
        first = block.text.splitlines()[0]
        if first.startswith("# ") and first.endswith(".py"):
            Path(first[2:]).write_text(block.text, "utf-8")
        if block.mark == "slow" and not slow:
            continue
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(block.text, str(block), "exec"), names)
        if block.output is not None:
            assert shown.getvalue() == block.output, str(block)
        count += 1
    return count


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_runs(python_page: str, place: Path, blocks: list[Block]) -> None:
    run_blocks(python_page, blocks, slow=False)


@pytest.mark.slow
def test_all_python_runs(python_page: str, place: Path, blocks: list[Block]) -> None:
    assert run_blocks(python_page, blocks, slow=True) or all(
        block.mark == "parsed" for block in blocks if block.page == python_page
        and block.kind == "python"
    )  # fmt: skip
