"""What the published perturbations do, against what their list says they do.

    PRIEMO_FER2013=fer2013.csv pytest -m slow -s -n 0 tests/benchmarks/test_published.py

prints the rates on the 200 PublicTest faces of priemo-bench-fer2013-v1.
"""

from __future__ import annotations

import os
import re

import pytest

from priemo_bench import load_dataset, load_perturbation, load_victim
from priemo_bench.contracts.image import publish, to_float
from priemo_bench.contracts.predict import predict
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError
from priemo_bench.published.perturbations import perturbations

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", perturbations())
def test_it_protects_as_the_list_says(name: str) -> None:
    data = os.environ.get("PRIEMO_FER2013")
    if data is None:
        pytest.skip("FER2013 is not here: set PRIEMO_FER2013")
    faces = sample(load_dataset("fer2013", data).split("test"), 200, 0)
    published = publish(load_perturbation(name).apply(to_float(faces.images)))
    for victim, said in re.findall(r"([a-z-]+) ([\d.]+)", perturbations()[name].protects):
        if victim == "of":
            continue
        try:
            model = load_victim(victim)
        except PriemoError as error:
            pytest.skip(str(error))
        counts = predict(model, faces.images) == faces.labels
        rate = 100 * (predict(model, published) != faces.labels)[counts].mean()
        print(f"{name}, {victim}: {rate:.1f} % of {counts.sum()}, the list says {said}")
        assert rate == pytest.approx(float(said), abs=0.06)
