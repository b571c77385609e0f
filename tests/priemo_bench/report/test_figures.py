"""What figures show of a table, and what they call its rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb, to_rgba_array

from priemo_bench.report import curves, figures
from priemo_bench.report.figures import short_name, styled
from priemo_bench.report.filter_curves import CLEAN, filter_curves

NAN = float("nan")
RATES = {"protection_rate": 0.5, "protection_low": 0.25, "protection_high": 0.75}


def test_many_surrogates_are_named_by_those_they_leave_out() -> None:
    folds = ["b+c+d+e", "a+c+d+e", "a+b+c+d+e", "a", "a+b+c"]
    assert [short_name(fold, folds) for fold in folds] == [
        "all but a", "all but b", "all 5", "a", "a+b+c",
    ]  # fmt: skip
    assert short_name("a+b+c+d", ["a+b+c+d", "e+f+g+h"]) == "a+b+c+d"


def _tables(facts: dict[str, Any] | None = None, **tables: list[dict[str, Any]]) -> Any:
    """Stands in for `Tables`."""
    own = {name: (lambda lines=lines: pd.DataFrame(lines)) for name, lines in tables.items()}
    bounds = SimpleNamespace(ssim_floor=0.997)
    return SimpleNamespace(rows=SimpleNamespace(bounds=bounds, facts=facts or {}), **own)


def _method(**changes: Any) -> dict[str, Any]:
    return {
        "dataset": "d", "budget": "equal", "attack": "x", "scale": "-", "targeted": False,
        "family": "per-image", "threat": "white-box", "ssim_drop": 0.003, **RATES, **changes,
    }  # fmt: skip


def test_points_are_where_rates_and_losses_are_known() -> None:
    lines = [
        _method(), _method(attack="$own$", family="mine$a$", threat="no-model", ssim_drop=0.0),
        _method(protection_rate=NAN, family="universal"), _method(targeted=True, ssim_drop=0.5),
        _method(budget="equal-psnr", ssim_drop=NAN), _method(dataset="e", ssim_drop=0.9),
    ]  # fmt: skip
    with styled():
        figure = figures._quality(_tables(methods=lines), "d")
    assert figure is not None
    (axis,) = figure.axes
    points = np.asarray(axis.collections[0].get_offsets())
    assert sorted(points.tolist()) == [[1e-5, 0.5], [0.003, 0.5]]
    legend = axis.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "family", "per-image", r"mine\$a\$", "threat", "white-box", "no-model",
    ]  # fmt: skip


def test_no_figure_of_nothing_known() -> None:
    line = _method(protection_rate=NAN, target="-", surrogate="a", victim="v", defense="blur")
    tables = _tables(
        methods=[line], transfer=[line, {**line, "surrogate": "b"}], defended_methods=[line]
    )
    assert [own.draw(tables, "d") for own in figures.FIGURES] == [None] * len(figures.FIGURES)


def test_transfer_has_a_column_for_every_victim_in_every_panel() -> None:
    lines = [
        _method(attack=attack, target="-", surrogate=surrogate, victim=victim, protection_rate=p)
        for attack, surrogate, victim, p in [
            ("x", "a", "v", 0.1), ("x", "b", "v", 0.2), ("x", "b", "w", 0.3),
            ("y", "a", "w", 0.4), ("y", "b", "w", NAN), ("z", "a", "w", 0.5), ("z", "b", "w", 0.6),
        ]
    ]  # fmt: skip
    with styled():
        figure = figures._transfer(_tables(transfer=lines), "d")
    assert figure is not None
    assert [axis.get_title() for axis in figure.axes] == ["x", "z"]
    for axis, shown in zip(figure.axes, (["10", "20", "30"], ["50", "60"]), strict=True):
        assert [text.get_text() for text in axis.texts] == shown
        assert [text.get_text() for text in axis.get_xticklabels()] == ["v", "w"]


def test_a_panel_for_each_family_of_filters_with_several_strengths() -> None:
    facts = {
        "defenses": {
            "none": {"family": None, "strength": None},
            "soft": {"family": "blur", "strength": 0.5}, "hard": {"family": "blur", "strength": 2},
            "bits4": {"family": "bit depth", "strength": 4},
        }
    }  # fmt: skip
    lines = [
        _method(attack=attack, defense=defense, protection_rate=p, clean_accuracy=0.9)
        for attack, rates in {"x": (0.9, 0.2, 0.5, 1.0), "y": (0.4, 0.3, 0.2, 1.0)}.items()
        for defense, p in zip(("hard", "soft", "bits4", "none"), rates, strict=True)
    ]  # fmt: skip
    with styled():
        figure = filter_curves(_tables(facts, defended_methods=lines), "d")
    assert figure is not None
    (axis,) = figure.axes
    assert axis.get_title() == "blur"
    drawn = {str(line.get_label()): line.get_xydata().tolist() for line in axis.lines}
    assert drawn == {
        "x": [[0.5, 0.2], [2, 0.9]], "y": [[0.5, 0.3], [2, 0.4]], CLEAN: [[0.5, 0.9], [2, 0.9]],
    }  # fmt: skip
    assert filter_curves(_tables({}, defended_methods=lines), "d") is None


def test_the_look_of_other_figures_stays() -> None:
    before = dict(mpl.rcParams)
    with styled():
        assert dict(mpl.rcParams) != before
    assert dict(mpl.rcParams) == before


def _curve(attack: str, floor: float, **changes: Any) -> dict[str, Any]:
    return _method(
        attack=attack, ssim_floor=floor, scope="image", area=0.5, eps=8 / 255, unused=False,
        within_budget=True, psnr_floor=NAN, transfer_rate=NAN, targeted_rate=0.5, **changes,
    )  # fmt: skip


def test_a_band_has_the_colour_of_its_curve() -> None:
    attacks = [f"a{k}" for k in (3, 1, 2)]
    lines = [_curve(a, f) for a in attacks for f in (0.95, 0.997)]
    with styled():
        (axis,) = curves._figure(pd.DataFrame(lines)).axes
    bands = {to_rgb(to_rgba_array(band.get_facecolor())[0]) for band in axis.collections}
    drawn = {to_rgb(line.get_color()) for line in axis.lines if np.size(line.get_xdata())}
    assert len(bands) == 3
    assert bands == drawn


@pytest.mark.parametrize("targeted", [True, False])
def test_a_page_of_curves_shows_a_figure_where_there_is_one(targeted: bool, tmp_path: Path) -> None:
    lines = [_curve("x", floor, targeted=targeted) for floor in (0.95, 0.997)]
    curves.write_curve(tmp_path, pd.DataFrame(lines), "priemo-bench")
    pictures = [path.name for path in tmp_path.glob("figures/*")]
    assert pictures == ([] if targeted else ["curves-d.png"])
    assert ("![" in (tmp_path / "README.md").read_text()) is not targeted
