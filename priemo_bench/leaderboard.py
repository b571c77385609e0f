"""The tables of a run, from its rows only: leaderboard, methods, transfer, defenses, failures."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import cast

import numpy as np
import pandas as pd

from priemo_bench.believable import flags
from priemo_bench.kinship import COUNTED
from priemo_bench.protection import paired_bootstrap, wilson
from priemo_bench.rates import Rates, intervals
from priemo_bench.rows import METHOD, ROW, Rows

COLUMNS = [
    "rank", "attack", "family", "scope", "scale", "surrogate", "target", "n", "dataset", "budget",
    "threat", "seeds", "n_victims", "protection_rate", "protection_low", "protection_high",
    "macro_protection_rate", "transfer_rate", "targeted_rate", "ssim", "ssim_drop", "ssim_worst",
    "psnr", "within_budget", "fit_seconds", "ms_per_image", "forwards_per_image",
    "backwards_per_image", "status", "collapse_class", "collapse_share", "flip_rate",
    "transfer_minus_noise", "transfer_without_kin", "n_without_kin",
    "seed_spread", "macro_left_out", "ssim_p05", "ssim_full_worst", "linf",
    "strength", "unchanged", "fit_forwards", "fit_backwards", "peak_mb", "flags",
]  # fmt: skip
"""Of leaderboard.csv, in this order; metrics of other plugins follow."""

COSTS = [
    "fit_seconds", "ms_per_image", "forwards_per_image", "backwards_per_image", "fit_forwards",
    "fit_backwards", "strength",
]  # fmt: skip
GROUP = ["dataset", "budget", "threat"]
"""Rows are ranked within these."""
NOISE = "noise"
"""The attack whose rate is taken off for `transfer_minus_noise`."""
POOLED = [
    "macro_protection_rate", "transfer_rate", "transfer_minus_noise", "transfer_without_kin",
    "targeted_rate", "flip_rate", "collapse_share", "ssim", "ssim_drop", "psnr",
    "seed_spread", *COSTS,
]  # fmt: skip
"""Columns that a method's line averages over its rows."""


