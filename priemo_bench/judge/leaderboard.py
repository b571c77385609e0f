"""The tables of a run, from its rows only: leaderboard, methods, transfer, defenses ..."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import cast

import numpy as np
import pandas as pd

from priemo_bench.contracts.rows import METHOD, ROW, Rows
from priemo_bench.judge.budget_use import quality_summary
from priemo_bench.judge.controls import below_control, transfer_minus_noise
from priemo_bench.judge.kinship import COUNTED_RELATIONS
from priemo_bench.judge.predictions import Predictions
from priemo_bench.judge.ranking import left_unused, other_ranks, ranks
from priemo_bench.judge.rates import Rates
from priemo_bench.judge.sanity import sanity_flags

COLUMNS = [
    "rank", "attack", "family", "scope", "scale", "surrogate", "target", "n", "dataset", "budget",
    "threat", "seeds", "n_victims", "protection_rate", "protection_low", "protection_high",
    "macro_protection_rate", "macro_low", "macro_high", "transfer_rate", "transfer_low",
    "transfer_high", "n_transfer", "next_low", "next_high", "targeted_rate", "ssim", "ssim_drop",
    "ssim_worst", "psnr", "within_budget", "budget_used", "on_floor", "fit_seconds",
    "ms_per_image", "forwards_per_image", "backwards_per_image", "status", "collapse_class",
    "collapse_share", "flip_rate", "transfer_minus_noise", "transfer_without_kin",
    "n_without_kin", "seed_spread", "macro_left_out", "ssim_p05", "ssim_full_worst", "linf",
    "untouched", "strength", "factor", "unchanged", "fit_forwards", "fit_backwards", "peak_mb",
    "flags",
]  # fmt: skip
"""Of leaderboard.csv, in this order; further metrics of the run follow."""

COSTS = [
    "fit_seconds", "ms_per_image", "forwards_per_image", "backwards_per_image", "fit_forwards",
    "fit_backwards",
]  # fmt: skip
CHOSEN = ["strength", "factor"]
GROUP = ["dataset", "budget", "threat"]
"""Rows are ranked within these, and within surrogate and target."""
POOLED = [
    "transfer_minus_noise", "transfer_without_kin", "n_without_kin", "targeted_rate", "flip_rate",
    "collapse_share", "ssim", "ssim_drop", "psnr", "budget_used", "on_floor", "untouched",
    "seed_spread",
]  # fmt: skip
"""Columns that a method's line averages over its rows."""


