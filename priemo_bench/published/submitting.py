"""A finished run to the file of a submission."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from priemo_bench.contracts.columns import ROW
from priemo_bench.contracts.config import first_error
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.published.benchmarks import Definition, of_run
from priemo_bench.published.checking import check, stated
from priemo_bench.published.submission import Submission
from priemo_bench.registry import unknown

COSTS = ("fit_seconds", "ms_per_image", "forwards_per_image", "backwards_per_image")
ENVIRONMENT = ("versions", "machine", "code")
WHAT_NEXT = """\
{path} is written and checked. It holds readings, digests, the command as it was typed and
versions of packages, and no picture. To hand it in:
1. put it into a fork of the project, as reports/submissions/{file};
2. run `priemo-bench check-submission reports/submissions/{file}` there;
3. open a pull request, whose text says how your code at {link} is run.
CI checks the file, a maintainer reads it, and `load_results("{benchmark}")` then has its rows."""


def submit(
    run: Path,
    out: Path,
    *,
    name: str,
    authors: Collection[str],
    link: str,
    attacks: Collection[str] = (),
    reevaluates: str = "",
) -> Submission:
    """Write `out`/`name`.json from a finished run of a benchmark, and check it.

    Args:
        run: its folder, with results.parquet.
        attacks: labels of those that are handed in; all that protected every picture when empty.
        reevaluates: the entry whose protection this run evaluates again, "" for an own entry.

    Raises:
        PriemoError: the run is of no benchmark, has no such attack, or a value is wrong; the file
            is there already.
    """
    rows = Rows.load(run / "results.parquet")
    found = of_run(rows, further=bool(reevaluates))
    path = out / f"{name}.json"
    if path.exists():
        raise PriemoError(f"{path} is there already; choose another --name, or delete it")
    kept = _chosen(rows, found, attacks)
    try:
        made = Submission(
            name=name, authors=tuple(authors), link=link, date=date.today(),
            benchmark=found.name, reevaluates=reevaluates,
            command=str(rows.facts.get("command", "")), spec=str(rows.facts.get("spec", "")),
            environment={k: v for k, v in rows.facts.items() if k in ENVIRONMENT},
            victims=_further(rows, found), **_contents(kept, found.data.name),
            methods=tuple(stated(Tables(kept))),
        )  # fmt: skip
    except ValidationError as error:
        raise PriemoError(str(first_error(error, Submission))) from None
    check(made)
    made.write(path)
    return made


def what_next(made: Submission, path: Path) -> str:
    """What a stranger does with the file that `submit` wrote."""
    return WHAT_NEXT.format(path=path, file=path.name, link=made.link, benchmark=made.benchmark)


def _chosen(rows: Rows, found: Definition, attacks: Collection[str]) -> Rows:
    """The rows of some attacks under budgets of the benchmark, of entries that are whole.

    Raises:
        PriemoError: an attack that the run lacks, or that did not protect every picture.
    """
    frame = rows.frame
    known = frame["attack"].astype(str).unique().tolist()
    for name in attacks:
        if name not in known:
            raise unknown("attacks", name, known)
    pictures = rows.facts["data"][found.data.name]["pictures"]
    whole = frame.groupby(ROW, observed=True)["image"].transform("nunique") == len(pictures)
    if partial := [a for a in attacks if not (whole & (frame["attack"] == a)).any()]:
        raise PriemoError(
            f"{partial[0]} did not protect all {len(pictures)} pictures; run it without --limit"
        )
    wanted = whole & frame["budget"].isin(found.budgets) & frame["attack"].isin(attacks or known)
    if not wanted.any():
        raise PriemoError(f"{rows.source} has no entry on all {len(pictures)} pictures")
    return Rows(frame[wanted].reset_index(drop=True), _facts_of(rows, frame[wanted]), rows.source)


def _facts_of(rows: Rows, frame: pd.DataFrame) -> dict[str, Any]:
    """The facts of a run, with those of its cells that have rows in `frame`."""
    kept = set(map(tuple, frame[ROW].astype(str).drop_duplicates().to_numpy().tolist()))
    cells = [c for c in rows.facts["cells"] if tuple(c[name] for name in ROW) in kept]
    if broken := [c for c in cells if c["status"] != "done"]:
        raise PriemoError(f"{broken[0]['attack']} is {broken[0]['status']}; run it again first")
    return {**rows.facts, "cells": cells}


def _further(rows: Rows, found: Definition) -> dict[str, str]:
    """Weights of victims that the benchmark lacks."""
    own = {n: (card or {}).get("sha256") for n, card in rows.facts.get("victims", {}).items()}
    return {n: digest for n, digest in own.items() if digest and n not in found.victims}


def _contents(rows: Rows, dataset: str) -> dict[str, Any]:
    """Pictures and entries of a submission, as plain values."""
    digests = rows.facts["data"][dataset]["pictures"]
    frame = rows.frame
    first = frame.drop_duplicates("image").sort_values("image")
    ids = first["image"].astype(str).tolist()
    pictures = {
        "ids": ids,
        "persons": pd.factorize(first["person"].astype(str))[0].tolist(),
        "pixels": [digests[name] for name in ids],
        "labels": _text(first["label"]),
    }
    costs = {tuple(c[name] for name in ROW): c for c in rows.facts["cells"]}
    entries = [
        _entry(dict(zip(ROW, map(str, key), strict=True)), part, costs[tuple(map(str, key))])
        for key, part in frame.groupby(ROW, observed=True, sort=False)
    ]
    return {"pictures": pictures, "entries": entries}


def _entry(names: dict[str, str], part: pd.DataFrame, cell: dict[str, Any]) -> dict[str, Any]:
    part = part.sort_values(["seed", "image"], kind="stable")
    readings = []
    for (victim, defense), own in part.groupby(["victim", "defense"], observed=True, sort=False):
        seeds = [_text(s["prediction"]) for _, s in own.groupby("seed")]
        clean = _text(own[own["seed"] == own["seed"].min()]["clean"])
        readings.append(
            {"victim": str(victim), "defense": str(defense), "clean": clean, "published": seeds}
        )
    one = part[(part["victim"] == part["victim"].iloc[0]) & (part["defense"] == "none")]
    measures = {
        name: [
            [_number(v, 255 if name == "linf" else 1) for v in s[name]]
            for _, s in one.groupby("seed")
        ]
        for name in MEASURES
    }
    known = {name: cell.get(name) for name in COSTS}
    return {
        **{name: text for name, text in names.items() if name != "dataset"},
        "threat": cell.get("threat") or ("no-model" if names["surrogate"] == "-" else "white-box"),
        "seeds": sorted(int(s) for s in part["seed"].unique()),
        "measures": measures,
        "costs": {n: float(f"{v:.4g}") for n, v in known.items() if v is not None and v == v},
        "readings": readings,
    }


def _text(values: Iterable[int]) -> str:
    return "".join(str(int(v)) for v in values)


def _number(value: float, unit: int) -> float | None:
    """In `unit` to six digits; None where it is infinite."""
    return round(unit * float(value), 6) if np.isfinite(value) else None
