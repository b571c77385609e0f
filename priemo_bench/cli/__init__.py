"""The command line. Everything heavy is imported inside the commands: help and list stay fast."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from priemo_bench.cli import checks, merging, models, pages, photos, publishing, running, zoo
from priemo_bench.cli.options import say
from priemo_bench.errors import PriemoError

app = typer.Typer(
    help="How well the emotion in a face photo can be hidden from emotion classifiers.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (running, pages, merging, publishing, photos, models, zoo, checks):
    app.add_typer(commands.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from priemo_bench import __version__

        print(f"priemo-bench {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="print the version and stop"
        ),
    ] = False,
) -> None: ...


USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
"""Of click, or of the one that newer versions of typer bring along."""


def main() -> None:
    """Run the command line; exit code 2 after a user's mistake, 130 Ctrl-C, 143 SIGTERM."""
    try:
        sys.exit(app(standalone_mode=False))
    except PriemoError as error:
        say(str(error))
    except USAGE_ERROR as error:
        if sys.argv[1:]:
            say(error.format_message())
        else:
            error.show()
    except typer.Abort:
        sys.exit(130)
    sys.exit(2)