class Tables:
    """All tables of a run.

    Args:
        kin: kinds of `priemo_bench.kinship.KINDS` that `transfer_without_kin` leaves out.
    """

    def __init__(self, rows: Rows, kin: Iterable[str] = COUNTED) -> None:
        self.rows = rows
        self.rates = Rates(rows, kin)
        self.columns = [*COLUMNS, *rows.further_metrics]

    @cached_property
    def board(self) -> pd.DataFrame:
        """The leaderboard under the numbers of `rates.keys`, with a few columns more."""
        keys = self.rates.keys
        lines = pd.DataFrame([self._line(row) for row in keys.index], index=keys.index)
        absent = [name for name in [*COLUMNS, "clean_accuracy", "untouched"] if name not in lines]
        table = keys.join(lines.assign(**dict.fromkeys(set(absent) - set(keys), np.nan)))
        table["transfer_minus_noise"] = self._minus_noise(table)
        table["rank"] = self._ranks(table)
        table["flags"] = flags(table, self.rows.cells)
        return table.reindex(columns=[*self.columns, "clean_accuracy", "untouched"])

    def leaderboard(self) -> pd.DataFrame:
        """One line per dataset, budget, attack, scope, scale, surrogate, target (no defense)."""
        order = [*GROUP, "within_budget", "protection_rate"]
        ascending = [True, False, False, False, False]
        ordered = self.board.sort_values(order, ascending=ascending, kind="stable")
        return ordered[self.columns].reset_index(drop=True)

    def methods(self) -> pd.DataFrame:
        """The leaderboard pooled over surrogates and targets: what a reader looks at first."""
        board = self.board[self.board["protection_rate"].notna()]
        board = board.assign(targeted=board["target"] != "-")
        found, outcomes = [], []
        by = [*METHOD, "targeted", "threat"]
        for key, part in board.groupby(by, sort=False):
            outcome = self.rates.outcome(list(part.index))
            persons = outcome.dropna().index.get_level_values("person").nunique()
            value = part["protection_rate"].mean()
            low, high = wilson(value * persons, persons)
            pooled = part[[*POOLED, *self.rows.further_metrics]].astype(float).mean()
            line = dict(zip(by, key, strict=True)) | pooled.to_dict()
            line |= {
                "protection_rate": value, "protection_low": low, "protection_high": high,
                "lowest": part["protection_rate"].min(), "surrogates": part["surrogate"].nunique(),
                "n": part["n"].max(), "seeds": part["seeds"].max(),
                "ssim_worst": part["ssim_worst"].min(),
                "within_budget": part["within_budget"].all(),
                "flags": "; ".join(dict.fromkeys(f for f in part["flags"] if f)),
            }  # fmt: skip
            found.append(line)
            outcomes.append(outcome)
        table = pd.DataFrame(found, columns=None if found else [*by, "protection_rate"])
        table["rank"] = ranks(table, outcomes, [*GROUP, "targeted"]) if found else None
        return table

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
        """Per row and defense: rates over its judging victims, and over those of transfer."""
        rates = self.rates.by_victim
        several = rates.groupby("row")["defense"].nunique()
        lines = []
        for key, part in rates.groupby(["row", "defense"], observed=True):
            row, defense = cast(tuple[int, str], key)
            if several[row] < 2:
                continue
            own = part[part["victim"].isin(self.rates.judges[row][1])]
            images = self.rates.judged("per_image", row, defense)
            persons = images.loc[images["protected"].notna(), "person"].nunique()
            value = own["protected"].mean()
            low, high = wilson(value * persons, persons) if persons else (0.0, 1.0)
            lines.append({
                **self.rates.keys.loc[row], "threat": self.rates.judges[row][0],
                "defense": defense, "n": images.loc[images["protected"].notna(), "image"].nunique(),
                "clean_accuracy": own["correct"].mean(), "protection_rate": value,
                "protection_low": low, "protection_high": high,
                "targeted_rate": own["hit"].mean(),
                "transfer_rate": part.loc[part["threat"] != "white-box", "protected"].mean(),
            })  # fmt: skip
        names = [*ROW, "threat", "defense", "n", "clean_accuracy", "protection_rate",
                 "protection_low", "protection_high", "targeted_rate", "transfer_rate"]  # fmt: skip
        return pd.DataFrame(lines, columns=names)

    def victims(self) -> pd.DataFrame:
        """Clean accuracy of each victim under each defense, on the widest draw of each data set."""
        rates = self.rates.by_victim.join(self.rates.keys["dataset"], on="row")
        widest = (
            rates.sort_values("images")
            .groupby(["dataset", "victim", "defense"], observed=True)
            .tail(1)
        )
        table = widest[["dataset", "victim", "defense", "images", "correct"]].copy()
        table[["low", "high"]] = intervals(table["correct"], table["images"])
        return table.sort_values(["dataset", "victim", "defense"]).reset_index(drop=True)

    def failures(self) -> pd.DataFrame:
        """Every cell that failed, with its reason."""
        cells = self.rows.cells
        return cells.loc[cells["status"] != "done", [*ROW, "seed", "reason"]].reset_index(drop=True)

    def _line(self, row: int) -> dict[str, object]:
        cells = self.rows.cells
        own = cells[(cells[ROW] == self.rates.keys.loc[row]).all(axis=1)]
        done = own[own["status"] == "done"]
        if done.empty:
            threat = "no-model" if self.rates.keys.at[row, "surrogate"] == "-" else "white-box"
            return {"status": "failed", "seeds": 0, "within_budget": False, "threat": threat}
        return {
            "status": "ok" if len(done) == len(own) else "partial",
            "seeds": len(done),
            **done[COSTS].astype(float).mean(),
            "unchanged": done["unchanged"].max(),
            "peak_mb": done["peak_mb"].max(),
            **self.rates.numbers(row),
            **self.rates.quality(row),
        }

    def _minus_noise(self, table: pd.DataFrame) -> list[float]:
        """Transfer rate minus what random noise reaches on the same victims and data set."""
        rates = self.rates.undefended
        noise = table[(table["attack"] == NOISE) & (table["budget"] == "equal")]
        found = []
        for row, dataset in table["dataset"].items():
            own = rates[(rates["row"] == row) & (rates["threat"] != "white-box")]
            control = rates[rates["row"].isin(noise.index[noise["dataset"] == dataset])]
            control = control[control["victim"].isin(own["victim"])]
            found.append(own["protected"].mean() - control["protected"].mean())
        return found

    def _ranks(self, table: pd.DataFrame) -> pd.Series[int]:
        outcomes = [
            self.rates.outcome([row]) if row in self.rates.judges else pd.Series(dtype=float)
            for row in table.index
        ]
        return ranks(table, outcomes, GROUP)


def ranks(table: pd.DataFrame, outcomes: list[pd.Series[float]], by: list[str]) -> pd.Series[int]:
    """Rank within `by` of the rows within budget; neighbours whose difference may be 0 share one.

    Args:
        outcomes: for each row of `table`, the outcome of each (image, person).
    """
    found = pd.Series(pd.NA, index=table.index, dtype="Int64")
    at = dict(zip(table.index, outcomes, strict=True))
    rankable = table[table["within_budget"].astype(bool) & table["protection_rate"].notna()]
    for _, group in rankable.groupby(by):
        order = group.sort_values("protection_rate", ascending=False, kind="stable").index
        rank = 1
        for place, row in enumerate(order):
            if place and not _tied(at[order[place - 1]], at[row]):
                rank = place + 1
            found[row] = rank
    return found


def _tied(a: pd.Series[float], b: pd.Series[float]) -> bool:
    pair = pd.concat([a, b], axis=1, keys=["a", "b"])
    pair = pair[pair.notna().any(axis=1)]
    if pair.empty or np.array_equal(pair["a"], pair["b"], equal_nan=True):
        return True
    persons = pair.index.get_level_values("person").astype(str).to_numpy()
    return paired_bootstrap(pair["a"].to_numpy(), pair["b"].to_numpy(), persons).tied
