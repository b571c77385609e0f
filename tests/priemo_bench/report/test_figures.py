"""What figures show of a table, that nothing lies over another, and the files they become."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from priemo_bench.report import figures
from priemo_bench.report.figures import FIGURES, draw_all
from priemo_bench.report.palette import (
    MARKERS,
    METHODS,
    SHADES,
    SHAPES,
    colour,
    family_of,
    marker,
    shape,
)
from priemo_bench.report.plots.curve import curve
from priemo_bench.report.plots.filters import CLEAN, filters
from priemo_bench.report.plots.labels import spread
from priemo_bench.report.plots.matrices import defenses, short_name, transfer
from priemo_bench.report.plots.methods import forest, named, quality, speed
from priemo_bench.report.plots.style import files_of, stamp_of, styled

NAN = float("nan")
RATES = {"protection_rate": 0.5, "protection_low": 0.25, "protection_high": 0.75}


def _method(**changes: Any) -> dict[str, Any]:
    return {
        "dataset": "d", "budget": "equal", "measure": "equal", "attack": "x", "scope": "image",
        "scale": "-", "targeted": False, "untouched": 0.0, "family": "per-image", "rank": 1,
        "threat": "white-box", "ssim_drop": 0.003, "ms_per_image": 10.0, "ssim_floor": 0.997,
        "psnr_floor": NAN, "target": "-", "area": 0.5, **RATES, **changes,
    }  # fmt: skip


def _drawn(draw: Any, lines: list[dict[str, Any]], **options: Any) -> Any:
    with styled():
        return draw(pd.DataFrame(lines), figure=Figure(), **options)


def _texts_apart(figure: Figure) -> None:
    """No text of a figure overlaps another, or leaves it."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    boxes = {}
    for axis in figure.axes:
        ticks = [
            tick.label1
            for side, (low, high) in ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim()))
            for tick in side.get_major_ticks()
            if min(low, high) <= tick.get_loc() <= max(low, high)
        ]
        own = [*axis.texts, *ticks, axis._left_title, axis.xaxis.label, axis.yaxis.label]
        boxes |= {
            (id(text), text.get_text()): text.get_window_extent().padded(-1)
            for text in own
            if text.get_text() and text.get_visible()
        }
    assert boxes
    for (a, box), (b, other) in combinations(boxes.items(), 2):
        assert not box.overlaps(other), f"{a[1]!r} and {b[1]!r} overlap"
    whole = figure.bbox
    for (_, text), box in boxes.items():
        assert box.x0 >= whole.x0, text
        assert box.x1 <= whole.x1, text
        assert box.y0 >= whole.y0, text
        assert box.y1 <= whole.y1, text


MANY = [
    _method(
        attack=f"{name}-{k}", family=family, protection_rate=rate, protection_low=rate / 2,
        protection_high=(1 + rate) / 2, ms_per_image=10.0 ** (k % 3), ssim_drop=0.001 * (k + 1),
    )
    for name, family in (("priemo-image", "per-image"), ("another", "universal"))
    for k, rate in enumerate([0.97, 0.97, 0.968, 0.5, 0.1, 0.0, 0.0, 0.99, 0.98, 0.96])
]  # fmt: skip
GRID = [
    _method(attack=attack, surrogate=f"model-{s}", victim=f"model-{v}", defense=f"filter-{v}")
    for attack in ("one", "two")
    for s in range(12)
    for v in range(12)
]  # fmt: skip


@pytest.mark.parametrize(
    ("draw", "lines"),
    [
        (forest, MANY), (forest, [*MANY, *({**m, "budget": "equal-0.98"} for m in MANY)]),
        (quality, MANY), (speed, [*MANY, *({**m, "budget": "equal-0.98"} for m in MANY)]),
        (transfer, GRID),
        (defenses, [{**line, "attack": line["surrogate"]} for line in GRID[:144]]),
        (curve, [{**m, "ssim_floor": f, "budget": str(f)} for m in MANY for f in (0.997, 0.95)]),
    ],
    ids=["forest", "forest of two floors", "quality", "speed", "transfer", "defenses", "curve"],
)  # fmt: skip
def test_nothing_is_written_over_another(draw: Any, lines: list[dict[str, Any]]) -> None:
    axes = np.atleast_1d(_drawn(draw, lines))
    _texts_apart(axes[0].figure)


