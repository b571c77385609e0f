"""The command that checks an own attack, victim, defense, metric or data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from priemo_bench.cli.options import interruptible, setting

app = typer.Typer()


@app.command()
def check(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="attack, victim, defense, metric or dataset")
    ],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="a name, module:thing, file.py:thing, or a victim's TOML file"
        ),
    ],
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="of an attack's constructor, such as steps=8"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="your copy, of a data set")] = None,
    size: Annotated[int | None, typer.Option(help="side of its images in pixels")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="an object a line")] = False,
) -> None:
    """Whether an own plug-in keeps the rules of its kind, and how to mend what breaks one.

    Exit code 1 where a rule is broken. Example: priemo-bench check attack mine.py:MyAttack
    """
    from priemo_bench.registry import GROUPS, unknown

    group = kind if kind in GROUPS else f"{kind}s"
    if group not in GROUPS:
        raise unknown("kinds", kind, [own.removesuffix("s") for own in GROUPS])
    given: dict[str, Any] = dict(map(setting, param or ())) if group == "attacks" else {}
    if group == "datasets":
        given = {"data": data, "size": size}
    from priemo_bench.testing import VERDICTS

    broken = count = 0
    with interruptible(goes_on=False):
        for verdict in VERDICTS[group](name, **given):
            count += 1
            broken += bool(verdict.fault)
            if as_json:
                print(json.dumps(vars(verdict)), flush=True)
            elif verdict.fault:
                print(f"BROKEN  {verdict.sentence}", flush=True)
            else:
                print(f"pass    {verdict.rule}: {verdict.says}", flush=True)
    if not as_json:
        print(f"{count - broken} of {count} rules are kept")
    if broken:
        raise typer.Exit(1)
