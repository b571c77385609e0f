"""The tables of a run, from its rows only: leaderboard, methods, transfer, defenses, failures."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from priemo_bench.contracts.rows import METHOD, ROW, Rows
from priemo_bench.judge.budget_use import quality_summary
from priemo_bench.judge.kinship import COUNTED_RELATIONS
from priemo_bench.judge.ranking import compare_rows, left_unused, ranks
from priemo_bench.judge.rates import Rates
from priemo_bench.judge.sanity import sanity_flags
from priemo_bench.judge.statistics import holm

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
"""Of leaderboard.csv, in this order; metrics of other plugins follow."""

COSTS = [
    "fit_seconds", "ms_per_image", "forwards_per_image", "backwards_per_image", "fit_forwards",
    "fit_backwards",
]  # fmt: skip
CHOSEN = ["strength", "factor"]
GROUP = ["dataset", "budget", "threat"]
"""Rows are ranked within these, and within surrogate and target."""
NOISE = "noise"
"""The attack whose rate is taken off for `transfer_minus_noise`."""
EQUAL = ("equal", "equal-psnr")
"""Budgets under which attacks are compared."""
POOLED = [
    "transfer_minus_noise", "transfer_without_kin", "n_without_kin", "targeted_rate", "flip_rate",
    "collapse_share", "ssim", "ssim_drop", "psnr", "budget_used", "on_floor", "untouched",
    "seed_spread",
]  # fmt: skip
"""Columns that a method's line averages over its rows."""