USABILITY = [
    "dataset", "budget", "attack", "scope", "scale", "within_budget", "protection_rate",
    "protection_low", "protection_high", "ssim", "psnr",
]  # fmt: skip
"""Columns of `Tables.usability` before the further metrics."""
DEFENDED = [
    "defense", "threat", "n", "clean_accuracy", "protection_rate", "protection_low",
    "protection_high", "targeted_rate", "transfer_rate", "transfer_low", "transfer_high",
]  # fmt: skip
"""Columns of the tables of defenses, after those that say what a line is."""


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
    | `failures` | failed cell |

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

    @cached_property
    def board(self) -> pd.DataFrame:
        """`leaderboard` unsorted, indexed by row number, with `clean_accuracy`."""
        keys = self.predictions.keys
        lines = pd.DataFrame([self._line(row) for row in keys.index], index=keys.index)
        absent = [name for name in [*COLUMNS, "clean_accuracy"] if name not in lines]
        table = keys.join(lines.assign(**dict.fromkeys(set(absent) - set(keys), np.nan)))
        table["transfer_minus_noise"] = transfer_minus_noise(self.rates, table)
        by = [*GROUP, "surrogate", "target"]
        table["rank"] = ranks(self.rates, table, [[row] for row in table.index], by)
        table["flags"] = sanity_flags(table, self.rows.cells, below_control(self.rates, table))
        return table.reindex(columns=[*self.columns, "clean_accuracy"])

    def _line(self, row: int) -> dict[str, object]:
        """One row of the leaderboard, but for what needs the other rows."""
        cells = self.rows.cells
        key = self.predictions.keys.loc[row]
        own = cells[(cells[ROW] == key).all(axis=1)]
        done = own[own["status"] == "done"]
        if done.empty:
            threat = "no-model" if key["surrogate"] == "-" else "white-box"
            return {"status": "failed", "seeds": 0, "within_budget": False, "threat": threat}
        images, metrics = self.predictions.published(row), self.rows.further_metrics
        return {
            "status": "ok" if len(done) == len(own) else "partial",
            "seeds": len(done),
            **done.reindex(columns=[*COSTS, *CHOSEN]).astype(float).mean(),
            "unchanged": done["unchanged"].max(),
            "peak_mb": done["peak_mb"].max(),
            **self.rates.numbers(row),
            **quality_summary(images, str(key["budget"]), self.rows.bounds, metrics),
        }

    def leaderboard(self) -> pd.DataFrame:
        """One line per dataset, budget, attack, scope, scale, surrogate, target (no defense)."""
        order = [*GROUP, "within_budget", "protection_rate"]
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
            return pd.DataFrame(columns=[*by, "protection_rate"])
        table = pd.DataFrame(
            [dict(zip(by, key, strict=True)) | self._pooled(part) for key, part in parts]
        )
        rows = [list(part.index) for _, part in parts]
        table["rank"] = ranks(self.rates, table, rows, [*GROUP, "targeted"])
        table["unused"] = left_unused(table)
        return table.assign(rank_other=other_ranks(table))

    def _pooled(self, part: pd.DataFrame) -> dict[str, object]:
        """One method's line, from its lines of the leaderboard."""
        rows = list(part.index)
        rate = self.rates.estimate(self.rates.judging(rows))
        images = np.array([len(self.predictions.published(row)) for row in rows])
        sizes = images / part["seeds"].to_numpy(float)
        largest = part[sizes == sizes.max()]  # rows of few images have other costs per image
        pooled = part[[*POOLED, *CHOSEN, *self.rows.further_metrics]].astype(float).mean()
        low, high = rate.interval
        return {
            **{str(name): value for name, value in pooled.items()},
            **{str(name): value for name, value in largest[COSTS].astype(float).mean().items()},
            "protection_rate": rate.value, "protection_low": low, "protection_high": high,
            **self.rates.macro(rows), **self.rates.transfer(rows),
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
        lines = []
        for key, part in self._defended.groupby(["row", "defense"], sort=False):
            row, defense = cast(tuple[int, str], key)
            lines.append({**self.predictions.keys.loc[row], **self._under([row], defense, part)})
        return pd.DataFrame(lines, columns=[*ROW, *DEFENDED])

    def defended_methods(self) -> pd.DataFrame:
        """`defenses` pooled over surrogates, of untargeted rows."""
        rates = self._defended
        keys = self.predictions.keys
        keys = keys[(keys["target"] == "-") & keys.index.isin(rates["row"])]
        lines = []
        for key, rows in keys.groupby(METHOD, sort=False):
            own = rates[rates["row"].isin(rows.index)]
            for defense, part in own.groupby("defense", sort=False):
                rate = self._under(list(rows.index), str(defense), part)
                lines.append({**dict(zip(METHOD, key, strict=True)), **rate})
        return pd.DataFrame(lines, columns=[*METHOD, *DEFENDED])

    @property
    def _defended(self) -> pd.DataFrame:
        """`Rates.by_victim` of rows with a defense beside none."""
        rates = self.rates.by_victim
        return rates[rates.groupby("row")["defense"].transform("nunique") > 1]

    def _under(self, rows: list[int], defense: str, part: pd.DataFrame) -> dict[str, object]:
        rates = self.rates
        pairs = rates.judging(rows)
        own = part[[(r, v) in pairs for r, v in zip(part["row"], part["victim"], strict=True)]]
        rate = rates.estimate(pairs, defense=defense)
        transfer = rates.estimate(rates.transferring(rows), defense=defense)
        return {
            "defense": defense, "threat": self.predictions.judges[rows[0]].threat,
            "n": round(rate.images), "clean_accuracy": own["correct"].mean(),
            "protection_rate": rate.value, "protection_low": rate.interval[0],
            "protection_high": rate.interval[1], "targeted_rate": own["hit"].mean(),
            "transfer_rate": transfer.value, "transfer_low": transfer.interval[0],
            "transfer_high": transfer.interval[1],
        }  # fmt: skip

    def victims(self) -> pd.DataFrame:
        """Clean accuracy of each victim under each defense, on the largest sample of a data set."""
        rates = self.rates.by_victim.join(self.predictions.keys["dataset"], on="row")
        largest = (
            rates.sort_values("images")
            .groupby(["dataset", "victim", "defense"], observed=True)
            .tail(1)
        )
        table = largest[["dataset", "victim", "defense", "images", "correct"]].copy()
        where = zip(largest["row"], largest["victim"], largest["defense"], strict=True)
        bounds = [self.rates.estimate({(r, v): 1.0}, "correct", d).interval for r, v, d in where]
        table["low"] = [low for low, _ in bounds]
        table["high"] = [high for _, high in bounds]
        return table.sort_values(["dataset", "victim", "defense"]).reset_index(drop=True)

    def failures(self) -> pd.DataFrame:
        """Every cell that failed, with its reason."""
        cells = self.rows.cells
        return cells.loc[cells["status"] != "done", [*ROW, "seed", "reason"]].reset_index(drop=True)
