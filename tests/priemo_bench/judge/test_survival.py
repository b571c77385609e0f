"""Survival against counting by hand, image by image and filter by filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.contracts.draws import DRAWS, all_draws, without_draw
from priemo_bench.contracts.filter_sets import SETS, expanded
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.registry import get, names

FILTERS = SETS["set-1"]
KEY = {
    "dataset": "d", "budget": "equal", "attack": "x", "family": "per-image", "scope": "image",
    "scale": "-", "target": "-",
}  # fmt: skip


def frame(
    label: Any, by_filter: dict[str, tuple[Any, Any]], victim: str = "a", **other: Any
) -> pd.DataFrame:
    """Rows of one victim, from its clean and published predictions under each filter."""
    n = len(label)
    parts = [
        pd.DataFrame({
            **KEY, "surrogate": "a", "seed": 0, "defense": name, "victim": victim,
            "image": [f"i{k}" for k in range(n)], "person": [f"i{k}" for k in range(n)],
            "label": label, "clean": clean, "prediction": prediction, "target_label": -1,
            "ssim": 0.997, "ssim_full": 0.998, "psnr": 40.0, "linf": 8 / 255, **other,
        })
        for name, (clean, prediction) in by_filter.items()
    ]  # fmt: skip
    return pd.concat(parts)


def tables(*frames: pd.DataFrame) -> Tables:
    whole = pd.concat(frames, ignore_index=True)
    cells = [
        {**KEY, "surrogate": "a", "seed": 0, "target": target, "attack": attack, "status": "done"}
        for target, attack in whole[["target", "attack"]].drop_duplicates().itertuples(index=False)
    ]
    facts = {"cells": cells, "ssim_floor": 0.997, "psnr_floor": None, "eps": 8 / 255}
    return Tables(Rows(whole, facts))


def drawn(n: int, seed: int, wrong: float, hidden: float) -> tuple[Any, dict[str, tuple[Any, Any]]]:
    """Random labels, and random clean and published predictions under every filter."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 7, n)
    found = {}
    for name in ("none", *FILTERS):
        other = [(label + rng.integers(1, 7, n)) % 7 for _ in range(2)]
        clean = np.where(rng.random(n) < wrong, other[0], label)
        found[name] = clean, np.where(rng.random(n) < hidden, other[1], label)
    return label, found


@pytest.mark.parametrize(("wrong", "hidden"), [(0.03, 0.95), (0.0, 0.5), (0.2, 1.0)])
def test_survival_is_counted_over_faces_read_under_every_filter(
    wrong: float, hidden: float
) -> None:
    label, found = drawn(200, 1, wrong, hidden)
    line = tables(frame(label, found)).leaderboard().iloc[0]
    counted = survived = 0
    rates = {}
    for name in FILTERS:
        clean, prediction = found[name]
        own = [k for k in range(200) if clean[k] == label[k]]
        rates[name] = sum(prediction[k] != label[k] for k in own) / len(own)
    for k in range(200):
        if all(found[name][0][k] == label[k] for name in FILTERS):
            counted += 1
            survived += all(found[name][1][k] != label[k] for name in FILTERS)
    assert line["survival"] == pytest.approx(survived / counted)
    assert line["n_survival"] == counted
    assert line["survival_low"] <= line["survival"] <= line["survival_high"]
    assert line["worst_defense"] == pytest.approx(min(rates.values()))
    assert rates[line["worst_filter"]] == min(rates.values())
    accuracy = np.mean(found["none"][0] == label)
    assert line["filter_cost"] == pytest.approx(accuracy - counted / 200)
    assert line["filter_set"] == "set-1"


def test_survival_is_pooled_over_victims_and_never_above_the_worst_filter() -> None:
    """Where no clean face is lost to a filter, the worst of all is at most the worst of each."""
    one, other = drawn(150, 2, 0.0, 0.9), drawn(150, 2, 0.0, 0.99)
    both = [frame(label, found, v) for (label, found), v in zip((one, other), "ab", strict=True)]
    alone = [tables(frame(label, found)).methods().iloc[0] for label, found in (one, other)]
    pooled = tables(*both).defended_methods().set_index("defense")
    assert pooled.loc["set-1", "protection_rate"] == pytest.approx(alone[0]["survival"])
    assert pooled.loc["set-1", "transfer_rate"] == pytest.approx(alone[1]["survival"])
    for line in alone:
        assert line["survival"] <= line["worst_defense"] <= 1