class Tables:
    """All tables of a run.

    Args:
        kin: `RELATIONS` of the victims that `transfer_without_kin` leaves out.
    """

    def __init__(self, rows: Rows, kin: Iterable[str] = COUNTED_RELATIONS) -> None:
        self.rows = rows
        self.rates = Rates(rows, kin)
        self.columns = [*COLUMNS, *rows.further_metrics]

    @cached_property
    def board(self) -> pd.DataFrame:
        """The leaderboard under the numbers of `rates.keys`, with clean accuracy beside."""
        keys = self.rates.keys
        lines = pd.DataFrame([self._line(row) for row in keys.index], index=keys.index)
        absent = [name for name in [*COLUMNS, "clean_accuracy"] if name not in lines]
        table = keys.join(lines.assign(**dict.fromkeys(set(absent) - set(keys), np.nan)))
        table["transfer_minus_noise"] = self._minus_noise(table)
        by = [*GROUP, "surrogate", "target"]
        table["rank"] = ranks(self.rates, table, [[row] for row in table.index], by)
        table["flags"] = sanity_flags(table, self.rows.cells, self._below_control(table))
        return table.reindex(columns=[*self.columns, "clean_accuracy"])

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
        return table.assign(rank_other=_other_ranks(table))

    def _pooled(self, part: pd.DataFrame) -> dict[str, Any]:
        """One method's line, from its lines of the leaderboard."""
        rows = list(part.index)
        rate = self.rates.share(self.rates.judged(rows))
        images = np.array([len(self.rates.published(row)) for row in rows])
        sizes = images / part["seeds"].to_numpy(float)
        largest = part[sizes == sizes.max()]  # a fit's cost is not that of an image elsewhere
        pooled = part[[*POOLED, *CHOSEN, *self.rows.further_metrics]].astype(float).mean()
        low, high = rate.interval
        return {
            **{str(name): value for name, value in pooled.items()},
            **{str(k): v for k, v in largest[COSTS].astype(float).mean().items()},
            "protection_rate": rate.value, "protection_low": low, "protection_high": high,
            **self.rates.macro(rows), **self.rates.transfer(rows),
            "lowest": part["protection_rate"].min(), "surrogates": part["surrogate"].nunique(),
            "n": part["n"].max(), "seeds": part["seeds"].max(),
            "ssim_worst": part["ssim_worst"].min(),
            "within_budget": part["within_budget"].all(),
            "flags": "; ".join(dict.fromkeys(f for f in part["flags"] if f)),
        }  # fmt: skip

    def transfer(self) -> pd.DataFrame:
        """One line per row of the leaderboard and victim: the surrogate x victim matrix."""
        rates = self.rates.undefended.set_index("row")
        columns = {"protected": "protection_rate", "low": "protection_low",
                   "high": "protection_high", "hit": "targeted_rate", "flip": "flip_rate",
                   "correct": "clean_accuracy"}  # fmt: skip
        kept = ["victim", "threat", "n", *columns]
        table = self.rates.keys.join(rates[kept], how="inner").rename(columns=columns)
        return table.reset_index(drop=True).astype({"n": int})

    def defenses(self) -> pd.DataFrame:
        """Per row and defense: rates over its judging victims, and over those of transfer.

        `n` are the images that a victim reads correctly under that defense, mean over victims.
        """
        rates = self.rates.by_victim
        several = rates.groupby("row")["defense"].nunique()
        lines = []
        for key, part in rates.groupby(["row", "defense"], sort=False):
            row, defense = cast(tuple[int, str], key)
            if several[row] < 2:
                continue
            own = dict(self.rates.keys.loc[row])
            lines.append({**own, "defense": defense, **self._defended([row], defense, part)})
        names = [*ROW, "defense", "threat", "n", "clean_accuracy", "protection_rate",
                 "protection_low", "protection_high", "targeted_rate", "transfer_rate",
                 "transfer_low", "transfer_high"]  # fmt: skip
        return pd.DataFrame(lines, columns=names)

    def defended_methods(self) -> pd.DataFrame:
        """`defenses` pooled over surrogates, of untargeted rows."""
        rates = self.rates.by_victim
        several = rates.groupby("row")["defense"].nunique()
        keys = self.rates.keys[self.rates.keys["target"] == "-"]
        keys = keys.loc[keys.index.intersection(several.index[several > 1])]
        lines = []
        for key, rows in keys.groupby(METHOD, sort=False):
            own = rates[rates["row"].isin(rows.index)]
            for defense, part in own.groupby("defense", sort=False):
                rate = self._defended(list(rows.index), str(defense), part)
                lines.append(dict(zip(METHOD, key, strict=True)) | {"defense": defense} | rate)
        return pd.DataFrame(lines)

    def _defended(self, rows: list[int], defense: str, part: pd.DataFrame) -> dict[str, Any]:
        rates = self.rates
        pairs = rates.judged(rows)
        own = part[[(r, v) in pairs for r, v in zip(part["row"], part["victim"], strict=True)]]
        rate = rates.share(pairs, defense=defense)
        unseen = rates.share(rates.unseen(rows), defense=defense)
        return {
            "threat": rates.judges[rows[0]][0], "n": round(rate.images),
            "clean_accuracy": own["correct"].mean(), "protection_rate": rate.value,
            "protection_low": rate.interval[0], "protection_high": rate.interval[1],
            "targeted_rate": own["hit"].mean(), "transfer_rate": unseen.value,
            "transfer_low": unseen.interval[0], "transfer_high": unseen.interval[1],
        }  # fmt: skip

    def victims(self) -> pd.DataFrame:
        """Clean accuracy of each victim under each defense, on the widest draw of each data set."""
        rates = self.rates.by_victim.join(self.rates.keys["dataset"], on="row")
        widest = (
            rates.sort_values("images")
            .groupby(["dataset", "victim", "defense"], observed=True)
            .tail(1)
        )
        table = widest[["dataset", "victim", "defense", "images", "correct"]].copy()
        where = zip(widest["row"], widest["victim"], widest["defense"], strict=True)
        shares = [self.rates.share({(r, v): 1.0}, "correct", d) for r, v, d in where]
        table["low"] = [share.interval[0] for share in shares]
        table["high"] = [share.interval[1] for share in shares]
        return table.sort_values(["dataset", "victim", "defense"]).reset_index(drop=True)

    def failures(self) -> pd.DataFrame:
        """Every cell that failed, with its reason."""
        cells = self.rows.cells
        return cells.loc[cells["status"] != "done", [*ROW, "seed", "reason"]].reset_index(drop=True)

    def _line(self, row: int) -> dict[str, object]:
        cells = self.rows.cells
        key = self.rates.keys.loc[row]
        own = cells[(cells[ROW] == key).all(axis=1)]
        done = own[own["status"] == "done"]
        if done.empty:
            threat = "no-model" if key["surrogate"] == "-" else "white-box"
            return {"status": "failed", "seeds": 0, "within_budget": False, "threat": threat}
        images, metrics = self.rates.published(row), self.rows.further_metrics
        return {
            "status": "ok" if len(done) == len(own) else "partial",
            "seeds": len(done),
            **done.reindex(columns=[*COSTS, *CHOSEN]).astype(float).mean(),
            "unchanged": done["unchanged"].max(),
            "peak_mb": done["peak_mb"].max(),
            **self.rates.numbers(row),
            **quality_summary(images, str(key["budget"]), self.rows.facts, metrics),
        }

    def _minus_noise(self, table: pd.DataFrame) -> list[float]:
        """Transfer rate less what random noise of the same budget reaches on the same victims."""
        rates = self.rates.undefended
        found = []
        for row, line in table.iterrows():
            own = rates[(rates["row"] == row) & (rates["threat"] != "white-box")]
            noise = (table["attack"] == NOISE) & (table["budget"] == line["budget"])
            noise &= (table["dataset"] == line["dataset"]) & (line["budget"] in EQUAL)
            control = rates[rates["row"].isin(table.index[noise])]
            control = control[control["victim"].isin(own["victim"])]
            found.append(own["protected"].mean() - control["protected"].mean())
        return found

    def _below_control(self, table: pd.DataFrame) -> set[int]:
        """White-box rows that a control without a model beats, by the paired test with Holm's."""
        controls = table[(table["family"] == "control") & (table["threat"] == "no-model")]
        pairs = [
            (cast(int, row), cast(int, control))
            for row, line in table[
                (table["threat"] == "white-box") & (table["target"] == "-")
            ].iterrows()
            for control, other in controls.iterrows()
            if (line[["dataset", "budget"]] == other[["dataset", "budget"]]).all()
            and other["protection_rate"] > line["protection_rate"]
        ]
        p = holm([compare_rows(self.rates, [control], [row]).p for row, control in pairs])
        return {row for (row, _), q in zip(pairs, p, strict=True) if q < 0.05}


def _other_ranks(table: pd.DataFrame) -> list[Any]:
    """For each line its rank under the other equal budget; NA where it has none."""
    same = ["dataset", "attack", "scope", "scale", "targeted", "threat"]
    at = {(*line[same], line["budget"]): line["rank"] for _, line in table.iterrows()}
    other = dict(zip(EQUAL, reversed(EQUAL), strict=True))
    return [at.get((*line[same], other.get(line["budget"])), pd.NA) for _, line in table.iterrows()]