def test_names_are_spread_no_more_than_they_need() -> None:
    found = spread([0.9, 0.1, 0.1, 0.12, 1.0], 0.05)
    gaps = np.diff(np.sort(found))
    assert gaps.min() >= 0.05 - 1e-12
    assert found[0] == pytest.approx(0.9)
    assert np.mean(found[1:4]) == pytest.approx(np.mean([0.1, 0.1, 0.12]))
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_band_has_the_colour_of_its_curve() -> None:
    attacks = ["sga", "pgd", "noise", "mine"]
    lines = [
        _method(
            attack=attack, ssim_floor=floor, protection_rate=k / 10 + 0.1, family=family_of(attack)
        )
        for k, attack in enumerate(attacks)
        for floor in (0.95, 0.997)
    ]  # fmt: skip
    axis = _drawn(curve, lines)
    bands = [to_rgb(band.get_facecolor()[0]) for band in axis.collections]
    drawn = [line for line in axis.lines if len(line.get_xdata()) == 2]
    assert bands == [to_rgb(line.get_color()) for line in drawn]
    for k, (attack, line) in enumerate(zip(attacks, drawn, strict=True)):
        assert to_hex(line.get_color()) == colour(attack, family_of(attack))
        assert np.allclose(line.get_ydata(), k / 10 + 0.1)
    assert np.allclose(drawn[0].get_xdata(), [0.003, 0.05])
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0.997", "0.95"]


def test_a_point_stands_where_its_row_says() -> None:
    lines = [
        _method(attack="pgd", protection_rate=0.5, ssim_drop=0.0),
        _method(attack="fgsm", protection_rate=NAN),
        _method(attack="noise", family="control", protection_rate=0.2, ssim_drop=0.01),
    ]
    axis = _drawn(quality, lines)
    points = {
        to_hex(line.get_color()): (line.get_xdata()[0], line.get_ydata()[0])
        for line in axis.lines
        if len(line.get_xdata()) == 1 and line.get_transform() == axis.transData
    }
    assert points == {colour("pgd"): (1e-5, 0.5), colour("noise"): (0.01, 0.2)}


def test_intervals_stand_in_the_order_of_the_rates() -> None:
    lines = [
        _method(attack="low", protection_rate=0.1, protection_low=0.05, protection_high=0.2),
        _method(attack="high", protection_rate=0.9, rank=NAN),
        _method(attack="low", protection_rate=0.95, budget="equal-0.98", ssim_floor=0.98),
    ]
    axis = _drawn(forest, lines)
    assert [text.get_text() for text in axis.get_yticklabels()] == ["low", "high"]
    spans = [line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2]
    assert [0.05, 0.2] in [list(span) for span in spans]
    faces = {
        float(line.get_xdata()[0]): line.get_markerfacecolor()
        for line in axis.lines
        if len(line.get_xdata()) == 1
    }
    assert faces[0.9] == "white"  # not ranked
    assert faces[0.1] != "white"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "SSIM 0.997",
        "SSIM 0.98",
    ]


def test_methods_are_named_by_what_tells_them_apart() -> None:
    table = pd.DataFrame(
        [
            _method(attack="a", scale="one"), _method(attack="a", scale="per image"),
            _method(attack="b"), _method(attack="b", threat="transfer"), _method(attack="c"),
        ]
    )  # fmt: skip
    assert named(table)["name"].tolist() == [
        "a, one strength", "a, scaled per image", "b, white-box", "b, transfer", "c",
    ]  # fmt: skip


def test_many_surrogates_are_named_by_those_they_leave_out() -> None:
    folds = ["b+c+d+e", "a+c+d+e", "a+b+c+d+e", "a", "a+b+c"]
    assert [short_name(fold, folds) for fold in folds] == [
        "all but a", "all but b", "all 5", "a", "a+b+c",
    ]  # fmt: skip
    assert short_name("a+b+c+d", ["a+b+c+d", "e+f+g+h"]) == "a+b+c+d"


