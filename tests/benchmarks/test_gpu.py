"""One prepared script for a GPU: it agrees with the CPU, and how long a run and a training take.

    pytest -m slow -s -n 0 tests/benchmarks/test_gpu.py

prints its figures; keep them. About five minutes; without the default run, under one:
`-k "not default"`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import ByteImages, publish, to_float
from priemo_bench.contracts.predict import probabilities
from priemo_bench.contracts.victim import as_art, freeze
from priemo_bench.data.rendered import Rendered
from priemo_bench.quality.budget import Budget, match_budget_tensor
from priemo_bench.quality.structural import SSIMReference, blur, drops, ssim_means, unblur

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]
VICTIM = "resnet"
BUDGET = Budget(0.997, 8 / 255)


def clocked(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and its seconds once warm, all that it started on the GPU included."""
    call()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    found = call()
    torch.cuda.synchronize()
    return found, time.perf_counter() - begun


@pytest.fixture(scope="module")
def test_faces() -> FaceSet:
    faces = Rendered().split("test")
    return faces.take(np.arange(min(256, len(faces))))


@pytest.fixture(scope="module")
def images(test_faces: FaceSet) -> ByteImages:
    return test_faces.images


def victim(device: str) -> torch.nn.Module:
    return freeze(registry.get("victims", VICTIM)().to(device))


def change_of(x: ByteImages) -> torch.Tensor:
    """Perturbations in grey levels, such as those of a sign gradient."""
    return 8 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign()


