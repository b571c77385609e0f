"""What a page of HTML shows of a run beside its methods, and the data of its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from priemo_bench.contracts.budgets import CONVENTIONAL
from priemo_bench.contracts.filter_sets import SETS
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.judge.columns import WHOLE
from priemo_bench.judge.confusion import Confusion
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.methods import Rate, rates_against
from priemo_bench.report.columns import method_name
from priemo_bench.report.formatting import Line, lines_of, percent
from priemo_bench.report.methods_table import Method, in_words
from priemo_bench.report.tables import optimality_of
from priemo_bench.report.webtable import (
    Cell,
    Group,
    Head,
    Row,
    WebTable,
    heads,
    table,
    without_empty,
)

MATRIX = ("attack", "scope", "surrogate", "target", "victim", "threat", "protection %",
          "targeted_rate", "flip_rate", "n")  # fmt: skip
DEFENDED = ("attack", "scope", "threat", "defense", "protection %", "transfer %", "n",
            "clean_accuracy")  # fmt: skip
CELL = ("dataset", "budget", "attack", "surrogate", "target", "seed")


def other_tables(
    tables: Tables, methods: Sequence[Method], confused: Mapping[str, Confusion]
) -> list[WebTable]:
    """Every other table of the page that has a row; `confused` is by key of a method."""
    several = tables.rows.frame["dataset"].nunique() > 1
    first = ("dataset",) if several else ()
    defended, failures = lines_of(tables.defended_methods()), lines_of(tables.failures())
    usability = lines_of(tables.usability())
    found = [
        floors(tables, methods),
        table("optimality", "How near the best of all others", lines_of(optimality_of(tables)),
              ("attack", "scope", "threat", "area", "envelope", "optimality", "drop_median", "n"),
              ("dataset", "threat", "scope")),
        emotions(tables, methods, confused),
        _by_budget(tables, "victims", "Victim by victim", lines_of(tables.transfer()),
                   (*first, *MATRIX), ("victim", "surrogate", "threat", "scope"), "transfer"),
        _by_budget(tables, "defenses", "Filters", defended, (*first, *DEFENDED),
                   ("defense", "threat", "scope"), "defenses"),
        table("filters", "What the filters do",
              [line for line in lines_of(tables.filters()) if line["defense"] != "none"],
              ("defense", "what", "source"), ("defense",)),
        table("accuracy", "What the victims read in clean faces", lines_of(tables.victims()),
              (*first, "victim", "defense", "images", "correct", "low", "high"),
              ("dataset", "victim", "defense")),
        _by_budget(tables, "usability", "What a published photo is still good for", usability,
                   (*first, "attack", "scope", "protection %", "SSIM", "PSNR",
                    *tables.rows.further_metrics), ("scope",)),
        table("failed", "Failed cells", [f for f in failures if f["part"] == WHOLE],
              (*CELL, "reason"), ("dataset",)),
        table("lost", "Incomplete cells", [f for f in failures if f["part"] != WHOLE],
              (*CELL, "part", "reason"), ("dataset",)),
    ]  # fmt: skip
    return [own for own in found if any(group.rows for group in own.groups)]


def _by_budget(
    tables: Tables, name: str, title: str, lines: Sequence[Line], shown: Sequence[str],
    marks: Sequence[str], of: str = "",
) -> WebTable:  # fmt: skip
    """A table with a group for each data set and budget."""
    order = [*tables.rows.budgets]
    where = list(dict.fromkeys((str(r["dataset"]), str(r["budget"])) for r in lines))
    where.sort(key=lambda pair: (pair[0], order.index(pair[1])))
    whole = table(name, title, lines, shown, ("dataset", "budget", *marks), of=of)
    rows = whole.groups[0].rows
    groups = [
        Group(
            [row for row in rows if (row.marks["dataset"], row.marks["budget"]) == pair],
            in_words(pair[1], tables.rows.bounds_of(pair[1])), "",
            {"dataset": pair[0], "budget": pair[1]},
        )
        for pair in where
    ]  # fmt: skip
    return WebTable(name, title, whole.heads, groups)


def _pivot(
    name: str, title: str, text: str, methods: Sequence[Method], columns: dict[str, dict[str, Cell]]
) -> WebTable:
    """A table with a row for each method; `columns` are its cells by heading and method key."""
    found = heads(("attack", "scope", "threat"))
    found += [Head(own, (), numbers=True) for own in columns]
    rows = []
    for own in methods:
        first = [str(own.name), str(own.line["scope"]), str(own.line["threat"])]
        cells = [own_cells.get(own.key, Cell("", None)) for own_cells in columns.values()]
        marks = {m: str(own.line[m]) for m in ("dataset", "scope", "threat", "family")}
        rows.append(Row([*(Cell(t, t) for t in first), *cells], marks))
    kept, rows = without_empty(found, rows)
    return WebTable(name, title, kept, [Group(rows)], text)


def _curve(own: Method) -> tuple[str, ...]:
    """What is one curve."""
    return tuple(str(own.line[name]) for name in ("dataset", "attack", "scope", "scale", "threat"))


def floors(tables: Tables, methods: Sequence[Method]) -> WebTable:
    """Protection at each floor, where there are several."""
    plain = [own for own in methods if not own.line["targeted"]]
    budgets = [b for b in tables.rows.budgets if b != CONVENTIONAL]
    firsts: dict[tuple[str, ...], Method] = {}
    columns: dict[str, dict[str, Cell]] = {}
    for budget in budgets:
        for own in (own for own in plain if own.line["budget"] == budget):
            first = firsts.setdefault(_curve(own), own)
            bounds = tables.rows.bounds_of(budget)
            ssim, psnr = bounds.ssim_floor, bounds.psnr_floor
            heading = f"at SSIM {ssim:g}, %" if ssim is not None else f"at PSNR {psnr or 0:g}, %"
            columns.setdefault(heading, {})[first.key] = _rate_cell(own.line)
    text = (
        "Protection under each equal budget, in per cent, with 95 % intervals: the more a photo "
        "may lose, the more can be protected."
    )
    shown = list(firsts.values()) if len(columns) > 1 else []
    return _pivot("floors", "Protection at each floor", text, shown, columns)


def _rate_cell(line: Line) -> Cell:
    value, low, high = (float(line[f"protection_{end}"]) for end in ("rate", "low", "high"))
    text = f"{percent(value)} [{percent(low)}, {percent(high)}]"
    return Cell(text, value, (value, low, high))


def emotions(
    tables: Tables, methods: Sequence[Method], confused: Mapping[str, Confusion]
) -> WebTable:
    """Protection of the faces of each emotion, a group for each budget."""
    plain = [own for own in methods if not own.line["targeted"]]
    columns: dict[str, dict[str, Cell]] = {f"{emotion} %": {} for emotion in EMOTIONS}
    for own in plain:
        found = confused[own.key].protection.tolist()
        for emotion, (value, low, high) in zip(EMOTIONS, found, strict=True):
            if value == value:
                text = f"{percent(value)} [{percent(low)}, {percent(high)}]"
                columns[f"{emotion} %"][own.key] = Cell(text, value)
    text = "Protection of the faces of each emotion, in per cent, with 95 % intervals."
    whole = _pivot("emotions", "Emotion by emotion", text, plain, columns)
    groups: dict[tuple[str, str], list[Row]] = {}
    for own, row in zip(plain, whole.groups[0].rows, strict=True):
        groups.setdefault((own.line["dataset"], own.line["budget"]), []).append(row)
    parts = [
        Group(rows, in_words(budget, tables.rows.bounds_of(budget)), "",
              {"dataset": dataset, "budget": budget})
        for (dataset, budget), rows in groups.items()
    ]  # fmt: skip
    return WebTable(whole.name, whole.title, whole.heads, parts, text)


def chart_data(
    tables: Tables,
    methods: Sequence[Method],
    colours: Mapping[str, tuple[str, str]],
    confused: Mapping[str, Confusion],
) -> dict[str, Any]:
    """All that the scripts of a page read; shares from 0 to 1.

    Args:
        colours: colour and shape of methods, by name of the attack. confused: by key.
    """
    victims = sorted({v for own in tables.predictions.victims.values() for v in own})
    sets = set(SETS)
    defenses = [d for d in tables.predictions.draws if d not in sets]
    defenses.sort(key=lambda name: name != "none")
    bounds = tables.rows.budgets
    return {
        "victims": victims,
        "defenses": defenses,
        "emotions": list(EMOTIONS),
        "budgets": {
            name: {"label": in_words(name, own), "ssim": own.ssim_floor, "psnr": own.psnr_floor}
            for name, own in bounds.items()
        },
        "methods": [_method(own, colours) for own in methods],
        "rates": _conditions(tables, methods, victims, defenses),
        "confusion": {key: _confused(found) for key, found in confused.items()},
        "matrix": _matrix(tables),
    }


def _method(own: Method, colours: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    kept = (
        "dataset", "budget", "attack", "family", "scope", "scale", "threat", "targeted",
        "protection_rate", "protection_low", "protection_high", "transfer_rate", "transfer_low",
        "transfer_high", "ms_per_image", "ssim", "psnr", "n", "within_budget",
    )  # fmt: skip
    line = {name: own.line[name] for name in kept}
    shade, shape = colours[str(own.line["attack"])]
    return {"key": own.key, "name": own.name, "colour": shade, "shape": shape, **line}


def _conditions(
    tables: Tables, methods: Sequence[Method], victims: list[str], defenses: list[str]
) -> dict[str, dict[str, list[float]]]:
    """By row of the page, then "victim.defense" (their numbers, -1 for all victims): eight numbers.

    A method against each victim under each defense; a row that it pools against each victim
    without a defense, and against all victims under each.
    """
    found = {}
    for own in methods:
        found[own.key] = _numbered(tables, list(own.rows), [None, *victims], defenses, victims)
        for row in own.rows if len(own.rows) > 1 else ():
            alone = _numbered(tables, [row], victims, ["none"], victims)
            found[f"{own.key}.{row}"] = alone | _numbered(tables, [row], [None], defenses, victims)
    return found


def _numbered(
    tables: Tables, rows: list[int], chosen: Sequence[str | None], defenses: list[str],
    victims: list[str],
) -> dict[str, list[float]]:  # fmt: skip
    number = {None: -1} | {name: k for k, name in enumerate(victims)}
    found = rates_against(tables, rows, chosen, defenses)
    return {
        f"{number[victim]}.{defenses.index(defense)}": [*_numbers(own), *_numbers(other)]
        for (victim, defense), (own, other) in found.items()
    }


def _numbers(rate: Rate) -> list[float]:
    return [rate.value, rate.low, rate.high, rate.images]


def _confused(found: Confusion) -> dict[str, Any]:
    return {
        "before": found.before.round(4).tolist(), "after": found.after.round(4).tolist(),
        "faces": found.faces.tolist(), "protection": found.protection.round(4).tolist(),
    }  # fmt: skip


def _matrix(tables: Tables) -> list[dict[str, Any]]:
    """Untargeted rows of `Tables.transfer` that look into something."""
    kept = ("dataset", "budget", "surrogate", "victim", "threat", "protection_rate",
            "protection_low", "protection_high", "n")  # fmt: skip
    return [
        {"method": _labelled(line), **{name: line[name] for name in kept}}
        for line in lines_of(tables.transfer())
        if line["target"] == "-"
    ]


def _labelled(line: Line) -> str:
    """A method with its scope, as charts name it."""
    scope = "" if line["scope"] == "-" else f" ({line['scope']})"
    return f"{method_name(line)}{scope}"
