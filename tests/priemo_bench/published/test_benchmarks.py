"""A benchmark's file says what the data and weights of today are, and what of a run departs."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from priemo_bench import load_dataset, registry
from priemo_bench.contracts.rows import Rows
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError
from priemo_bench.published.benchmarks import benchmark, names, of_run, pictures_digest
from priemo_bench.run.spec import load

NAME = "priemo-bench-rendered-v1"


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if "fer2013" in n else []) for n in names()],
)
def test_its_pictures_are_those_of_the_data_set(name: str) -> None:
    """Drawn and hashed here by other code than the runner's."""
    draw = benchmark(name).data
    data = os.environ.get("PRIEMO_FER2013")
    if draw.name == "fer2013" and data is None:
        pytest.skip("FER2013 is not here: set PRIEMO_FER2013")
    split = load_dataset(draw.name, data if draw.name == "fer2013" else None).split("test")
    faces = sample(split, draw.limit, draw.draw_seed)
    pixels = {
        str(name): sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:8]
        for name, image in zip(faces.ids, faces.images, strict=True)
    }
    assert len(pixels) == draw.limit
    assert faces.images.shape[1:] == draw.shape
    text = "\n".join(f"{k}\t{pixels[k]}" for k in sorted(pixels)) + "\n"
    assert sha256(text.encode()).hexdigest() == draw.pictures == pictures_digest(pixels)


@pytest.mark.parametrize("name", names())
def test_its_weights_are_those_of_the_cards(name: str) -> None:
    for victim, digest in benchmark(name).victims.items():
        entry = registry.get("victims", victim)
        try:
            card = getattr(entry, "card", None) or entry().card
        except PriemoError:  # a public one that is not installed
            continue
        assert card.sha256 == digest, victim


@pytest.mark.parametrize("name", names())
def test_its_command_makes_runs_of_it(name: str) -> None:
    """The bundled spec has its data, its victims, and no budget or defense of its own."""
    found = benchmark(name)
    word, spec_name, *options = found.run
    given = dict(zip(options[::2], options[1::2], strict=True))
    spec = load(spec_name, limit=int(given["--limit"]) if "--limit" in given else None)
    assert word == "run"
    assert (spec.datasets[0].name, spec.datasets[0].limit) == (found.data.name, found.data.limit)
    assert (spec.draw_seed, spec.victims) == (found.data.draw_seed, tuple(found.victims))
    assert {*spec.defenses} <= {*found.defenses}
    for budget, bounds in spec.budgets.items():
        assert budget == "conventional" or bounds == pytest.approx(found.bounds()[budget])


def test_a_run_of_it_is_recognised(run: Path) -> None:
    assert of_run(Rows.load(run / "results.parquet")).name == NAME


def test_the_published_page_is_of_its_benchmark() -> None:
    reports = Path(__file__).parents[3] / "reports"
    for name in names():
        rows = Rows.load(reports / benchmark(name).page / "results.parquet")
        known = all(own.get("pictures") for own in rows.facts["data"].values())
        assert not known or not benchmark(name).departures(rows), name


@pytest.mark.parametrize(
    ("fact", "value", "sentence"),
    [
        ("victims", {"vgg": {"sha256": "0" * 64}}, "other weights of victim vgg"),
        ("victims", {"own": {"sha256": "0" * 64}}, "a foreign victim own"),
        ("data", {"folder": {"pictures": {"a": "00000000"}}}, "its data are folder"),
        ("data", {"rendered": {"pictures": {"a": "00000000"}}}, "its 1 pictures are not the 105"),
        ("data", {"rendered": {}}, "did not write down what its pictures are"),
        ("budgets", {"equal": {"ssim_floor": 0.9, "psnr_floor": None, "eps": 8 / 255}},
         "equal allows SSIM 0.9 and 8 grey levels, not SSIM 0.997 and 8 grey levels"),
    ],
)  # fmt: skip
def test_what_departs_is_named(run: Path, fact: str, value: object, sentence: str) -> None:
    rows = Rows.load(run / "results.parquet")
    facts = dict(rows.facts)
    together = dict(facts.get(fact) or {})
    facts[fact] = {**together, **value} if fact == "victims" else value  # type: ignore[dict-item]
    with pytest.raises(PriemoError, match=sentence):
        of_run(Rows(rows.frame, facts))


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(PriemoError, match="did you mean priemo-bench-rendered-v1"):
        benchmark("priemo-bench-rendered-v2")
