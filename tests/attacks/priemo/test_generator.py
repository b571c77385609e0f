"""The generator: a perturbation for each image, in one forward pass, without the victim."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.priemo import PriEMO
from priemo_bench.attacks.priemo.generator import Generator, GeneratorPriEMO
from priemo_bench.contracts.image import publish
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget
from priemo_bench.run.profiling import PassCounter

SIDE = 16


def faces(n: int, seed: int) -> np.ndarray:
    """The dark half of them brighter on the left by four grey levels, the bright half on the right:
    opposite changes are needed.
    """
    rng = np.random.default_rng(seed)
    x = np.repeat([0.3, 0.7], n // 2)[:, None, None, None]
    x = x + rng.uniform(-0.01, 0.01, (n, 1, SIDE, SIDE))
    x[: n // 2, ..., : SIDE // 2] += 2 / 255
    x[: n // 2, ..., SIDE // 2 :] -= 2 / 255
    x[n // 2 :, ..., : SIDE // 2] -= 2 / 255
    x[n // 2 :, ..., SIDE // 2 :] += 2 / 255
    return x.astype(np.float32)


@pytest.fixture(scope="module")
def fitted(halves: PyTorchClassifier) -> PriEMO:
    attack = PriEMO(
        halves, "generator", ssim_floor=None, eps=6 / 255, steps=12, batch_size=32,
        random_state=0, verbose=False,
    )  # fmt: skip
    return attack.fit(faces(128, 1))


def test_faces_that_need_opposite_changes_get_them(
    halves: PyTorchClassifier, fitted: PriEMO
) -> None:
    """No one perturbation can turn more than half of these; held-out faces."""
    x = faces(64, 2)
    clean = halves.predict(x).argmax(1)
    turned = halves.predict(fitted.apply(x)).argmax(1) != clean
    assert turned.mean() > 0.9
    one = PriEMO(
        halves, "universal", ssim_floor=None, eps=6 / 255, random_state=0, verbose=False
    ).fit(faces(128, 1))
    assert (halves.predict(one.apply(x)).argmax(1) != clean).mean() <= 0.55


def test_bfloat16_is_for_training_only(halves: PyTorchClassifier, tmp_path: Path) -> None:
    """Another width, too, and a saved one is the same."""
    attack = PriEMO(
        halves, "generator", ssim_floor=None, eps=6 / 255, steps=12, batch_size=32, width=16,
        bfloat16=True, random_state=0, verbose=False,
    ).fit(faces(128, 1))  # fmt: skip
    assert isinstance(attack, GeneratorPriEMO)
    net, x = attack._net, faces(64, 2)
    assert net is not None
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert net.enter.out_channels == 16
    images = torch.from_numpy(x)
    exact = deepcopy(net).double()(images.double())
    assert torch.allclose(net(images), exact.float(), atol=1e-4)
    rounded = deepcopy(net).train()(images)
    assert not torch.allclose(rounded, exact.float(), atol=1e-4)
    assert torch.allclose(rounded, exact.float(), atol=0.2)
    clean = halves.predict(x).argmax(1)
    assert (halves.predict(attack.apply(x)).argmax(1) != clean).mean() > 0.9
    attack.save(tmp_path / "g.safetensors")
    again = PriEMO.load(tmp_path / "g.safetensors")
    np.testing.assert_array_equal(again.apply(x), attack.apply(x))


def test_apply_needs_no_victim(halves: PyTorchClassifier, fitted: PriEMO) -> None:
    with PassCounter([halves.model]) as passes:
        fitted.apply(faces(8, 3))
    assert passes.forwards == passes.backwards == 0


@pytest.mark.parametrize("side", [11, 16, 37, 64])
def test_any_size_keeps_the_budget(halves: Any, side: int) -> None:
    attack = PriEMO(
        halves, "generator", ssim_floor=0.98, steps=1, random_state=0, verbose=False
    ).fit(faces(16, 1))
    x = np.random.default_rng(0).random((2, 1, side, side), np.float32)
    x = publish(x).astype(np.float32) / np.float32(255)
    out = attack.apply(x)
    assert out.shape == x.shape
    assert Budget(0.98, 8 / 255).holds(publish(x), publish(out)).all()
    assert not np.array_equal(out, x)
    with pytest.raises(PriemoError, match="the perturbation is for"):
        attack.apply(np.repeat(x, 3, axis=1))


@pytest.mark.parametrize("channels", [1, 3])
def test_outputs_have_the_norm_of_the_budget(channels: int) -> None:
    torch.manual_seed(0)
    x = torch.rand(3, channels, 20, 28)
    u = Generator(channels, (20, 28), bounded=False)(x)
    assert u.shape == x.shape
    assert torch.allclose(u.square().mean((1, 2, 3)), torch.ones(3), atol=1e-4)
    assert Generator(channels, (20, 28), bounded=True)(x).abs().max() <= 1


def test_an_image_does_not_depend_on_its_batch(fitted: PriEMO) -> None:
    x = faces(6, 4)
    alone = np.concatenate([fitted.apply(x[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(fitted.apply(x), alone, atol=1e-5)
