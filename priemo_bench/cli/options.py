"""What several commands have in common: kinds of options, progress, and how one stops."""

from __future__ import annotations

import inspect
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from priemo_bench.progress import Mode

T = TypeVar("T")


@contextmanager
def interruptible(goes_on: bool = True) -> Iterator[None]:
    """Ctrl-C ends with a sentence: whether the same command typed again goes on."""
    from priemo_bench.run.faults import Terminated, stoppable

    try:
        with stoppable():
            yield
    except KeyboardInterrupt as stop:
        kept = "finished work is kept: type the same command again to go on"
        say(f"stopped; {kept if goes_on else 'nothing is kept'}")
        raise typer.Exit(143 if isinstance(stop, Terminated) else 130) from None


def say(sentence: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False)


def mode(quiet: bool, json: bool) -> Mode:
    return "quiet" if quiet else "json" if json else "auto"


def note(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def typed() -> str:
    import shlex

    return shlex.join(["priemo-bench", *sys.argv[1:]])


Sort = Annotated[
    str,
    typer.Option(
        "--sort", metavar="COLUMN",
        help="what the terminal's tables are sorted by: protection_rate, survival, transfer_rate, "
        "ssim, psnr, ms_per_image ...; rank by default",
    ),
]  # fmt: skip
"""Of what is printed at the end."""


class Items(tuple[T, ...]):
    """What a comma-separated option holds."""


def items(convert: Callable[[str], T], example: str) -> Callable[[str], Items[T]]:
    """A parser of comma-separated values, `example` of which are right."""

    def parse(text: str) -> Items[T]:
        try:
            return Items(convert(item.strip()) for item in text.split(",") if item.strip())
        except ValueError:
            raise typer.BadParameter(f"{text!r} must be such as {example}") from None

    return parse


def bound(text: str) -> str:
    """ "8/255", "0.997", or "none" for no bound, as the spec takes it."""
    from priemo_bench.run.spec import number

    if isinstance(number(text), str):
        raise typer.BadParameter(f"{text!r} must be a number such as 0.997 or 8/255")
    return text


def group(text: str) -> str | tuple[str, ...]:
    """ "a" is a alone, "b+c" are b and c together."""
    names = tuple(text.split("+"))
    return names[0] if len(names) == 1 else names


def setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE; the value as in TOML, or as a text where it is not."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"{text!r} must be such as steps=8")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return name, value


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder of a run")]


def names(what: str) -> Any:
    """An option of comma-separated names, or references such as mine.py:Thing."""
    return typer.Option(parser=items(str, "a,b"), metavar="A,B", help=what)


Attacks = Annotated[
    Items[str] | None, names("names, art:NAME, torchattack:NAME, or [NAME=]mine.py:Thing")
]
Victims = Annotated[Items[str] | None, names("names, own.toml, or [NAME=]mine.py:Thing")]
Defenses = Annotated[
    Items[str] | None, names("filters that victims predict under, or set-1; see list defenses")
]
Groups = Annotated[
    Items[str] | None,
    typer.Option(
        parser=items(group, "a,b+c"),
        metavar="A,B+C",
        help="victims that attacks look into; b+c are attacked together",
    ),
]
Seeds = Annotated[
    Items[int] | None,
    typer.Option(
        parser=items(int, "0,1,2"), metavar="0,1,2", help="where an attack is random, from 0"
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="of all chosen attacks, such as steps=8; repeatable"
    ),
]
Floors = Annotated[
    Items[float] | None,
    typer.Option(
        parser=items(float, "0.98,0.95"),
        metavar="0.98,0.95",
        help="further SSIM floors, each with a linf cap of its own; a curve with one row per floor",
    ),
]
SsimFloor = Annotated[
    str | None,
    typer.Option(parser=bound, metavar="NUMBER|none", help="SSIM that every image keeps"),
]
PsnrFloor = Annotated[
    str | None,
    typer.Option(parser=bound, metavar="NUMBER|none", help="PSNR in dB that every image keeps"),
]
Eps = Annotated[
    str | None,
    typer.Option(parser=bound, metavar="NUMBER|none", help="most change of a pixel, such as 8/255"),
]
Seed = Annotated[int, typer.Option(help="where the attack is random, from 0")]
Jobs = Annotated[int, typer.Option(help="processes")]
Device = Annotated[str, typer.Option(help="cpu or cuda")]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="a folder of another spec becomes this one's; cells are kept"),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="say what would run and why, and how long; run nothing")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]
Json = Annotated[bool, typer.Option("--json", help="progress as JSON, an object a line")]


def with_options(
    options: Callable[..., object], name: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a function, whose result is its argument `name`."""
    added = inspect.signature(options, eval_str=True).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != name]

        @wraps(command)
        def run(**given: object) -> None:
            together = {key: given.pop(key) for key in added}
            command(**given, **{name: options(**together)})

        run.__signature__ = signature.replace(parameters=[*own, *added.values()])  # type: ignore[attr-defined]
        del run.__annotations__
        return run

    return decorate
