"""Tables against numbers worked out by hand from a handful of rows."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.contracts.rows import NAMED, Rows
from priemo_bench.judge.compare import compared, regressions
from priemo_bench.judge.leaderboard import COLUMNS, Tables
from priemo_bench.judge.ranking import compare_rows

DESIGN = [
    "attack", "family", "scope", "surrogate", "target", "n", "dataset", "budget", "threat", "seeds",
    "n_victims", "protection_rate", "protection_low", "protection_high", "macro_protection_rate",
    "transfer_rate", "targeted_rate", "ssim", "ssim_drop", "ssim_worst", "psnr", "within_budget",
    "fit_seconds", "ms_per_image", "forwards_per_image", "backwards_per_image", "status",
]  # fmt: skip


def cell(
    label: Any,
    after: dict[str, Any],
    clean: dict[str, Any] | None = None,
    attack: str = "x",
    surrogate: str = "a",
    target: int = -1,
    seed: int = 0,
    budget: str = "equal",
    persons: Any = None,
    ssim: Any = 0.997,
    ssim_full: Any = 0.998,
    psnr: Any = 40.0,
    scale: str = "-",
    linf: Any = 8 / 255,
    defense: str = "none",
    family: str = "per-image",
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows and facts of one cell.

    Args:
        after, clean: by victim, its predictions on the published and on the clean images (by
            default the labels).
    """
    label = np.asarray(label)
    n = len(label)
    names = {
        "dataset": "d", "budget": budget, "attack": attack, "family": family, "scope": "image",
        "scale": scale, "surrogate": surrogate, "target": "happy" if target >= 0 else "-",
    }  # fmt: skip
    images = [f"i{i}" for i in range(n)]
    parts = [
        pd.DataFrame(
            {
                **names, "seed": seed, "defense": defense, "victim": victim, "image": images,
                "person": images if persons is None else persons, "label": label,
                "clean": label if clean is None else clean[victim], "prediction": prediction,
                "target_label": target, "ssim": ssim, "ssim_full": ssim_full, "psnr": psnr,
                "linf": linf,
            }
        )
        for victim, prediction in after.items()
    ]  # fmt: skip
    facts = {
        **names, "seed": seed, "status": "done", "reason": "", "strength": 1.0, "unchanged": 0,
        "fit_seconds": 1.0, "fit_forwards": 0, "fit_backwards": 0, "ms_per_image": 2.0 + seed,
        "forwards_per_image": 3.0, "backwards_per_image": 4.0, "peak_mb": 5.0,
        "left_training": [], "zero_gradient": [], "factor": float("nan"),
    }  # fmt: skip
    return pd.concat(parts), facts


def rows(*cells: tuple[pd.DataFrame, dict[str, Any]], **failed: Any) -> Rows:
    frame = pd.concat([part for part, _ in cells], ignore_index=True)
    facts = list({str(f): f for _, f in cells}.values())
    facts += [{**facts[0], **failed, "status": "failed", "reason": "luck"}] if failed else []
    typed = frame.astype(dict.fromkeys(NAMED, "category"))
    return Rows(typed, {"cells": facts, "ssim_floor": 0.997, "eps": 8 / 255})


def line(*cells: tuple[pd.DataFrame, dict[str, Any]], **failed: Any) -> pd.Series:
    return Tables(rows(*cells, **failed)).leaderboard().iloc[0]


def test_columns_are_those_of_the_design() -> None:
    assert set(DESIGN) <= set(COLUMNS)


def test_protection_counts_correctly_classified_faces() -> None:
    # the last face is misclassified when clean; two of the other three are protected
    row = line(cell([0, 1, 2, 3], {"a": [4, 4, 2, 4]}, {"a": [0, 1, 2, 6]}))
    assert row["protection_rate"] == pytest.approx(2 / 3)
    assert row["n"] == 3
    # Wilson's interval for 2 of 3, as in Brown, Cai & DasGupta's formula
    assert (row["protection_low"], row["protection_high"]) == pytest.approx(
        (0.20766, 0.93851), abs=1e-5
    )
    assert row["flip_rate"] == pytest.approx(3 / 4)
    assert (row["threat"], row["status"], row["n_victims"]) == ("white-box", "ok", 1)