def test_surrogates_and_victims_stand_in_one_order() -> None:
    lines = [
        _method(attack=attack, surrogate=surrogate, victim=victim, protection_rate=p)
        for attack, surrogate, victim, p in [
            ("x", "b", "w", 0.1), ("x", "b", "a", 0.2), ("x", "b", "b", 0.3), ("x", "a", "a", 0.4),
            ("x", "a", "b", 0.5), ("y", "a", "w", NAN), ("y", "b", "b", 0.6),
        ]
    ]  # fmt: skip
    axes = _drawn(transfer, lines)
    assert [axis.get_title("left") for axis in axes] == ["x", "y"]
    for axis in axes:
        assert [text.get_text() for text in axis.get_xticklabels()] == ["b", "a", "w"]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["b", "a"]
    assert [text.get_text() for text in axes[0].texts] == ["30", "20", "10", "50", "40"]
    assert [text.get_text() for text in axes[1].texts] == ["60"]
    bar = axes[0].figure.axes[-1]
    assert bar.get_ylabel() == "protection %"


def test_a_panel_for_each_family_of_filters() -> None:
    lines = [
        _method(attack=attack, kind=kind, x=x, protection_rate=p, clean_accuracy=0.9)
        for attack, rates in {"x": (0.9, 0.2, 0.5, 0.1), "y": (0.4, 0.3, 0.2, 0.1)}.items()
        for (kind, x), p in zip(
            (("blur", 2), ("blur", 0.5), ("bits", 4), ("bits", 5)), rates, strict=True
        )
    ]
    axes = _drawn(filters, lines)
    assert [axis.get_title("left") for axis in axes] == ["blur", "bits"]
    drawn = {str(line.get_label()): line.get_xydata().tolist() for line in axes[0].lines}
    assert drawn == {
        "x": [[0.5, 0.2], [2, 0.9]], "y": [[0.5, 0.3], [2, 0.4]], CLEAN: [[0.5, 0.9], [2, 0.9]],
    }  # fmt: skip


def _tables(facts: dict[str, Any] | None = None, **tables: list[dict[str, Any]]) -> Any:
    """Stands in for `Tables`."""
    own = {name: (lambda lines=lines: pd.DataFrame(lines)) for name, lines in tables.items()}
    rows = SimpleNamespace(facts=facts or {}, further_metrics=[])
    return SimpleNamespace(rows=rows, **own)


def test_figures_show_the_first_floor_and_no_targeted_row() -> None:
    lines = [
        _method(), _method(targeted=True, attack="t"), _method(budget="equal-0.98"),
        _method(budget="conventional", attack="c"), _method(dataset="e", attack="e"),
        _method(scale="one", untouched=1.0, attack="zero"),
        _method(protection_rate=NAN, attack="n"),
    ]  # fmt: skip
    tables = _tables(methods=lines)
    assert figures.speed_lines(tables, "d").empty  # too few for a scatter plot
    more = [_method(attack=a, budget=b) for a in "yz" for b in ("equal", "conventional")]
    tables = _tables(methods=[*lines, *more])
    assert figures.speed_lines(tables, "d")["budget"].tolist() == [
        "equal", "equal-0.98", "equal", "equal",
    ]  # fmt: skip
    assert figures.quality_lines(tables, "d")["attack"].tolist() == ["c", "y", "z"]
    shown = figures.leaderboard_lines(tables, "d")
    assert shown["budget"].tolist() == ["equal", "equal-0.98", "equal", "equal"]


def test_no_figure_of_nothing_known() -> None:
    line = _method(protection_rate=NAN, surrogate="a", victim="v", defense="blur")
    tables = _tables(transfer=[line, {**line, "surrogate": "b"}], defended_methods=[line],
                     methods=[line])  # fmt: skip
    for own in FIGURES:
        if own.name != "curve":
            assert not len(own.lines(tables, "d")), own.name