def test_a_targeted_image_hits_only_where_every_filter_reads_the_target() -> None:
    label = np.array([0, 0, 0, 3])
    found = {name: (label, np.array([3, 3, 0, 3])) for name in ("none", *FILTERS)}
    found["bits4"] = label, np.array([3, 5, 0, 3])
    rows = frame(label, found, target="happy", target_label=3)
    lines = tables(rows).defenses().set_index("defense")
    assert lines.loc["none", "targeted_rate"] == pytest.approx(2 / 3)
    assert lines.loc["set-1", "targeted_rate"] == pytest.approx(1 / 3)
    assert lines.loc["set-1", "protection_rate"] == pytest.approx(2 / 3)


def test_without_the_whole_set_there_is_no_survival() -> None:
    label, found = drawn(50, 3, 0.0, 0.9)
    del found["upload"]
    line = tables(frame(label, found)).methods().iloc[0]
    assert np.isnan(line["survival"])
    assert (line["worst_filter"], line["filter_set"]) == ("", "")


def test_the_leaderboard_may_be_sorted_by_survival() -> None:
    (label, low), (_, high) = drawn(150, 4, 0.0, 0.9), drawn(150, 4, 0.0, 0.99)
    low["none"] = label, (label + 1) % 7  # protects more faces, but fewer under filters
    both = [frame(label, low, attack="low"), frame(label, high, attack="high")]
    found = tables(*both)
    assert list(found.leaderboard()["attack"]) == ["low", "high"]
    assert list(found.leaderboard(by="survival")["attack"]) == ["high", "low"]
    with pytest.raises(PriemoError, match="did you mean survival"):
        found.leaderboard(by="surviva")


def test_every_filter_of_a_set_is_a_defense() -> None:
    assert {name for members in SETS.values() for name in members} <= set(names("defenses"))
    assert len(FILTERS) == len(set(FILTERS)) == 10


def test_a_set_stands_for_its_filters() -> None:
    assert expanded(("none", "median3", "set-1")) == ("none", "median3", *(
        name for name in FILTERS if name != "median3"
    ))  # fmt: skip


def test_a_random_defense_counts_as_the_mean_of_its_draws() -> None:
    label = np.zeros(4, int)
    shown = {
        "none": (label, label + 1),
        "turn5": (label, np.array([1, 1, 1, 0])),
        "turn5#1": (np.array([0, 0, 5, 5]), np.array([1, 0, 1, 1])),
    }
    made = tables(frame(label, shown))
    line = made.defenses().set_index("defense").loc["turn5"]
    assert line["protection_rate"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert line["draw_spread"] == pytest.approx(np.std([3 / 4, 1 / 2], ddof=1))
    assert (line["draws"], line["n"], line["clean_accuracy"]) == (2, 3, 0.75)
    assert set(made.defenses()["defense"]) == {"none", "turn5"}
    accuracy = made.victims().set_index("defense")["correct"]
    assert accuracy.to_dict() == {"none": 1.0, "turn5": 0.75}


def test_every_random_defense_of_a_run_is_drawn_as_often_and_no_other() -> None:
    drawn = {name: all_draws(name, get("defenses", name)) for name in ("turn5", "blur")}
    assert list(drawn["blur"]) == ["blur"]
    assert list(drawn["turn5"]) == ["turn5", *(f"turn5#{k}" for k in range(1, DRAWS))]
    x = np.random.default_rng(0).integers(0, 256, (1, 1, 24, 24), np.uint8)
    assert len({turned(x).tobytes() for turned in drawn["turn5"].values()}) == 2  # to either side
    assert {without_draw(name) for name in drawn["turn5"]} == {"turn5"}
