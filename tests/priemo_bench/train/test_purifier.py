"""Training of the learned purifiers: losses, figures, resumption, and the command's files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.contracts.weights import load_weights
from priemo_bench.defenses.unet import UNet
from priemo_bench.errors import PriemoError
from priemo_bench.testing import toy_faces
from priemo_bench.train import minimise, purifier
from priemo_bench.train.minimise import Minimiser, rate_at
from priemo_bench.train.purifier import PurifierTraining, Recipe, faces_of, train_purifier

SMALL = replace(
    purifier.RECIPES["diffusion"], network=partial(UNet, 1, (8, 16), timed=True), epochs=2, batch=4
)


def toys(split: Split, n: int = 10, size: int = 48, channels: int = 1, seed: int = 0) -> FaceSet:
    images, labels = toy_faces(n, channels, size, seed)
    ids = np.array([f"{split}-{i}" for i in range(n)])
    return FaceSet("toys", split, np.rint(images * 255).astype(np.uint8), labels, ids, ids)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures on few faces."""
    monkeypatch.setattr(purifier, "FEW", 2)
    monkeypatch.setattr(purifier, "MANY", 3)


def start(folder: Path, recipe: Recipe = SMALL, seed: int = 0) -> PurifierTraining:
    faces = (toys("train", seed=seed).images, toys("choice", seed=1).images)
    return PurifierTraining("diffusion", recipe, *faces, folder)


def test_resumed_is_uninterrupted(tmp_path: Path) -> None:
    whole = start(tmp_path / "a")
    whole.run()
    torch.rand(7)  # what happens in between must not matter
    start(tmp_path / "b").run(epochs=1)
    resumed = start(tmp_path / "b")
    resumed.run()
    assert len(resumed.curve) == len(whole.curve) == 2
    files = [t.write(tmp_path / k).read_bytes() for k, t in (("a", whole), ("b", resumed))]
    assert files[0] == files[1]


def test_what_is_written_loads_and_is_described(tmp_path: Path) -> None:
    training = start(tmp_path / "checkpoints")
    training.run()
    path = training.write(tmp_path)
    facts = json.loads((tmp_path / "diffusion.json").read_text("utf-8"))
    assert facts["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert (facts["faces"], facts["epochs"]) == (10, 2)
    assert facts["psnr_25"] > facts["psnr_150"]
    net = SMALL.network()
    load_weights(net, path)
    wanted = training.average.module.state_dict()
    assert all(torch.allclose(v, wanted[k], atol=1e-3) for k, v in net.state_dict().items())
    assert (tmp_path / "diffusion.csv").read_text("utf-8").startswith("epoch,loss,seconds,loss_25")


@pytest.mark.parametrize("change", [{"seed": 1}, {"recipe": replace(SMALL, rate=0.5)}])
def test_a_checkpoint_of_another_training_is_refused(change: dict, tmp_path: Path) -> None:
    start(tmp_path).run(epochs=1)
    with pytest.raises(PriemoError, match="another recipe"):
        start(tmp_path, **change).run()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(PriemoError, match="remove it"):
        start(tmp_path).run()


def test_random_numbers_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    start(tmp_path).run(epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_losses_of_an_untrained_network_have_a_closed_form() -> None:
    """It finds no noise: all of it is error, 1 for unit noise."""
    torch.manual_seed(0)
    clean = torch.rand(400, 1, 16, 16)
    found = purifier._diffusion_loss(UNet(1, (8,), timed=True), clean)
    assert found.item() == pytest.approx(1, abs=0.02)
    found = purifier._denoising_loss(UNet(1, (8,), bias=False), clean)
    share = 1 - (4 / 16) * np.arctan(16 / 4)  # the mean of s^2 / (s^2 + 4^2) for s up to 16
    assert found.item() == pytest.approx(share, abs=0.05)


def test_noise_and_image_have_the_shares_of_the_schedule() -> None:
    torch.manual_seed(0)
    clean, noise = torch.rand(2, 1, 200, 200), torch.randn(2, 1, 200, 200)
    found = purifier._noisy(clean, torch.tensor([1, 150]), noise)
    kept = np.prod(1 - np.linspace(1e-4, 0.02, 1000)[:150])
    wanted = (2 * clean[1] - 1) * kept**0.5 + (1 - kept) ** 0.5 * noise[1]
    assert torch.allclose(found[1], wanted, atol=1e-5)
    assert float((found[0] - (2 * clean[0] - 1)).std()) == pytest.approx(0.01, rel=0.05)


def test_psnr_is_that_of_scikit_image() -> None:
    a, b = (np.random.default_rng(k).random((3, 1, 16, 16)) for k in (0, 1))
    wanted = [peak_signal_noise_ratio(x, y, data_range=1) for x, y in zip(a, b, strict=True)]
    found = purifier._psnr(torch.from_numpy(a), torch.from_numpy(b))
    assert found == pytest.approx(np.mean(wanted))


def test_large_faces_are_also_seen_at_their_own_scale() -> None:
    assert faces_of({"toys": toys("train", 3)}).shape == (3, 1, 48, 48)
    large = faces_of({"toys": toys("train", 3, size=96, channels=3)})
    assert large.shape == (15, 1, 48, 48)
    with pytest.raises(PriemoError, match="toys/test was given where toys/train was due"):
        faces_of({"toys": toys("test", 3)})


@dataclass
class Toys:
    """A data set of toy faces."""

    data: Path | None = None
    size: int | None = None

    def split(self, split: Split) -> FaceSet:
        return replace(toys(split), name="fer2013")


def test_the_command_s_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "get", lambda kind, name: Toys)
    small = replace(
        purifier.RECIPES["denoiser"], network=partial(UNet, 1, (8, 16), bias=False), epochs=1
    )
    monkeypatch.setattr(purifier, "RECIPES", {"denoiser": replace(small, batch=4)})
    path = train_purifier("denoiser", None, tmp_path, progress="quiet")
    assert path == tmp_path / "denoiser.safetensors"
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    files = {f"denoiser.{kind}" for kind in ("safetensors", "json", "csv")}
    assert names == files | {"checkpoints/denoiser/checkpoint.pt"}
    again = train_purifier("denoiser", None, tmp_path, progress="quiet")  # nothing left to do
    assert again.read_bytes() == path.read_bytes()


def test_wrong_names_and_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="did you mean denoiser"):
        train_purifier("denoizer", None, tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(PriemoError, match="cuda"):
            train_purifier("denoiser", None, tmp_path, device="cuda")


def test_the_schedule_rises_and_falls() -> None:
    rates = [rate_at(step, 100) for step in range(100)]
    assert np.argmax(rates) == 100 * minimise.WARMUP - 1
    assert rates[0] == pytest.approx(0.2)
    assert rates[-1] < 1e-3


def test_a_quadratic_is_minimised() -> None:
    torch.manual_seed(0)
    net, x = nn.Conv2d(2, 3, 3), torch.randn(16, 2, 8, 8)
    wanted = nn.Conv2d(2, 3, 3)(x).detach()
    minimiser, losses = Minimiser(net, 0.02, 200), []
    for step in range(200):
        loss = (net(x) - wanted).square().mean()
        losses.append(loss.item())
        minimiser.step(loss, step)
    assert losses[-1] < 1e-2 * losses[0]
