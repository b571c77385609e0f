"""Every command says what each option is, and has an example that the command line parses."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from priemo_bench import cli

GROUP: Any = typer.main.get_command(cli.app)
EXAMPLE = re.compile(r"priemo-bench [^\n]*(?:\n +--[^\n]*)*")


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_every_option_and_argument_has_a_text(name: str) -> None:
    for option in GROUP.commands[name].params:
        assert option.name == "help" or option.help, f"{name}: {option.name}"


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_every_command_has_an_example_that_parses(name: str) -> None:
    command = GROUP.commands[name]
    found = [" ".join(line.split()) for line in EXAMPLE.findall(command.help or "")]
    own = [shlex.split(line)[2:] for line in found if shlex.split(line)[1] == name]
    assert own, f"{name} has no example"
    for arguments in own:
        command.make_context(name, arguments).close()
