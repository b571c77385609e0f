"""What holds for every entry point, and what is said of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from priemo_bench import cli, registry
from priemo_bench.contracts.defense import HasDraws, described
from priemo_bench.contracts.filter_sets import SETS
from priemo_bench.errors import PriemoError
from priemo_bench.run.code import code_of, entry_code

NAMES = registry.names("defenses")
RANDOM = {
    "crop95", "crop90", "turn5", "noise8-median3", "noise8-blur",
    "diffusion-25", "diffusion-50", "diffusion-100", "diffusion-150",
}  # fmt: skip
DOCS = Path(__file__).parents[3] / "docs/defenses.md"


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, x: np.ndarray) -> None:
    defense = registry.get("defenses", name)
    x.setflags(write=False)
    before = x.copy()
    out = defense(x)
    assert np.array_equal(x, before)
    assert out.shape == x.shape
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1
    assert np.array_equal(out, defense(x))
    one_by_one = np.concatenate([defense(image[None]) for image in x])
    assert np.array_equal(out, one_by_one)


@pytest.mark.parametrize("name", NAMES)
def test_faces_of_any_shape_stay_recognisable(name: str, faces: np.ndarray) -> None:
    """No turned axes, no exchanged channels: it is still the nearest to its original."""
    out = registry.get("defenses", name)(faces)
    assert out.shape == faces.shape
    original = faces / 255
    for i, image in enumerate(out):
        others = [original[i][:, ::-1]]
        others += [original[i][::-1]] if faces.shape[1] == 3 else []
        others += [] if name in RANDOM else [original[i][:, :, ::-1]]
        away = np.abs(image - original[i]).mean()
        assert away < min(np.abs(image - other).mean() for other in others)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_flat_image_stays_flat(name: str, channels: int) -> None:
    """Also black and white ones, which have neither noise nor contrast to estimate."""
    levels = np.array([0, 51, 128, 255], np.uint8)[:, None, None, None]
    x = np.broadcast_to(levels, (4, channels, 24, 24)).copy()
    out = registry.get("defenses", name)(x)
    if name.startswith(("noise", "diffusion")):
        away = 10 if name in ("diffusion-100", "diffusion-150") else 5  # faces are not flat
        assert np.abs(out - x / 255).mean() < away / 255
        return
    assert np.ptp(out, axis=(1, 2, 3)).max() < (1.01 / 255 if name.startswith("webp") else 1e-6)
    wanted = (x / 255) ** float(name.removeprefix("gamma")) if "gamma" in name else x / 255
    coarse = {"bits3": 1 / 14, "bits4": 1 / 30, "bits5": 1 / 62, "bits6": 1 / 126}
    code = 2 / 255 if name.startswith(("jpeg", "webp", "upload", "screenshot")) else 1e-6
    assert np.abs(out - wanted).max() <= coarse.get(name, code) + 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_half_black_half_white(name: str) -> None:
    """An edge without diagonal detail, from which some filters estimate the noise."""
    x = np.zeros((1, 3, 24, 24), np.uint8)
    x[..., 12:] = 255
    out = registry.get("defenses", name)(x)
    assert np.isfinite(out).all()
    apart = 0.5 if name == "equalise" else 0.9  # the share of black pixels
    assert out[..., 16:].mean() - out[..., :8].mean() >= apart


@pytest.mark.parametrize("name", NAMES)
def test_floats_are_refused(name: str) -> None:
    with pytest.raises(PriemoError, match="uint8"):
        registry.get("defenses", name)(np.zeros((1, 1, 8, 8), np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_only_random_ones_have_draws(name: str, x: np.ndarray) -> None:
    defense = registry.get("defenses", name)
    assert isinstance(defense, HasDraws) == (name in RANDOM)
    if name in RANDOM:
        other = defense.draw(7)
        assert other.seed == 7
        assert other.draw(defense.seed) == defense
        assert not np.array_equal(other(x), defense(x))
        assert repr(other) != repr(defense)


def test_names_of_before_keep_their_repr() -> None:
    """It is part of the keys of stored predictions."""
    known = {
        "none": "Nothing()", "jpeg75": "Jpeg(quality=75)", "jpeg50": "Jpeg(quality=50)",
        "median3": "Median(window=3)", "bits4": "Bits(depth=4)", "blur": "Blur(sigma=0.8)",
    }  # fmt: skip
    assert {name: repr(registry.get("defenses", name)) for name in known} == known


def test_the_code_of_a_chain_is_that_of_its_parts() -> None:
    """Stored predictions are made anew where a part has changed."""
    for name, needs in {
        "upload": ("compression", "soft_coding", "resizing"),
        "noise8-blur": ("smoothing", "noise"),
        "crop90": ("resizing", "geometry"),
    }.items():
        for code in (entry_code("defenses", name), code_of(registry.get("defenses", name))):
            assert {f"priemo_bench.defenses.{need}" for need in needs} <= set(code.modules)
            assert "priemo_bench.defenses.squeezing" not in code.modules


def test_members_of_sets_are_entry_points() -> None:
    assert {name for names in SETS.values() for name in names} <= set(NAMES)


def test_every_one_is_described_and_a_point_of_a_curve() -> None:
    points = set()
    for name in NAMES:
        defense = registry.get("defenses", name)
        assert type(defense).__doc__.partition("\n")[0].endswith((".", "."))
        what, source = described(defense)
        assert len(what) > 5
        assert source
        point = (defense.family, defense.strength)
        assert point[1] is None or isinstance(point[1], float)
        points.add((*point, what))
    assert len(points) == len(NAMES)


def test_a_stranger_s_defense_is_described_by_its_docstring() -> None:
    @dataclass(frozen=True)
    class Mirror:
        """Left and right exchanged.

        More.
        """

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return x

    def plain(x: np.ndarray) -> np.ndarray:
        return x

    assert described(Mirror()) == ("Left and right exchanged.", __name__)
    assert described(plain) == ("plain", __name__)


def test_list_says_what_each_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["priemo-bench", "list", "defenses"])
    with pytest.raises(SystemExit):
        cli.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    (jpeg,) = (line for line in lines if line.startswith("jpeg75 "))
    assert "quality 75" in jpeg
    assert "arXiv:1608.00853" in jpeg


def test_the_page_on_defenses_names_every_one() -> None:
    words = DOCS.read_text("utf-8")
    assert [name for name in NAMES if f"`{name}`" not in words] == []
