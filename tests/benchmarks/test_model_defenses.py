"""What randomised smoothing certifies of photographs.

    PRIEMO_FER2013=fer2013.csv pytest -m slow -n 0 -s tests/benchmarks/test_model_defenses.py

prints, for each noise, the share of faces that are classified correctly within an L2 radius (Cohen
et al. 2019, certified accuracy), 100 draws to choose and 1,000 to bound.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from priemo_bench import registry
from priemo_bench.data.sampling import sample
from priemo_bench.victims.defended.networks import ABSTAIN

FACES = 30
RADII = (0.0, 0.1, 0.25, 0.5, 0.75)
"""In pixels of [0, 1], over all 48x48."""


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [12, 25, 50])
def test_certified_accuracy(sigma: int) -> None:
    if "PRIEMO_FER2013" not in os.environ:
        pytest.skip("needs PRIEMO_FER2013")
    data = registry.get("datasets", "fer2013")(Path(os.environ["PRIEMO_FER2013"]), None)
    faces = sample(data.split("test"), FACES)
    found = registry.get("victims", f"resnet-smoothed-{sigma}")().certify(faces.images)
    right = found.labels == faces.labels
    shares = [float((right & (found.radii >= radius)).mean()) for radius in RADII]
    line = ", ".join(f"{r:g}: {100 * s:.0f} %" for r, s in zip(RADII, shares, strict=True))
    abstained = int((found.labels == ABSTAIN).sum())
    print(f"\nsigma .{sigma}, {FACES} faces: {line}; abstains on {abstained}")
    assert shares == sorted(shares, reverse=True)
    assert (found.radii[found.labels == ABSTAIN] == 0).all()
