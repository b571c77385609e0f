"""Whether a submission says what its readings say: all of it is computed again."""

from __future__ import annotations

import math
from typing import Any

from priemo_bench.errors import PriemoError
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.published.benchmarks import JUDGING, benchmark
from priemo_bench.published.submission import Line, Submission

TOLERANCE = 1e-4
"""Of a number that is computed again: a file has six digits of each measure."""


def check(made: Submission) -> None:
    """PriemoError unless a submission is of its benchmark and its table follows from its readings.

    Its shape was checked when it was read. Checked here: the benchmark is known and judged as
    today; the pictures are the benchmark's, by the digests of their pixels; budgets, weights and
    defenses are the benchmark's, and all of its victims read every entry (an evaluation of
    another entry may have further victims and defenses, or fewer victims); every rate and interval
    is that of the readings.
    """
    found = benchmark(made.benchmark)
    named = f"{made.name}: "
    if found.judging != JUDGING:
        raise PriemoError(
            f"{named}{found.name} is judged by version {found.judging}, not {JUDGING}"
        )
    rows = made.rows()
    if departures := found.departures(rows, further=bool(made.reevaluates)):
        raise PriemoError(f"{named}it is no run of {found.name}: {'; '.join(departures)}")
    if foreign := {e.budget for e in made.entries} - set(found.budgets):
        raise PriemoError(f"{named}{found.name} has no budget {', '.join(sorted(foreign))}")
    again_of = made.reevaluates.rpartition("/")[2]
    if again_of and again_of not in {entry.attack for entry in made.entries}:
        raise PriemoError(f"{named}it evaluates {again_of} again, and has no entry of that name")
    if not made.reevaluates and (strangers := made.readers - set(found.victims)):
        raise PriemoError(f"{named}{', '.join(sorted(strangers))} is no victim of {found.name}")
    for entry in made.entries:
        there = {r.victim for r in entry.readings if r.defense == "none"}
        if not made.reevaluates and (missing := set(found.victims) - there):
            raise PriemoError(f"{named}{entry.attack} is not read by {', '.join(sorted(missing))}")
    again = stated(Tables(rows))
    keys = [_key(line) for line in made.methods]
    if sorted(keys) != sorted(_key(line) for line in again):
        raise PriemoError(f"{named}its table is not of the methods that its entries are of")
    computed = {_key(line): line for line in again}
    for line in made.methods:
        for field, value in line.model_dump().items():
            other = getattr(computed[_key(line)], field)
            if not _alike(value, other):
                raise PriemoError(
                    f"{named}{field} of {line.attack} under {line.budget} is said to be {value}, "
                    f"and its readings give {other}"
                )


def stated(tables: Tables) -> list[Line]:
    """What a submission says of each method, from the tables of its rows."""
    return [
        Line(**{name: _plain(line[name]) for name in Line.model_fields})
        for line in tables.methods().to_dict("records")
    ]


def _key(line: Line) -> tuple[str, ...]:
    return (line.budget, line.attack, line.scope, line.scale, str(line.targeted), line.threat)


def _plain(value: Any) -> Any:
    """A number as JSON can hold it, to six digits; None for NaN and infinite."""
    if isinstance(value, str | bool):
        return value
    number = float(value) if value is not None else math.nan
    if not math.isfinite(number):
        return None
    return int(number) if float(number).is_integer() else round(number, 6)


def _alike(value: object, other: object) -> bool:
    if isinstance(value, float | int) and isinstance(other, float | int):
        return abs(value - other) <= TOLERANCE * max(1.0, abs(value))
    return value == other