def test_seeds_are_averaged_for_each_image_and_never_widen_the_sample() -> None:
    label = [0, 1, 2, 3]
    row = line(
        cell(label, {"a": [6, 6, 6, 6]}, seed=0),
        cell(label, {"a": [6, 6, 2, 3]}, seed=1),
    )
    assert row["protection_rate"] == pytest.approx(0.75)
    assert (row["n"], row["seeds"]) == (4, 2)
    assert row["seed_spread"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert row["ms_per_image"] == pytest.approx(2.5)
    assert row["protection_high"] - row["protection_low"] > 0.5  # four faces, however many rows


def test_white_box_transfer_and_no_model() -> None:
    label = [0, 1]
    board = Tables(
        rows(
            cell(label, {"a": [6, 6], "b": [6, 1], "c": [0, 1]}, surrogate="a"),
            cell(label, {"a": [6, 6], "b": [6, 1], "c": [0, 1]}, attack="e", surrogate="a+b"),
            cell(label, {"a": [6, 6], "b": [6, 1], "c": [0, 1]}, attack="f", surrogate="z"),
            cell(label, {"a": [0, 1], "b": [6, 1], "c": [0, 1]}, attack="noise", surrogate="-"),
        )
    ).leaderboard()
    by = board.set_index("attack")
    assert by["threat"].to_dict() == {
        "x": "white-box", "e": "white-box", "f": "transfer", "noise": "no-model"
    }  # fmt: skip
    rates = by["protection_rate"].to_dict()
    assert rates == pytest.approx({"x": 1.0, "e": 0.75, "f": 0.5, "noise": 1 / 6})
    assert by["transfer_rate"].to_dict() == pytest.approx(
        {"x": 0.25, "e": 0.0, "f": 0.5, "noise": 1 / 6}
    )
    # noise protects half of the faces from b, and none from a and c
    assert by["transfer_minus_noise"].to_dict() == pytest.approx(
        {"x": 0.0, "e": 0.0, "f": 0.5 - 1 / 6, "noise": 0.0}
    )


def test_targeted_leaves_out_faces_labelled_or_classified_as_the_target() -> None:
    # label 3 is the target; the second face is classified as it when clean
    row = line(
        cell([3, 0, 1, 2], {"a": [3, 3, 3, 2]}, {"a": [3, 3, 1, 2]}, target=3),
    )
    assert row["targeted_rate"] == pytest.approx(1 / 2)
    assert row["protection_rate"] == pytest.approx(1 / 2)  # of faces 1 and 2
    assert row["n"] == 2


@pytest.mark.parametrize(
    ("quality", "within"),
    [
        ({}, True),
        ({"ssim": [0.999, 0.9969]}, False),
        ({"ssim_full": [0.999, 0.9969]}, False),
        ({"linf": [0.0, 9 / 255]}, False),
    ],
)
def test_the_budget_holds_for_every_image(quality: dict[str, Any], within: bool) -> None:
    row = line(cell([0, 1], {"a": [6, 6]}, **quality))
    assert row["within_budget"] == within
    assert pd.isna(row["rank"]) != within


def test_quality_counts_each_image_once() -> None:
    row = line(cell([0, 1], {"a": [6, 6], "b": [6, 6]}, ssim=[0.998, 1.0], linf=[0.01, 0.02]))
    assert row["ssim"] == pytest.approx(0.999)
    assert row["ssim_drop"] == pytest.approx(0.001)
    assert row["ssim_worst"] == pytest.approx(0.998)
    assert row["linf"] == pytest.approx(0.02)


def test_macro_rate_needs_twenty_faces_of_an_emotion() -> None:
    label = [0] * 20 + [1] * 40 + [2] * 19
    after = [6] * 20 + [1] * 40 + [6] * 19
    row = line(cell(label, {"a": after}))
    assert row["protection_rate"] == pytest.approx(39 / 79)
    assert row["macro_protection_rate"] == pytest.approx(0.5)
    assert row["macro_left_out"].split()[0] == "fear"


def test_collapse() -> None:
    row = line(cell([0, 1, 2, 3], {"a": [5, 5, 5, 0]}))
    assert (row["collapse_class"], row["collapse_share"]) == ("surprise", 0.75)


def test_ranks_are_shared_where_the_paired_interval_includes_zero() -> None:
    label = [0] * 40
    all_, most, none = [6] * 40, [6] * 39 + [0], [0] * 40
    board = Tables(
        rows(
            cell(label, {"a": most}, attack="second"),
            cell(label, {"a": none}, attack="third"),
            cell(label, {"a": all_}, attack="first"),
            cell(label, {"a": all_}, attack="loud", ssim=0.9),
            cell(label, {"a": all_}, attack="blind", surrogate="-"),
        )
    ).leaderboard()
    ranks = board.set_index("attack")["rank"]
    assert ranks[["first", "second", "third", "blind"]].tolist() == [1, 1, 3, 1]
    assert pd.isna(ranks["loud"])


def predictions(label: int, protected: int, n: int) -> list[int]:
    """Of n faces of one label, the first `protected` are misclassified."""
    return [6] * protected + [label] * (n - protected)


def test_ranks_compare_the_mean_over_victims_that_the_table_shows() -> None:
    """a correctly classifies all 200 faces, b only 40: b's faces weigh five times as much.

    Over all predictions "few" protects more; by the mean over victims, less.
    """
    label = [0] * 200
    clean = {"a": [0] * 200, "b": [0] * 40 + [1] * 160}
    many = {"a": predictions(0, 100, 200), "b": [6] * 36 + [0] * 4 + [1] * 160}
    few = {"a": predictions(0, 130, 200), "b": [6] * 8 + [0] * 32 + [1] * 160}
    made = rows(
        cell(label, few, clean, attack="few", surrogate="a+b"),
        cell(label, many, clean, attack="many", surrogate="a+b"),
    )
    board = Tables(made).leaderboard().set_index("attack")
    assert board["protection_rate"].to_dict() == pytest.approx({"many": 0.7, "few": 0.425})
    assert board["rank"].to_dict() == {"many": 1, "few": 2}
    rates = Tables(made).rates
    found = compare_rows(rates, [1], [0])
    assert found.value == pytest.approx(0.7 - 0.425)
    assert found.low > 0


def test_ties_are_not_chained() -> None:
    """Each differs from the next by 24 of 400 faces, which is no difference; from the one after
    that by 48, which is. So the first two share a rank and the third opens its own."""
    rng = np.random.default_rng(0)
    label = np.zeros(400, int)
    cells = []
    for name, rate in (("first", 0.60), ("second", 0.54), ("third", 0.48), ("fourth", 0.42)):
        after = np.where(rng.permutation(400) < 400 * rate, 6, 0)
        cells.append(cell(label, {"a": after}, attack=name))
    tables = Tables(rows(*cells))
    ranks = tables.leaderboard().set_index("attack")["rank"].to_dict()
    assert ranks == {"first": 1, "second": 1, "third": 3, "fourth": 3}
    for a, b in combinations(tables.board.index, 2):
        if tables.board.at[a, "rank"] == tables.board.at[b, "rank"]:
            assert compare_rows(tables.rates, [a], [b]).p > 0.05


def test_ranks_stand_within_surrogate_and_target() -> None:
    label = [0] * 60
    after = {"a": [6] * 60, "b": [6] * 60}
    half = {"a": predictions(0, 30, 60), "b": predictions(0, 30, 60)}
    board = Tables(
        rows(cell(label, after, surrogate="a"), cell(label, half, surrogate="b"),
             cell(label, half, attack="y", surrogate="a", target=3))
    ).leaderboard()  # fmt: skip
    assert board["rank"].tolist() == [1, 1, 1]


def test_methods_are_compared_on_the_victims_they_share() -> None:
    """ "both" has surrogates a and b and does poorly on b; "one" has a alone, where they are
    alike: no difference, whatever the rates in the table."""
    label = [0] * 100
    poor = {"a": predictions(0, 90, 100), "b": predictions(0, 10, 100)}
    tables = Tables(
        rows(
            cell(label, poor, attack="both", surrogate="a"),
            cell(label, poor, attack="both", surrogate="b"),
            cell(label, poor, attack="one", surrogate="a"),
        )
    )
    methods = tables.methods().set_index("attack")
    assert methods["protection_rate"].to_dict() == pytest.approx({"both": 0.5, "one": 0.9})
    assert methods["rank"].to_dict() == {"both": 1, "one": 1}


def test_a_gradient_attack_that_leaves_its_budget_unused_is_not_ranked() -> None:
    """Unless the same attack with all of it was tried and protects less."""
    label = [0] * 40
    weak, strong = {"a": predictions(0, 10, 40)}, {"a": predictions(0, 30, 40)}
    full = {"scale": "per image", "attack": "full"}
    board = Tables(
        rows(
            cell(label, strong, attack="idle", ssim=0.999),
            cell(label, strong, **full), cell(label, weak, **{**full, "scale": "one"}, ssim=0.999),
            cell(label, weak, attack="odd", scale="per image"),
            cell(label, strong, attack="odd", scale="one", ssim=0.999),
            cell(label, weak, attack="noise", surrogate="-", ssim=0.999),
        )
    ).leaderboard()  # fmt: skip
    ranks = board.set_index(["attack", "scale"])["rank"]
    assert ranks.isna().to_dict() == {
        ("idle", "-"): True, ("full", "per image"): False, ("full", "one"): True,
        ("odd", "per image"): False, ("odd", "one"): False, ("noise", "-"): False,
    }  # fmt: skip
    used = board.set_index(["attack", "scale"])["budget_used"]
    assert used["idle", "-"] == pytest.approx(2 / 3)  # the full mean is 0.998
    assert used["full", "per image"] == pytest.approx(1)


def test_budget_used_is_of_the_measure_of_the_row() -> None:
    """Half the mean squared error of 40 dB is 43.01 dB."""
    made = rows(
        cell([0, 1], {"a": [6, 6]}, budget="equal-psnr", psnr=[40.0, 43.0103], ssim=0.9, linf=0),
        cell([0, 1], {"a": [6, 6]}, attack="over", budget="equal-psnr", psnr=39.9),
    )
    made.facts["psnr_floor"] = 40.0
    board = Tables(made).leaderboard().set_index("attack")
    assert board.loc["x", ["budget_used", "on_floor"]].tolist() == pytest.approx([0.75, 0.5])
    assert board["within_budget"].to_dict() == {"x": True, "over": False}


def test_both_equal_budgets_stand_side_by_side() -> None:
    label = [0] * 40
    strong, weak = {"a": predictions(0, 35, 40)}, {"a": predictions(0, 5, 40)}
    made = rows(
        cell(label, strong, attack="x"), cell(label, weak, attack="y"),
        cell(label, weak, attack="x", budget="equal-psnr"),
        cell(label, strong, attack="y", budget="equal-psnr"),
    )  # fmt: skip
    made.facts["psnr_floor"] = 40.0
    methods = Tables(made).methods().set_index(["attack", "budget"])
    assert methods["rank"].tolist() == [1, 2, 2, 1]
    assert methods["rank_other"].tolist() == [2, 1, 1, 2]


def test_transfer_has_two_intervals() -> None:
    """Three victims at .25, .5 and .75: those of these victims are of faces, the next is wider."""
    label = [0] * 80
    after = {"a": [6] * 80} | {
        v: predictions(0, k, 80) for v, k in (("b", 20), ("c", 40), ("d", 60))
    }
    row = line(cell(label, after))
    assert row["transfer_rate"] == pytest.approx(0.5)
    assert row["n_transfer"] == 3
    assert 0.4 < row["transfer_low"] < 0.5 < row["transfer_high"] < 0.6
    assert row["next_low"] < 0.1
    assert row["next_high"] > 0.9


def test_a_transfer_row_is_judged_by_its_transfer_victims() -> None:
    part, facts = cell([0, 1], {"a": [6, 6], "b": [6, 1]}, surrogate="a")
    facts["threat"] = "transfer"
    row = line((part, facts))
    assert (row["threat"], row["protection_rate"], row["n_victims"]) == ("transfer", 0.5, 1)


def test_victims_that_classify_no_face_correctly_are_not_counted() -> None:
    part, facts = cell(
        [0, 1], {"a": [6, 6], "b": [6, 1], "c": [6, 6]}, {"a": [0, 1], "b": [0, 1], "c": [5, 5]}
    )
    row = line((part, facts))
    assert (row["transfer_rate"], row["n_transfer"]) == (0.5, 1)
    row = line((part, {**facts, "threat": "transfer"}))
    assert (row["protection_rate"], row["n_victims"]) == (0.5, 1)


def test_costs_are_those_of_rows_with_most_images() -> None:
    """A mean over rows of 2 and of 40 images would be of neither."""
    small, facts = cell([0, 1], {"a": [6, 6], "b": [6, 6]})
    large = cell([0] * 40, {"a": [6] * 40, "b": [6] * 40}, surrogate="b")
    facts |= {"ms_per_image": 50.0}
    (method,) = Tables(rows((small, facts), large)).methods().to_dict("records")
    assert method["ms_per_image"] == 2.0


def test_noise_of_another_budget_is_not_subtracted() -> None:
    label = [0, 1]
    made = rows(
        cell(label, {"a": [6, 6], "b": [6, 6]}, attack="x", budget="conventional"),
        cell(label, {"a": [0, 1], "b": [0, 1]}, attack="noise", surrogate="-"),
    )
    board = Tables(made).leaderboard().set_index("attack")
    assert np.isnan(board.at["x", "transfer_minus_noise"])


def test_failed_and_partly_failed_rows() -> None:
    tables = Tables(rows(cell([0, 1], {"a": [6, 1]}), seed=1))
    assert tables.leaderboard()["status"].tolist() == ["partial"]
    tables = Tables(rows(cell([0, 1], {"a": [6, 1]}), attack="y"))
    board = tables.leaderboard().set_index("attack")
    assert board["status"].to_dict() == {"x": "ok", "y": "failed"}
    assert np.isnan(board.at["y", "protection_rate"])
    assert tables.failures()[["attack", "reason"]].values.tolist() == [["y", "luck"]]


def test_transfer_and_defenses_tables() -> None:
    label, clean = [0, 1], {"a": [0, 1], "b": [0, 0]}
    tables = Tables(
        rows(
            cell(label, {"a": [6, 6], "b": [6, 0]}, clean),
            cell(label, {"a": [6, 1], "b": [0, 0]}, clean, defense="jpeg75"),
        )
    )
    transfer = tables.transfer().set_index("victim")
    assert transfer["protection_rate"].to_dict() == {"a": 1.0, "b": 1.0}
    assert transfer["n"].to_dict() == {"a": 2, "b": 1}
    assert transfer["threat"].to_dict() == {"a": "white-box", "b": "transfer"}
    defenses = tables.defenses().set_index("defense")
    assert defenses["protection_rate"].to_dict() == {"none": 1.0, "jpeg75": 0.5}
    assert defenses["transfer_rate"].to_dict() == {"none": 1.0, "jpeg75": 0.0}
    assert defenses["clean_accuracy"].to_dict() == {"none": 1.0, "jpeg75": 1.0}
    accuracy = tables.victims().set_index(["victim", "defense"])["correct"]
    assert accuracy["b", "none"] == 0.5


def test_methods_pool_surrogates() -> None:
    label = [0, 1]
    after = {"a": [6, 6], "b": [6, 1]}
    tables = Tables(rows(cell(label, after), cell(label, after, surrogate="b")))
    (method,) = tables.methods().to_dict("records")
    assert method["protection_rate"] == pytest.approx(0.75)
    assert method["lowest"] == pytest.approx(0.5)
    assert (method["surrogates"], method["n"], method["rank"]) == (2, 2, 1)


def test_flags() -> None:
    label = list(range(4)) * 3
    loud = cell(label, {"a": label}, budget="conventional", ssim=0.5)
    part, facts = cell(label, {"a": [6] * 12}, linf=0.0)
    facts |= {"zero_gradient": ["a"], "left_training": ["a"]}
    control = cell(label, {"a": [6] * 12}, attack="noise", surrogate="-", family="control")
    weak = cell(label, {"a": [6, *label[1:]]}, attack="weak")
    close = cell(label, {"a": [6] * 10 + label[10:]}, attack="close", ssim=0.998)
    chance = cell(label, {"a": [6] * 12}, {"a": [5] * 12}, attack="chance")
    board = Tables(rows((part, facts), loud, control, weak, close, chance)).leaderboard()
    flags = board.set_index(["attack", "budget"])["flags"].str.split("; ").to_dict()
    assert flags["x", "equal"] == [
        "zero gradient", "victim in training mode", "perturbation is zero", "collapsed to neutral"
    ]  # fmt: skip
    assert "a control does better" in flags["weak", "equal"]
    assert "a control does better" not in flags["close", "equal"]  # by two faces of twelve
    assert "budget not used" in flags["close", "equal"]
    assert "clean accuracy near chance" in flags["chance", "equal"]
    assert flags["x", "conventional"] == ["more budget protects less"]


def test_compare_finds_regressions(tmp_path: Path) -> None:
    label = [0] * 40
    for name, same, worse in (("old", [6] * 40, [6] * 40), ("new", [6] * 40, [6] * 20 + [0] * 20)):
        kept = rows(
            cell(label, {"a": same}, attack="same"), cell(label, {"a": worse}, attack="worse")
        )
        kept.save(tmp_path / name / "results.parquet")
    table = compared(tmp_path / "old", tmp_path / "new")
    assert table["change"].tolist() == [-0.5, 0.0]
    assert regressions(table)["attack"].tolist() == ["worse"]
    assert regressions(compared(tmp_path / "new", tmp_path / "old")).empty


def test_compare_has_the_change_of_the_rates_beside_it(tmp_path: Path) -> None:
    """Two victims of unequal denominators, and a new run with half of the faces."""
    label, clean = [0] * 80, {"a": [0] * 80, "b": [0] * 20 + [1] * 60}
    old = {"a": predictions(0, 40, 80), "b": [6] * 20 + [1] * 60}
    new = {"a": predictions(0, 30, 40), "b": [6] * 5 + [0] * 15 + [1] * 20}
    half = {name: own[:40] for name, own in clean.items()}
    rows(cell(label, old, clean, surrogate="a+b")).save(tmp_path / "old" / "results.parquet")
    rows(cell([0] * 40, new, half, surrogate="a+b")).save(tmp_path / "new" / "results.parquet")
    (found,) = compared(tmp_path / "old", tmp_path / "new").to_dict("records")
    assert found["images"] == 40
    assert found["rate_old"] == pytest.approx((1 + 1) / 2)
    assert found["rate_new"] == pytest.approx((30 / 40 + 5 / 20) / 2)
    assert found["change"] == pytest.approx(found["rate_new"] - found["rate_old"])
    assert found["change_high"] < 0


def test_a_run_against_itself_has_no_change(tmp_path: Path) -> None:
    label = [0] * 40
    made = rows(
        cell(label, {"a": predictions(0, 10, 40)}, seed=0),
        cell(label, {"a": predictions(0, 30, 40)}, seed=1),
    )
    made.save(tmp_path / "results.parquet")
    (found,) = compared(tmp_path, tmp_path).to_dict("records")
    assert (found["change"], found["change_low"], found["change_high"], found["p"]) == (0, 0, 0, 1)


def test_rows_come_back_from_their_file(tmp_path: Path) -> None:
    kept = rows(cell([0, 1], {"a": [6, 1]}))
    kept.save(tmp_path / "results.parquet")
    back = Rows.load(tmp_path / "results.parquet")
    pd.testing.assert_frame_equal(
        Tables(back).leaderboard(), Tables(kept).leaderboard(), check_categorical=False
    )


def test_transfer_without_kin_leaves_out_the_kin_of_surrogates() -> None:
    """Surrogate a; b is kin of a by data, c by architecture only, and d is unrelated."""
    label = [0, 1, 2, 3]
    after = {"a": [6] * 4, "b": [6, 6, 6, 3], "c": [6, 6, 2, 3], "d": [6, 1, 2, 3]}
    own = rows(cell(label, after))
    own.facts["kin"] = {"a": {"b": ["data"], "c": ["architecture"]}, "b": {}, "c": {}, "d": {}}
    line = Tables(own).leaderboard().iloc[0]
    assert line["transfer_rate"] == pytest.approx((0.75 + 0.5 + 0.25) / 3)
    assert line["transfer_without_kin"] == pytest.approx((0.5 + 0.25) / 2)
    assert line["n_without_kin"] == 2
    line = Tables(own, ["architecture", "data"]).leaderboard().iloc[0]
    assert (line["transfer_without_kin"], line["n_without_kin"]) == (0.25, 1)
    assert Tables(own, []).leaderboard().iloc[0]["transfer_without_kin"] == line["transfer_rate"]


def test_without_kin_is_empty_where_kin_are_unknown_or_all_there_is() -> None:
    own = rows(cell([0, 1], {"a": [6, 6], "b": [6, 6]}))
    assert np.isnan(Tables(own).leaderboard().iloc[0]["transfer_without_kin"])
    own.facts["kin"] = {"a": {"b": ["data"]}, "b": {"a": ["data"]}}
    line = Tables(own).leaderboard().iloc[0]
    assert np.isnan(line["transfer_without_kin"])
    assert line["n_without_kin"] == 0
