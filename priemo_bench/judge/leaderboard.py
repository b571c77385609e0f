"""The tables of a run, from its rows only: leaderboard, methods, transfer, defenses ..."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from priemo_bench.contracts.budgets import CONVENTIONAL
from priemo_bench.contracts.columns import METHOD, ROW
from priemo_bench.contracts.draws import without_draw
from priemo_bench.contracts.rows import Rows
from priemo_bench.judge.budget_use import quality_summary
from priemo_bench.judge.columns import (
    BOUNDS,
    CHOSEN,
    COLUMNS,
    COSTS,
    COSTS_BY_CELL,
    DEFENDED,
    FAILURES,
    GROUP,
    METHODS,
    POOLED,
    STAGES,
    USABILITY,
    WHOLE,
)
from priemo_bench.judge.controls import below_control, transfer_minus_noise
from priemo_bench.judge.kinship import COUNTED_RELATIONS
from priemo_bench.judge.predictions import Predictions
from priemo_bench.judge.ranking import left_unused, other_ranks, ranks, records
from priemo_bench.judge.rates import Rates
from priemo_bench.judge.sanity import sanity_flags
from priemo_bench.judge.statistics import mean
from priemo_bench.judge.survival import survival
from priemo_bench.registry import unknown


class Tables:
    """All tables of a run, computed from its stored rows.

    | method | one line per |
    |---|---|
    | `leaderboard` | data set, budget, attack, scope, scale, surrogate and target |
    | `methods` | the same, pooled over surrogates and targets: what a reader looks at first |
    | `usability` | method, with the further metrics of the run |
    | `transfer` | row of the leaderboard and victim: the surrogate x victim matrix |
    | `defenses`, `defended_methods` | row of the leaderboard, or method, and defense |
    | `victims` | victim and defense: clean accuracy |
    | `filters` | defense: what it does |
    | `failures` | failed cell, and part that an incomplete one has lost |
    | `costs` | cell: status, seconds by stage, passes, memory |
    | `code` | digest of the code that made the rows |

    Rates are shares from 0 to 1, `*_low` and `*_high` their 95 % intervals, and NaN is unknown.

    Args:
        kin: the RELATIONS (`priemo_bench.contracts.card`) of the victims that
            `transfer_without_kin` leaves out.

    Raises:
        PriemoError: a relation that is unknown.
    """

    def __init__(self, rows: Rows, kin: Iterable[str] = COUNTED_RELATIONS) -> None:
        self.rows = rows
        self.predictions = Predictions(rows)
        self.rates = Rates(self.predictions, kin)
        self.columns = [*COLUMNS, *rows.further_metrics]
        if taken := {*COLUMNS, *METHODS, "clean_accuracy"} & set(rows.further_metrics):
            raise rows.unusable(f"has a metric called {min(taken)!r}, as columns of tables are")

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """What rows are ranked by, and their ranks, by row number: no other rate, no interval."""
        keys = self.predictions.keys
        lines = pd.DataFrame([self._judged(row) for row in keys.index], index=keys.index)
        absent = {"protection_rate", "budget_used"} - set(lines)
        table = keys.join(lines.assign(**dict.fromkeys(absent, np.nan)))
        by = [*GROUP, "surrogate", "target"]
        return table.assign(rank=ranks(self.rates, table, [[row] for row in table.index], by))

    def _judged(self, row: int) -> dict[str, object]:
        """One row of the leaderboard: its status, quality and rate."""
        cells, finished = self.predictions.cells[row], self.predictions.finished(row)
        key, metrics = self.predictions.names[row], self.rows.further_metrics
        if not finished:
            threat = "no-model" if key["surrogate"] == "-" else "white-box"
            return {"status": "failed", "seeds": 0, "within_budget": False, "threat": threat,
                    **self._floors(row)}  # fmt: skip
        images = self.predictions.published(row)
        return {
            "status": _status(cells),
            "seeds": len(finished),
            **self.rates.judgement(row),
            **self._floors(row),
            **quality_summary(images, key["budget"], self.rows.bounds_of(key["budget"]), metrics),
        }

    def _floors(self, row: int) -> dict[str, float]:
        """What the budget of a row allows; NaN is no bound."""
        budget = self.predictions.names[row]["budget"]
        bounds = self.rows.bounds_of(budget)._asdict()
        free = budget == CONVENTIONAL
        return {name: np.nan if v is None or free else v for name, v in bounds.items()}

    @cached_property
    def board(self) -> pd.DataFrame:
        """`leaderboard` unsorted, indexed by row number, with `clean_accuracy`."""
        rows = self.ranked.index
        table = self.ranked.join(pd.DataFrame([self._rest(row) for row in rows], index=rows))
        columns = [*self.columns, "clean_accuracy"]
        table = table.assign(**dict.fromkeys(set(columns) - set(table), np.nan))
        table["transfer_minus_noise"] = transfer_minus_noise(self.rates, table)
        cells = [self.predictions.finished(row) for row in rows]
        table["flags"] = sanity_flags(table, cells, below_control(self.rates, table))
        return table[columns]

    def _rest(self, row: int) -> dict[str, object]:
        """What is beyond `_judged`: costs, and the other rates."""
        cells = self.predictions.finished(row)
        if not cells:
            return {}
        return {
            **{name: mean(_known(cells, name)) for name in (*COSTS, *CHOSEN)},
            **{name: max(_known(cells, name), default=np.nan) for name in ("unchanged", "peak_mb")},
            **self.rates.numbers(row),
            **survival(self.rates, [row]),
        }

    def leaderboard(self, by: str = "protection_rate") -> pd.DataFrame:
        """One line per dataset, budget, attack, scope, scale, surrogate, target (no defense).

        Args:
            by: the column that lines are sorted by within data set, budget and threat model, such
                as "survival" or "worst_defense"; the largest first. Ranks stay by protection.

        Raises:
            PriemoError: there is no such column.
        """
        if by not in self.columns:
            raise unknown("columns", by, self.columns)
        order = [*GROUP, "within_budget", by]
        ascending = [True, False, False, False, False]
        ordered = self.board.sort_values(order, ascending=ascending, kind="stable")
        return ordered[self.columns].reset_index(drop=True)

    def methods(self) -> pd.DataFrame:
        """The leaderboard pooled over surrogates and targets: what a reader looks at first.

        `rank_other` is the rank under the other equal budget, where the run has two.
        """
        return self._methods.copy()

    @cached_property
    def _methods(self) -> pd.DataFrame:
        board = self.board[self.board["protection_rate"].notna()]
        board = board.assign(targeted=board["target"] != "-")
        by = [*METHOD, "targeted", "threat"]
        parts = list(board.groupby(by, sort=False))
        if not parts:
            empty = pd.DataFrame(columns=[*METHODS, *self.rows.further_metrics])
            return empty.astype({"targeted": bool, "unused": bool, "within_budget": bool})
        table = pd.DataFrame(
            [dict(zip(by, key, strict=True)) | self._pooled(part) for key, part in parts]
        )
        rows = [list(part.index) for _, part in parts]
        table["rank"] = ranks(self.rates, table, rows, [*GROUP, "targeted"])
        table["unused"] = left_unused(records(table))
        return table.assign(rank_other=other_ranks(table))

    def _pooled(self, part: pd.DataFrame) -> dict[str, object]:
        """One method's line, from its lines of the leaderboard."""
        rows = list(part.index)
        rate = self.rates.judged(rows)
        images = np.array([len(self.predictions.published(row)["ssim"]) for row in rows])
        sizes = images / part["seeds"].to_numpy(float)
        largest = part[sizes == sizes.max()]  # rows of few images have other costs per image
        pooled = [*POOLED, *CHOSEN, *self.rows.further_metrics]
        low, high = rate.interval
        return {
            **{name: part[name].iloc[0] for name in BOUNDS},
            **{name: mean(part[name]) for name in pooled},
            **{name: mean(largest[name]) for name in COSTS},
            "protection_rate": rate.value, "protection_low": low, "protection_high": high,
            **survival(self.rates, rows), **self.rates.macro(rows), **self.rates.transfer(rows),
            "lowest": part["protection_rate"].min(), "surrogates": part["surrogate"].nunique(),
            "n": part["n"].max(), "seeds": part["seeds"].max(),
            "ssim_worst": part["ssim_worst"].min(),
            "within_budget": part["within_budget"].all(),
            "flags": "; ".join(dict.fromkeys(f for f in part["flags"] if f)),
        }  # fmt: skip

    def usability(self) -> pd.DataFrame:
        """Untargeted methods with the further metrics of the run; no line without any.

        Columns: USABILITY, then the metrics, means over the published images.
        """
        metrics = self.rows.further_metrics
        if not metrics or self._methods.empty:
            return pd.DataFrame(columns=[*USABILITY, *metrics])
        order = ["budget", "within_budget", "protection_rate"]
        table = self._methods[~self._methods["targeted"]]
        return table[[*USABILITY, *metrics]].sort_values(order, ascending=False, kind="stable")

    def transfer(self) -> pd.DataFrame:
        """One line per row of the leaderboard and victim: the surrogate x victim matrix."""
        return self._transfer.copy()

    @cached_property
    def _transfer(self) -> pd.DataFrame:
        rates = self.rates.undefended.set_index("row")
        columns = {"protected": "protection_rate", "low": "protection_low",
                   "high": "protection_high", "hit": "targeted_rate", "flip": "flip_rate",
                   "correct": "clean_accuracy"}  # fmt: skip
        kept = ["victim", "threat", "n", *columns]
        table = self.predictions.keys.join(rates[kept], how="inner").rename(columns=columns)
        return table.reset_index(drop=True).astype({"n": int})

    def defenses(self) -> pd.DataFrame:
        """Per row and defense: rates over the judging victims, and over the transfer victims.

        `n` are the images that a victim correctly classifies under that defense when clean, mean
        over victims.
        """
        names = self.predictions.names
        lines = [
            {**names[row], **self._under([row], defense)}
            for row, defenses in self._defended.items()
            for defense in defenses
        ]
        return pd.DataFrame(lines, columns=[*ROW, *DEFENDED])

    def defended_methods(self) -> pd.DataFrame:
        """`defenses` pooled over surrogates, of untargeted rows."""
        return self._defended_methods.copy()

    @cached_property
    def _defended_methods(self) -> pd.DataFrame:
        methods: dict[tuple[str, ...], list[int]] = {}
        for row in self._defended:
            key = self.predictions.names[row]
            if key["target"] == "-":
                methods.setdefault(tuple(key[name] for name in METHOD), []).append(row)
        lines = [
            {**dict(zip(METHOD, key, strict=True)), **self._under(rows, defense)}
            for key, rows in methods.items()
            for defense in dict.fromkeys(d for row in rows for d in self._defended[row])
        ]
        return pd.DataFrame(lines, columns=[*METHOD, *DEFENDED])

    @cached_property
    def _defended(self) -> dict[int, list[str]]:
        """The defenses of each row that has another than one."""
        found: dict[int, dict[str, None]] = {}
        for row, defense, _ in self.predictions.arrays:
            found.setdefault(row, {})[without_draw(defense)] = None
        return {row: list(own) for row, own in sorted(found.items()) if len(own) > 1}

    def _under(self, rows: list[int], defense: str) -> dict[str, object]:
        rates, arrays = self.rates, self.predictions.arrays
        pairs = rates.judging(rows)
        draws = self.predictions.draws[defense]
        own = [arrays[r, d, v] for r, v in pairs for d in draws if (r, d, v) in arrays]
        rate = rates.estimate(pairs, defense=defense)
        transfer = rates.estimate(rates.transferring(rows), defense=defense)
        return {
            "defense": defense, "threat": self.predictions.judges[rows[0]].threat,
            "n": round(rate.images), "clean_accuracy": mean(p.rate("correct") for p in own),
            "protection_rate": rate.value, "protection_low": rate.interval[0],
            "protection_high": rate.interval[1], "targeted_rate": mean(p.rate("hit") for p in own),
            "transfer_rate": transfer.value, "transfer_low": transfer.interval[0],
            "transfer_high": transfer.interval[1], "draws": len(draws),
            "draw_spread": rates.spread(pairs, draws),
        }  # fmt: skip

    def victims(self) -> pd.DataFrame:
        """Clean accuracy of each victim under each defense, on the largest sample of a data set."""
        rates = self.rates.by_victim.join(self.predictions.keys["dataset"], on="row")
        rates = rates[rates["defense"].map(without_draw) == rates["defense"]]
        largest = (
            rates.sort_values("images")
            .groupby(["dataset", "victim", "defense"], observed=True)
            .tail(1)
        )
        table = largest[["dataset", "victim", "defense", "images", "correct"]].copy()
        where = zip(largest["row"], largest["victim"], largest["defense"], strict=True)
        found = [self.rates.estimate({(r, v): 1.0}, "correct", d) for r, v, d in where]
        table["correct"] = [rate.value for rate in found]
        table["low"] = [rate.interval[0] for rate in found]
        table["high"] = [rate.interval[1] for rate in found]
        return table.sort_values(["dataset", "victim", "defense"]).reset_index(drop=True)

    def filters(self) -> pd.DataFrame:
        """What each defense of the run does, and its source; none in older files.

        Columns: defense, what, source.
        """
        known = self.rows.facts.get("defenses") or {}
        lines = [
            (name, own.get("summary"), own.get("source"))
            for name, own in known.items()
            if without_draw(name) == name
        ]
        return pd.DataFrame(lines, columns=["defense", "what", "source"])

    def failures(self) -> pd.DataFrame:
        """What failed, with its reason: whole cells, and what incomplete ones have lost."""
        lines = []
        for cell in self.rows.facts["cells"]:
            key = {name: cell[name] for name in (*ROW, "seed")}
            if cell["status"] == "failed":
                lines.append({**key, "part": WHOLE, "reason": cell.get("reason", "")})
            else:
                lines += [{**key, **lost} for lost in cell.get("lost", [])]
        return pd.DataFrame(lines, columns=FAILURES)

    def costs(self) -> pd.DataFrame:
        """One line per cell: its status, seconds, passes and peak memory."""
        lines = []
        for cell in self.rows.facts["cells"]:
            seconds = cell.get("seconds", {})
            stages = {f"{stage}_s": seconds.get(stage) for stage in STAGES}
            total = sum(_known([seconds], *seconds)) if seconds else None
            lines.append({**cell, **stages, "total_s": total})
        return pd.DataFrame(lines).reindex(columns=COSTS_BY_CELL)

    def code(self) -> pd.DataFrame:
        """Digests of the code that made the rows, by what it is of; none in older files.

        Columns: part ("attacks", "victims" ...), name, digest.
        """
        lines = []
        for part, own in self.rows.facts.get("code", {}).items():
            digests = own if isinstance(own, dict) else {"-": own}
            lines += [{"part": part, "name": name, "digest": d} for name, d in digests.items()]
        return pd.DataFrame(lines, columns=["part", "name", "digest"])


def _status(cells: Sequence[Mapping[str, object]]) -> str:
    """Of a row with published images: "incomplete", "partial" (without a seed) or "ok"."""
    found = {cell["status"] for cell in cells}
    return "incomplete" if "incomplete" in found else "partial" if "failed" in found else "ok"


def _known(facts: Iterable[Mapping[str, Any]], *names: str) -> list[float]:
    """Those of the facts with these names that are there."""
    values = [own.get(name) for own in facts for name in names]
    return [float(value) for value in values if value is not None and value == value]
