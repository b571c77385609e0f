"""Several runs as one: of other machines, seeds, attacks or SSIM floors, on the same faces."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import tomli_w

from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL, Bounds, kind
from priemo_bench.contracts.columns import NAMED, ROW
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError

KEY = [*ROW, "seed"]
"""What a cell is."""
JOINED = ("data", "victims", "kin", "defenses")
"""Facts by name, of which the merged run has those of all."""
OF_A_RUN = ("command", "versions", "machine")
"""Facts that stand in `merged`, once for each run."""


def merged(runs: Sequence[Rows], command: str) -> Rows:
    """The rows and facts of several runs as those of one.

    A budget that has other bounds than the first run's of that name becomes one of its own
    (`contracts.budgets`), so runs at several SSIM floors become a curve. A cell that several runs
    have counts once, where its rows are the same in all.

    Args:
        runs: two or more. command: that the page of the merged run names.

    Raises:
        PriemoError: other faces, other weights of a victim, other victims of a row, or other
            results of a cell in two of them; the sentence says which.
    """
    if len(runs) < 2:
        raise PriemoError("one run is nothing to merge; give two or more")
    found = runs[0]
    for other in runs[1:]:
        _check_facts(found, other)
        found = _joined(found, _renamed(other, found))
    facts = {
        **found.facts,
        "command": command,
        "spec": _spec([run.facts["spec"] for run in runs], found),
        "seeds": sorted({seed for run in runs for seed in run.facts["seeds"]}),
        "merged": [{name: run.facts.get(name) for name in OF_A_RUN} for run in runs],
    }
    facts.pop("request", None)
    if len({str(run.facts.get("code")) for run in runs}) > 1:
        facts.pop("code", None)
    return Rows(found.frame, facts, runs[0].source)


def _check_facts(one: Rows, other: Rows) -> None:
    for name in _both(one, other, "data"):
        a, b = (
            {k: v for k, v in run.facts["data"][name].items() if k != "notes"}
            for run in (one, other)
        )
        differing = [key for key in a if key in b and a[key] != b[key]]
        if differing:
            raise PriemoError(
                f"{one.source} and {other.source} have other faces of {name} (they differ in "
                f"{', '.join(differing)}); merge runs with the same sample of the same data"
            )
    for name in _both(one, other, "victims"):
        a, b = (run.facts["victims"][name].get("sha256") for run in (one, other))
        if a != b:
            raise PriemoError(
                f"{name} has other weights in {one.source} than in {other.source}; merge runs of "
                "the same victims"
            )


def _both(one: Rows, other: Rows, name: str) -> list[str]:
    return [key for key in one.facts.get(name, {}) if key in other.facts.get(name, {})]


def _renamed(run: Rows, first: Rows) -> Rows:
    """`run` with names of its budgets that mean the same as in `first`."""
    names = {name: _name(name, own, first.budgets) for name, own in run.budgets.items()}
    frame = run.frame.assign(budget=run.frame["budget"].astype(str).map(names).astype("category"))
    cells = [{**cell, "budget": names[cell["budget"]]} for cell in run.facts["cells"]]
    budgets = {names[name]: own._asdict() for name, own in run.budgets.items()}
    return replace(run, frame=frame, facts={**run.facts, "cells": cells, "budgets": budgets})


def _name(name: str, own: Bounds, known: Mapping[str, Bounds]) -> str:
    """What a budget with these bounds is called beside `known` ones."""
    if name == CONVENTIONAL or known.get(name, own) == own:
        return name
    for other, bounds in known.items():
        if bounds == own and kind(other) == kind(name):
            return other
    floor = own.ssim_floor if kind(name) == EQUAL else own.psnr_floor
    wanted = f"{kind(name)}-{floor:g}"
    if wanted in known:
        raise PriemoError(
            f"two of the runs keep the floor {floor:g} with other caps on the change of a pixel; "
            "merge runs of one budget, or of several floors"
        )
    return wanted


def _joined(one: Rows, other: Rows) -> Rows:
    mine, theirs = _by_cell(one), _by_cell(other)
    for key in mine.keys() & theirs.keys():
        _check_same(key, mine[key], theirs[key])
    _check_victims(one, other)
    fresh = [cell for cell in other.facts["cells"] if _key(cell) not in set(_keys(one))]
    added = [theirs[_key(cell)] for cell in fresh if _key(cell) in theirs]
    frame = pd.concat([_plain(one.frame), *map(_plain, added)], ignore_index=True)
    frame = frame.astype(dict.fromkeys(NAMED, "category"))
    facts = {
        **one.facts,
        **{n: {**other.facts.get(n, {}), **one.facts.get(n, {})} for n in JOINED},
        "cells": [*one.facts["cells"], *fresh],
        "budgets": {
            **other.facts["budgets"], **{k: v._asdict() for k, v in one.budgets.items()},
        },
    }  # fmt: skip
    return Rows(frame, facts, one.source)


def _key(cell: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(cell[name] for name in KEY)


def _keys(run: Rows) -> Iterable[tuple[object, ...]]:
    return map(_key, run.facts["cells"])


def _by_cell(run: Rows) -> dict[tuple[object, ...], pd.DataFrame]:
    frame = _plain(run.frame)
    return {tuple(key): part for key, part in frame.groupby(KEY, sort=False)}


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts instead of categories, which differ between runs."""
    return frame.astype(dict.fromkeys(NAMED, object))


def _check_same(key: tuple[object, ...], one: pd.DataFrame, other: pd.DataFrame) -> None:
    by = ["image", "victim", "defense"]
    columns = [*by, "clean", "prediction", "ssim"]
    a, b = (own[columns].sort_values(by, ignore_index=True) for own in (one, other))
    if not a.equals(b):
        named = dict(zip(KEY, key, strict=True))
        raise PriemoError(
            f"two of the runs have other results of {named['attack']} on {named['surrogate']} "
            f"({named['dataset']}, {named['budget']}, seed {named['seed']}); merge runs of other "
            "seeds, attacks or floors, or of the same code and weights"
        )


def _check_victims(one: Rows, other: Rows) -> None:
    """PriemoError for a row that other victims judge in the other run."""
    judged = [
        {
            tuple(key): set(zip(part["victim"], part["defense"], strict=True))
            for key, part in _plain(run.frame)[[*ROW, "victim", "defense"]]
            .drop_duplicates()
            .groupby(ROW, sort=False)
        }
        for run in (one, other)
    ]
    for key in judged[0].keys() & judged[1].keys():
        if judged[0][key] != judged[1][key]:
            named = dict(zip(ROW, key, strict=True))
            raise PriemoError(
                f"other victims or defenses judge {named['attack']} on {named['surrogate']} in "
                f"{one.source} than in {other.source}; merge runs with the same of them"
            )


def _spec(texts: Sequence[str], run: Rows) -> str:
    """The first spec with the attacks, victims, seeds and floors of all."""
    specs = [tomllib.loads(text) for text in texts]
    values: dict[str, Any] = dict(specs[0])
    for name in ("seeds", "victims", "attacks", "datasets", "defenses", "metrics"):
        items = [item for spec in specs for item in spec.get(name, [])]
        if items:
            values[name] = [item for k, item in enumerate(items) if item not in items[:k]]
    further = [
        own.ssim_floor for name, own in run.budgets.items() if name != EQUAL and kind(name) == EQUAL
    ]
    if floors := [floor for floor in further if floor is not None]:
        values["floors"] = floors
    values["attacks"] = values.pop("attacks")  # tables last
    return tomli_w.dumps(values)
