"""Rates from rows: per image, per victim and defense, and per row of the leaderboard.

Rates are first averaged over seeds for each image, then over images for each victim, then over the
victims a row is judged by: its surrogates among the victims (threat "white-box"), all victims for
an attack without a surrogate ("no-model") or with surrogates that are no victims ("transfer").
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.budget import FLOOR_SLACK
from priemo_bench.images import EMOTIONS
from priemo_bench.kinship import COUNTED, check_kinds, relatives
from priemo_bench.protection import ENOUGH, hit, protected, wilson
from priemo_bench.rows import ROW, Rows

Positions = dict[int, npt.NDArray[np.intp]]


class Rates:
    """What the tables are made of; everything is computed once, from the rows alone.

    Args:
        kin: kinds of `priemo_bench.kinship.KINDS` in which victims count as kin.
    """

    def __init__(self, rows: Rows, kin: Iterable[str] = COUNTED) -> None:
        self.rows = rows
        self.kin = check_kinds(kin)

    @cached_property
    def keys(self) -> pd.DataFrame:
        """ROW of every row of the leaderboard, failed ones too, under its number."""
        return self.rows.cells[ROW].drop_duplicates().reset_index(drop=True)

    @cached_property
    def seeded(self) -> pd.DataFrame:
        """The rows with `row` (their number) and the outcomes protected, hit and flip."""
        frame = self.rows.frame
        label, clean, read, target = (
            frame[name].to_numpy(np.int64)
            for name in ("label", "clean", "prediction", "target_label")
        )
        keep = ["defense", "victim", "image", "person", "seed", "label", "clean", "prediction"]
        return frame[keep].assign(
            row=_numbers(frame, self.keys),
            protected=protected(label, clean, read, target),
            hit=hit(label, clean, read, target),
            flip=(clean != read).astype(float),
        )

    @cached_property
    def per_image(self) -> pd.DataFrame:
        """Per row, defense, victim and image: person, label, clean, outcomes over seeds."""
        by = ["row", "defense", "victim", "image"]
        grouped = self.seeded.groupby(by, observed=True, sort=False)
        facts = grouped[["person", "label", "clean"]].first()
        return facts.join(grouped[["protected", "hit", "flip"]].mean()).reset_index()

    @cached_property
    def by_victim(self) -> pd.DataFrame:
        """Per row, defense and victim: protected, hit, flip, correct (clean), n, low, high."""
        by = ["row", "defense", "victim"]
        images = self.per_image.assign(
            correct=(self.per_image["clean"] == self.per_image["label"]).astype(float)
        )
        grouped = images.groupby(by, observed=True)
        rates = grouped[["protected", "hit", "flip", "correct"]].mean()
        rates["images"] = grouped.size()
        counted = images[images["protected"].notna()].groupby(by, observed=True)
        rates["n"] = counted.size()
        rates["persons"] = counted["person"].nunique()
        rates = rates.fillna({"n": 0, "persons": 0}).reset_index()
        rates[["low", "high"]] = intervals(rates["protected"], rates["persons"])
        surrogates = self.keys["surrogate"].loc[rates["row"]]
        pairs = zip(rates["victim"].astype(str), surrogates, strict=True)
        rates["threat"] = [_threat(victim, surrogate) for victim, surrogate in pairs]
        return rates

    @cached_property
    def undefended(self) -> pd.DataFrame:
        """`by_victim` without any defense."""
        return self.by_victim[self.by_victim["defense"] == "none"]

    @cached_property
    def judges(self) -> dict[int, tuple[str, list[str]]]:
        """Per row: its threat, and the victims its protection rate is the mean over."""
        found = {}
        for row in self.undefended["row"].unique():
            part = self.undefended[self.undefended["row"] == row]
            threats = set(part["threat"])
            threat = next(t for t in ("white-box", "no-model", "transfer") if t in threats)
            victims = part.loc[part["threat"] == threat, "victim"].astype(str)
            found[int(row)] = threat, victims.tolist()
        return found

    @cached_property
    def _positions(self) -> dict[str, Positions]:
        return {
            name: getattr(self, name).groupby("row", sort=False).indices
            for name in ("seeded", "per_image")
        }

    def judged(self, name: str, row: int, defense: str = "none") -> pd.DataFrame:
        """The part of `seeded` or `per_image` that a row is judged by."""
        own = getattr(self, name).iloc[self._positions[name][row]]
        return own[(own["defense"] == defense) & own["victim"].isin(self.judges[row][1])]

    def outcome(self, rows: list[int]) -> pd.Series[float]:
        """Protection of each (image, person), averaged over judging victims and over `rows`."""
        images = pd.concat([self.judged("per_image", row) for row in rows])
        return images.groupby(["image", "person"], observed=True)["protected"].mean()

    def numbers(self, row: int) -> dict[str, Any]:
        """The rates of a row."""
        threat, victims = self.judges[row]
        every = self.undefended[self.undefended["row"] == row]
        own = every[every["victim"].isin(victims)]
        images = self.judged("per_image", row)
        counted = images[images["protected"].notna()]
        persons = counted["person"].nunique()
        value = own["protected"].mean()
        low, high = wilson(value * persons, persons)
        macro, left_out = _macro(counted)
        return {
            "threat": threat,
            "n_victims": len(victims),
            "n": counted["image"].nunique(),
            "protection_rate": value,
            "protection_low": low,
            "protection_high": high,
            "macro_protection_rate": macro,
            "macro_left_out": " ".join(left_out),
            "transfer_rate": every.loc[every["threat"] != "white-box", "protected"].mean(),
            **self._without_kin(row, every),
            "targeted_rate": own["hit"].mean(),
            "flip_rate": own["flip"].mean(),
            "clean_accuracy": own["correct"].mean(),
            **_over_seeds(self.judged("seeded", row)),
        }

    def _without_kin(self, row: int, every: pd.DataFrame) -> dict[str, Any]:
        """The transfer rate over victims that are no kin of the row's surrogates; their number.

        NaN where nothing is known of kin, or everyone is kin.
        """
        names = str(self.keys.at[row, "surrogate"])
        surrogates = [] if names == "-" else names.split("+")
        kinship = self.rows.facts.get("kin", {})
        if not set(surrogates) <= set(kinship):
            return {"transfer_without_kin": np.nan, "n_without_kin": np.nan}
        strangers = ~every["victim"].isin(relatives(kinship, surrogates, self.kin))
        values = every.loc[strangers, "protected"]
        return {"transfer_without_kin": values.mean(), "n_without_kin": len(values)}

    def quality(self, row: int) -> dict[str, Any]:
        """SSIM, PSNR and the largest change, each protected image counted once."""
        own = self.rows.frame.iloc[self._positions["seeded"][row]]
        own = own[(own["defense"] == "none") & (own["victim"] == own["victim"].iloc[0])]
        floor, eps = self.rows.facts["ssim_floor"], self.rows.facts["eps"]
        worst = np.minimum(own["ssim"], own["ssim_full"]).min()
        largest = own["linf"].max()
        keeps = floor is None or worst >= floor - FLOOR_SLACK
        finite = own["psnr"][np.isfinite(own["psnr"])]
        return {
            "ssim": own["ssim"].mean(),
            "ssim_drop": 1 - own["ssim"].mean(),
            "ssim_p05": own["ssim"].quantile(0.05),
            "ssim_worst": own["ssim"].min(),
            "ssim_full_worst": own["ssim_full"].min(),
            "psnr": finite.mean() if len(finite) else np.inf,
            "linf": largest,
            "within_budget": bool(keeps and (eps is None or largest <= eps + 1e-9)),
            "untouched": float((own["linf"] == 0).mean()),
            **{name: own[name].mean() for name in self.rows.further_metrics},
        }


def intervals(rates: pd.Series[float], n: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """(len, 2) Wilson intervals of shares counted over `n`."""
    pairs = [wilson(r * k, k) if k else (0.0, 1.0) for r, k in zip(rates, n, strict=True)]
    return np.array(pairs).reshape(-1, 2)


def _numbers(frame: pd.DataFrame, keys: pd.DataFrame) -> npt.NDArray[np.intp]:
    """For each line of `frame` the number of its ROW in `keys`, from category codes."""
    code = np.zeros(len(frame), np.int64)
    wanted = np.zeros(len(keys), np.int64)
    for name in ROW:
        categories = pd.Index(keys[name].unique())
        own = frame[name].astype("category").cat
        at = categories.get_indexer(own.categories.astype(str))
        code = code * len(categories) + at[own.codes.to_numpy()]
        wanted = wanted * len(categories) + categories.get_indexer(keys[name])
    return pd.Index(wanted).get_indexer(pd.Index(code))


def _threat(victim: str, surrogate: str) -> str:
    if surrogate == "-":
        return "no-model"
    return "white-box" if victim in surrogate.split("+") else "transfer"


def _macro(counted: pd.DataFrame) -> tuple[float, list[str]]:
    """Mean over emotions, then victims; an emotion needs ENOUGH correctly read faces."""
    own = counted.groupby(["victim", "label"], observed=True)["protected"].agg(["mean", "size"])
    enough = own[own["size"] >= ENOUGH].reset_index()
    value = enough.groupby("victim", observed=True)["mean"].mean().mean()
    every = enough.groupby("label")["victim"].nunique()
    complete = set(every.index[every == counted["victim"].nunique()])
    return value, [name for k, name in enumerate(EMOTIONS) if k not in complete]


def _over_seeds(rows: pd.DataFrame) -> dict[str, Any]:
    """Where predictions collapse to, and how far the rate moves between seeds."""
    read = rows.groupby(["victim", "seed", "prediction"], observed=True).size()
    share = read / read.groupby(["victim", "seed"], observed=True).transform("sum")
    top = share.groupby(["victim", "seed"], observed=True)
    common = top.idxmax().map(lambda key: key[-1]).mode()
    by_victim = rows.groupby(["seed", "victim"], observed=True)["protected"].mean()
    by_seed = by_victim.groupby("seed").mean()
    return {
        "collapse_class": EMOTIONS[int(common.iloc[0])],
        "collapse_share": top.max().mean(),
        "seed_spread": by_seed.max() - by_seed.min() if len(by_seed) > 1 else np.nan,
    }
