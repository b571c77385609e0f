"""How long a cell is expected to take, against its work, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from priemo_bench.run.context import RunContext
from priemo_bench.run.estimate import PREDICTION, seconds_of
from priemo_bench.run.keys import Keys
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import cells
from priemo_bench.run.spec import parse
from priemo_bench.run.store import Store

pytestmark = pytest.mark.usefixtures("world")


def seconds(out: Path, defenses: list[str], **attack: Any) -> tuple[float, int]:
    """Of one cell, and how many faces it protects."""
    values = {
        "datasets": [{"name": "toys"}], "victims": ["toy-a", "toy-b"], "surrogates": ["toy-a"],
        "defenses": defenses, "attacks": [{"budgets": ["equal"], **attack}],
    }  # fmt: skip
    spec = parse(values)
    context = RunContext(spec)
    place = Workplace(context, Keys(context), Store(out))
    (cell,) = cells(spec)
    return seconds_of(cell, place), len(context.test_faces(cell))


def test_filters_of_victims_cost_predictions(tmp_path: Path) -> None:
    plain, n = seconds(tmp_path, ["none"], name="priemo-image")
    filtered, _ = seconds(tmp_path, ["none", "blur", "median3"], name="priemo-image")
    assert filtered - plain == pytest.approx(n * 2 * 2 * PREDICTION)


def test_filters_of_an_attack_cost_as_many_passes_more(tmp_path: Path) -> None:
    plain, n = seconds(tmp_path, ["none"], name="priemo-image")
    seen = {"filters": ["blur", "median3", "bits4"]}
    expected, _ = seconds(tmp_path, ["none"], name="priemo-image", params=seen)
    judged = n * 2 * PREDICTION
    assert expected - judged == pytest.approx(4 * (plain - judged))
    fewer, _ = seconds(tmp_path, ["none"], name="priemo-survive", params=seen)
    usual, _ = seconds(tmp_path, ["none"], name="priemo-survive")
    assert fewer - judged == pytest.approx((usual - judged) * 4 / 11)


@pytest.mark.parametrize(("name", "steps"), [("priemo-image", "steps"), ("pgd", "max_iter")])
def test_more_steps_cost_more(tmp_path: Path, name: str, steps: str) -> None:
    """Both make 25 unless told otherwise: the one by its class, the other by its entry."""
    usual, n = seconds(tmp_path, ["none"], name=name)
    more, _ = seconds(tmp_path, ["none"], name=name, params={steps: 100})
    judged = n * 2 * PREDICTION
    assert more - judged == pytest.approx(4 * (usual - judged))
