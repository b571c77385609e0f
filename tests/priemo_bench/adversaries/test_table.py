"""Rates of a finding, and what is said of two claims."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from priemo_bench.adversaries.cases import Finding
from priemo_bench.adversaries.claims import claims, verdicts
from priemo_bench.adversaries.study import AttackStudy
from priemo_bench.adversaries.table import table
from priemo_bench.adversaries.units import Unit
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.judge.statistics import wilson

IDS = np.array([str(i) for i in range(8)])
FACES = FaceSet("t", "test", np.zeros((8, 1, 16, 16), np.uint8), np.arange(8) % 7, IDS, IDS)
WRONG = (FACES.labels + 1) % 7


def right_but(*wrong: int) -> np.ndarray:
    return np.where(np.isin(np.arange(8), wrong), WRONG, FACES.labels)


def line(adversary: str = "purifier", **own: object) -> pd.Series:
    finding = Finding(
        adversary, "informed", "x", 1.0, "v", right_but(0), right_but(0, 1, 2, 3, 4),
        right_but(0, 1), right_but(0, 1, 2), **own,  # type: ignore[arg-type]
    )  # fmt: skip
    return table([(Unit(AttackStudy(name="noise"), "leak"), finding)], FACES, "a").iloc[0]


def test_rates_are_over_faces_that_are_read_when_clean() -> None:
    found = line()
    assert (found["n"], found["n_after"]) == (7, 6)
    assert found["protection"] == pytest.approx(4 / 7)
    assert found["protection_after"] == pytest.approx(1 / 6)
    assert (found["protection_low"], found["protection_high"]) == pytest.approx(wilson(4 / 7, 7))
    assert found["kept"] == pytest.approx(1 / 6 / (4 / 7))
    assert found["clean_accuracy"] == 7 / 8
    assert found["clean_accuracy_after"] == 6 / 8
    assert (found["accuracy"], found["accuracy_after"]) == (3 / 8, 5 / 8)
    assert np.isnan(found["hidden"])
    assert found["surrogates"] == "-"


def test_who_undoes_is_judged_on_all_faces_that_are_read_when_clean() -> None:
    found = line("leak")
    assert found["n_after"] == 7
    assert found["protection_after"] == pytest.approx(2 / 7)


def test_a_detected_face_is_not_hidden() -> None:
    assert line(flagged=np.arange(8) == 2)["hidden"] == 0
    assert line(flagged=np.arange(8) == 3)["hidden"] == pytest.approx(1 / 6)


def study_table() -> pd.DataFrame:
    lines = []
    for attack, family, ms, rates in (
        ("priemo-class", "universal", 1.0, (0.1, 0.3, 0.2)),
        ("aes-ctr", "cryptographic", 0.1, (0.9, 0.8, 0.8)),
        ("blur", "transform", 0.2, (0.2, 0.9, 0.5)),
    ):
        for k, rate in enumerate(rates):
            lines.append(
                {
                    "attack": attack, "family": family, "ssim_floor": np.nan, "victim": f"v{k}",
                    "adversary": "newer model" if k else "none", "protection": rate,
                    "ms_per_image": np.nan, "fit_passes": np.nan, "ssim_to_clean": 0.5,
                    "strength": np.nan, "accuracy_after": np.nan,
                }
            )  # fmt: skip
        lines.append({**lines[-1], "adversary": "cost", "ms_per_image": ms, "protection": np.nan})
    return pd.DataFrame(lines)


def test_what_is_measured_answers_the_claims() -> None:
    found = claims(study_table())
    assert found["victims"].tolist() == [3, 3, 3]
    assert found["least"].tolist() == [0.1, 0.8, 0.2]
    costly, tied = verdicts(found)
    assert "computationally costly: no" in costly
    assert "aes-ctr 0.1 times" in costly
    assert "at least 50 % of SSIM" in costly
    assert "specific recognisers: yes" in tied
    assert "blur protects 20 to 90 %" in tied


def test_what_is_not_measured_is_not_answered() -> None:
    assert verdicts(claims(study_table().iloc[:4])) == []