def test_filters_that_name_no_strength_have_no_curve() -> None:
    facts = {
        "defenses": {
            "none": {"family": None, "strength": None},
            "soft": {"family": "blur", "strength": 0.5}, "hard": {"family": "blur", "strength": 2},
            "bits4": {"family": "bit depth", "strength": 4},
        }
    }  # fmt: skip
    lines = [_method(defense=name, clean_accuracy=0.9) for name in facts["defenses"]]
    shown = figures.filter_lines(_tables(facts, defended_methods=lines), "d")
    assert shown["defense"].tolist() == ["soft", "hard"]
    assert figures.filter_lines(_tables({}, defended_methods=lines), "d").empty


def test_the_look_of_other_figures_stays() -> None:
    before = dict(mpl.rcParams)
    with styled():
        assert dict(mpl.rcParams) != before
    assert dict(mpl.rcParams) == before


def test_a_figure_made_again_is_the_same_bytes_and_is_not_drawn_twice(tmp_path: Path) -> None:
    lines = pd.DataFrame([_method(), _method(attack="$y$", protection_rate=0.25)])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        draw_all([(forest, lines, tmp_path / folder / "f")])
    first, second = files_of(tmp_path / "a" / "f"), files_of(tmp_path / "b" / "f")
    assert {ending: own.read_bytes() for ending, own in first.items()} == {
        ending: own.read_bytes() for ending, own in second.items()
    }
    assert pd.read_csv(first["csv"])["protection_rate"].tolist() == [0.5, 0.25]

    with Image.open(first["png"]) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        colours = {c for _, c in picture.convert("RGB").getcolors(1 << 20) or []}
    for wanted in (
        (255, 255, 255),
        tuple(round(255 * c) for c in to_rgb(colour("x", "per-image"))),
    ):
        assert min(max(abs(np.subtract(wanted, c))) for c in colours) <= 9, wanted

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("drawn again")

    refuse.__name__ = forest.__name__
    draw_all([(refuse, lines, tmp_path / "a" / "f")])
    first["svg"].unlink()
    assert stamp_of(tmp_path / "a" / "f") == ""
    with pytest.raises(AssertionError, match="drawn again"):
        draw_all([(refuse, lines, tmp_path / "a" / "f")])


def test_a_method_has_one_colour_and_marker_of_its_own_family() -> None:
    assert len(MARKERS) == len(SHAPES)
    for family, names in METHODS.items():
        looks = {(colour(name), marker(name)) for name in names}
        assert len(looks) == len(names)
        assert {colour(name) for name in names} <= set(SHADES[family])
        assert all(SHAPES.index(shape(name)) == MARKERS.index(marker(name)) for name in names)
    assert colour("mine", "universal") in SHADES["universal"]
    assert colour("mine") == colour("mine", "of nobody")


def test_the_palette_has_every_attack_that_comes_with_the_project() -> None:
    from importlib.metadata import entry_points

    points = entry_points(group="priemo_bench.attacks")
    ours = {p.name for p in points if p.value.startswith("priemo_bench.attacks")}
    assert ours <= {name for names in METHODS.values() for name in names}


def test_colours_of_families_are_told_apart_by_the_colour_blind() -> None:
    """Simulated by Viénot, Brettel & Mollon 1999, protanopia and deuteranopia, in linear RGB."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714],
                       [0.0299566, 0.184309, 1.46709]])  # fmt: skip
    protan = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    deutan = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    first = {family: np.array(to_rgb(shades[0])) ** 2.2 for family, shades in SHADES.items()}
    for lost in (protan, deutan):
        seen = {
            f: (np.linalg.inv(to_lms) @ lost @ to_lms @ own).clip(0, 1) ** (1 / 2.2)
            for f, own in first.items()
        }
        for a, b in combinations(seen, 2):
            assert np.abs(seen[a] - seen[b]).max() > 0.1, (a, b)


def test_the_palette_imports_nothing_heavy() -> None:
    code = "import sys, priemo_bench.report.palette; print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "False"