def test_blurs_and_their_gradients_agree() -> None:
    x = torch.rand(16, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    y = (x + 0.01 * torch.randn(x.shape)).clamp(0, 1)
    for filtered in (blur, unblur):
        assert torch.allclose(filtered(x.cuda()).cpu(), filtered(x), atol=1e-5)
    gradients = []
    for device in ("cpu", "cuda"):
        changed = y.to(device).requires_grad_()
        drop = 1 - SSIMReference(x.to(device)).worst(changed)
        gradients.append(torch.autograd.grad(drop.sum(), changed)[0].cpu())
    assert torch.allclose(*gradients, rtol=1e-2, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ssim_agrees(images: ByteImages, dtype: torch.dtype) -> None:
    moved = (torch.from_numpy(images) + change_of(images).sign() * 2).clamp(0, 255)
    y = moved.to(torch.uint8).numpy()
    there, on_gpu = clocked(lambda: ssim_means(images, y, dtype=dtype, device="cuda"))
    here, on_cpu = clocked(lambda: ssim_means(images, y))
    n = len(images)
    print(f"\nSSIM, {dtype}: {1e3 * on_gpu / n:.3f} ms a pair; CPU, double {1e3 * on_cpu / n:.3f}")
    assert np.abs(np.array(there) - here).max() < 1e-6


@pytest.mark.parametrize("dither", [False, True])
@pytest.mark.parametrize("budget", [BUDGET, Budget(0.98, 16 / 255), Budget(45, None, "psnr")])
def test_landing_agrees(images: ByteImages, budget: Budget, dither: bool) -> None:
    x, change = torch.from_numpy(images), change_of(images) * 0.9
    x_there, change_there = x.cuda(), change.cuda()
    there, on_gpu = clocked(
        lambda: match_budget_tensor(x_there, change_there, budget, dither=dither)
    )
    here, on_cpu = clocked(lambda: match_budget_tensor(x, change, budget, dither=dither))
    assert there.device.type == "cuda"
    n = len(x)
    print(f"\nlanding, {budget}: {1e3 * on_gpu / n:.3f} ms an image; CPU {1e3 * on_cpu / n:.3f}")
    assert budget.holds(images, there.cpu().numpy()).all()
    assert (there.cpu() == here).float().mean() > 0.99
    if budget.measure == "ssim":
        used = [drops(x, y, torch.float64).amax(0) for y in (there.cpu(), here)]
        assert torch.allclose(*used, atol=0.01 * (1 - budget.floor))  # type: ignore[operator]


def test_landing_moves_no_image_to_the_host(
    images: ByteImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that crosses the bus in a search are the numbers of images that go on."""
    x, change = torch.from_numpy(images).cuda(), change_of(images).cuda()

    def refused(*args: object, **kwargs: object) -> None:
        raise AssertionError("an image went to the host")

    match_budget_tensor(x, change, BUDGET)  # the windows are there now
    for name in ("cpu", "numpy", "tolist"):
        monkeypatch.setattr(torch.Tensor, name, refused)
    match_budget_tensor(x, change, BUDGET)


def test_predictions_agree_up_to_ties(images: ByteImages) -> None:
    there, on_gpu = clocked(lambda: probabilities(victim("cuda"), images))
    here, on_cpu = clocked(lambda: probabilities(victim("cpu"), images))
    print(f"\n{VICTIM}, {len(images)} faces: {on_gpu:.3f} s; CPU {on_cpu:.3f}")
    assert np.abs(there - here).max() < 0.02
    highest = np.sort(here, 1)
    clear = highest[:, -1] - highest[:, -2] > 0.02
    assert clear.mean() > 0.9
    assert np.array_equal(there.argmax(1)[clear], here.argmax(1)[clear])


ATTACKS: dict[str, dict[str, Any]] = {
    "priemo-image": {"steps": 10, "restarts": 1},
    "priemo-class": {"steps": 5, "random_state": 0},
    "priemo-universal": {"steps": 5, "random_state": 0},
    "priemo-generator": {"steps": 2, "random_state": 0},
    "priemo-transfer": {"steps": 5, "random_state": 0},
    "pgd": {"eps": 4 / 255, "max_iter": 10},
    "ddn": {"eps": 8 / 255, "steps": 10},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_protect_as_many_faces_within_the_budget(name: str, test_faces: FaceSet) -> None:
    x, shares, spent = to_float(test_faces.images), {}, {}
    for device in ("cpu", "cuda"):
        model = victim(device)
        clean = probabilities(model, x).argmax(1)
        given = {**ATTACKS[name], **({"verbose": False} if name.startswith("priemo") else {})}
        attack = registry.get("attacks", name)(as_art(model, 3, x.shape[-1]), **given)
        begun = time.perf_counter()
        if hasattr(attack, "fit"):
            attack.fit(x, clean)
        protected = publish(attack.generate(x, clean))
        spent[device] = time.perf_counter() - begun
        if name.startswith("priemo"):
            assert BUDGET.holds(test_faces.images, protected).all()
        else:
            cap = Budget(None, ATTACKS[name]["eps"])
            assert cap.holds(test_faces.images, protected).all()
        shares[device] = float((probabilities(model, protected).argmax(1) != clean).mean())
    print(f"\n{name}: {spent['cuda']:.1f} s; CPU {spent['cpu']:.1f}; protected {shares}")
    assert abs(shares["cuda"] - shares["cpu"]) < 0.05


def test_an_epoch_of_training(tmp_path: Path) -> None:
    """On rendered faces only, so that no file is needed."""
    from priemo_bench.train.trainer import Training

    entry, source = registry.get("victims", VICTIM), Rendered()
    spec = entry.spec.model_copy(
        update={"repeats": {"rendered": 1}, "choice": "rendered", "epochs": 2, "more": (),
                "teaching": None}
    )  # fmt: skip
    sets, choices = ({"rendered": source.split(part)} for part in ("train", "choice"))
    training = Training(entry.initial, spec, sets, choices, tmp_path, "cuda")
    begun = time.perf_counter()
    training.run()
    faces, taken = len(sets["rendered"]), time.perf_counter() - begun
    print(f"\ntwo epochs of {faces} faces: {taken:.1f} s; {training.curve}")
    assert len(training.curve) == 2
    assert np.isfinite(training.curve[-1]["loss"])


def test_the_default_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "priemo_bench.cli", "run", "--device", "cuda", "--out"]
    begun = time.perf_counter()
    done = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True)
    print(f"\npriemo-bench run --device cuda: {time.perf_counter() - begun:.0f} s")
    print(torch.cuda.get_device_name(), torch.__version__)
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stderr[-3000:]
