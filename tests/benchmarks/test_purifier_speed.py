"""What the learned purifiers cost, by `pytest -m slow -s -n 0`: in passes of `resnet`."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from priemo_bench import load_victim, registry
from priemo_bench.contracts.predict import probabilities

pytestmark = pytest.mark.slow
NAMES = [n for n in registry.names("defenses") if n.startswith(("denoiser", "diffusion"))]


def seconds(call: Callable[[], object]) -> float:
    """Of the processor, the least of three calls after one that loads what is needed."""
    call()
    taken = []
    for _ in range(3):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return min(taken)


@pytest.mark.parametrize("shape", [(1, 48, 48), (3, 112, 112)], ids=str)
def test_a_purified_image_costs_less_than_thirty_predictions(shape: tuple[int, int, int]) -> None:
    torch.set_num_threads(1)
    victim = load_victim("resnet")
    x = np.random.default_rng(0).integers(0, 256, (32, *shape)).astype(np.uint8)
    one_pass = seconds(lambda: probabilities(victim, x))
    print(f"\n{shape}: resnet {one_pass / len(x) * 1000:.1f} ms an image")
    for name in NAMES:
        defense = registry.get("defenses", name)
        ratio = seconds(lambda defense=defense: defense(x)) / one_pass
        print(f"{name}: {ratio:.1f} predictions")
        assert ratio < 30
