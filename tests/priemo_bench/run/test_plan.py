"""Which cells a spec has, and what changes their key."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.run.plan import cells
from priemo_bench.run.spec import parse

pytestmark = pytest.mark.usefixtures("world")


def planned(*attacks: dict[str, Any], **more: Any) -> list[Any]:
    base = {"datasets": [{"name": "toys"}], "victims": ["toy-a", "toy-b"], "seeds": [0, 1]}
    return cells(parse({**base, "attacks": list(attacks), **more}))


def test_each_victim_is_surrogate_in_turn_and_both_budgets_are_there() -> None:
    found = planned({"name": "gradient"})
    assert Counter((c.surrogate, c.budget) for c in found) == {
        (s, b): 1 for s in ("toy-a", "toy-b") for b in ("equal", "conventional")
    }


def test_seeds_only_where_something_is_random() -> None:
    assert [c.seed for c in planned({"name": "nothing"})] == [0]
    assert [c.seed for c in planned({"name": "noise", "budgets": ["equal"]})] == [0, 1]
    assert [c.seed for c in planned({"name": "noise", "budgets": ["equal"], "seeds": [7]})] == [7]


@pytest.mark.parametrize(("own", "faces"), [(None, 5), (3, 3), (9, 5)])
def test_an_attack_never_gets_more_faces_than_its_data_set(own: int | None, faces: int) -> None:
    found = planned({"name": "fgsm", "limit": own}, datasets=[{"name": "toys", "limit": 5}])
    assert {c.limit for c in found} == {faces}
    assert {c.limit for c in planned({"name": "fgsm", "limit": own})} == {own}


@pytest.mark.parametrize("name", ["priemo-image", "fgsm"])
def test_several_surrogates_at_once(name: str) -> None:
    found = planned({"name": name, "budgets": ["equal"]}, surrogates=("toy-a", ("toy-a", "toy-b")))
    assert [c.surrogate for c in found] == ["toy-a", "toy-a+toy-b"]


def test_a_shared_delta_stands_beside_itself_at_one_strength() -> None:
    found = planned({"name": "uap-pgd"}, surrogates=("toy-a",), seeds=[0])
    assert [(c.budget, c.scale) for c in found] == [
        ("equal", "per image"),
        ("equal", "one"),
        ("conventional", "one"),
    ]


def test_targets() -> None:
    found = planned({"name": "gradient", "targets": ["all"], "budgets": ["equal"], "limit": 9})
    assert {c.target for c in found} == set(range(7))
    assert {c.limit for c in found} == {9}
    with pytest.raises(PriemoError, match="'noise' cannot be targeted"):
        planned({"name": "noise", "targets": ["happy"]})


@pytest.mark.parametrize(
    ("given", "cap", "grid"),
    [
        ([0.01, 0.02, 0.5], 0.1, (0.01, 0.02, 0.1)),
        ([0.1], 0.1, (0.1,)),
        ([0.2, 0.1], "none", (0.1, 0.2)),
    ],
)
def test_the_grid_of_strengths_reaches_the_cap(given: Any, cap: Any, grid: Any) -> None:
    found = planned({"name": "gradient", "budgets": ["equal"]}, eps_grid=given, eps=cap)
    assert {c.eps_grid for c in found} == {grid}


def test_a_psnr_floor_is_a_second_equal_budget() -> None:
    found = planned({"name": "gradient"}, {"name": "nothing"}, psnr_floor=40, surrogates=("toy-a",))
    assert [(c.attack, c.budget, c.ssim_floor, c.psnr_floor) for c in found] == [
        ("gradient", "equal", 0.997, None),
        ("gradient", "equal-psnr", None, 40),
        ("gradient", "conventional", None, None),
        ("nothing", "equal", 0.997, None),
    ]
    alone = planned({"name": "gradient", "budgets": ["equal", "equal-psnr"]},
                    psnr_floor=40, ssim_floor="none")  # fmt: skip
    assert {c.budget for c in alone} == {"equal-psnr"}


def test_a_run_without_rows_is_told_by_its_budgets() -> None:
    with pytest.raises(PriemoError, match="their budgets are equal, those of the run equal-psnr"):
        planned({"name": "nothing", "budgets": ["equal"]}, psnr_floor=40, ssim_floor="none")
    with pytest.raises(PriemoError, match=r"'nothing' has rows of 'equal-0.98', and the floors"):
        planned({"name": "nothing", "budgets": ["equal-0.98"]}, floors=[0.9])


def test_a_row_asks_about_its_surrogates_or_about_others() -> None:
    def threats(**more: Any) -> list[str]:
        return [c.threat for c in planned({"name": "gradient", "budgets": ["equal"]}, **more)]

    assert threats() == ["white-box", "white-box"]
    assert threats(surrogates=("toy-c",)) == ["transfer"]
    assert threats(surrogates=("toy-a",), threat="transfer") == ["transfer"]
    assert [c.threat for c in planned({"name": "nothing"})] == ["no-model"]


def test_seeds_of_one_row_share_a_strength_and_a_process() -> None:
    found = planned({"name": "uap-pgd", "budgets": ["equal"]}, surrogates=("toy-a",), seeds=[3, 4],
                    eps_grid=[0.01], eps=0.03)  # fmt: skip
    assert [(c.seed, c.scale) for c in found] == [
        (3, "per image"), (3, "one"), (4, "per image"), (4, "one")
    ]  # fmt: skip
    assert len({c.batch for c in found}) == 1
    assert {c.first_seed for c in found} == {3}
    fitted = planned({"name": "priemo-class", "budgets": ["equal"]}, surrogates=("toy-a",))
    assert len({c.batch for c in fitted}) == 2  # lands on its budget itself: nothing is chosen
