"""Training the learned purifiers among the defenses: `priemo-bench train-purifier`."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.storage import storage_errors, write_file, write_text
from priemo_bench.defenses import diffusion, residual
from priemo_bench.defenses.learned import SIDE
from priemo_bench.defenses.unet import UNet
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, Progress
from priemo_bench.progress import progress as show
from priemo_bench.registry import unknown
from priemo_bench.train.minimise import Minimiser
from priemo_bench.train.pool import as_input
from priemo_bench.train.trainer import CHECKPOINT, exported

OUT = Path("runs/purifiers")
DECAY = 0.998
"""Of the averaged weights, per step."""
FEW, MANY = 100, 500
"""Faces of the choice split that are measured after an epoch, and at the end."""
SIGMAS = (4, 8, 16)
"""Of the noise that the denoiser is measured on, in levels of 255."""
TIMES = (25, 50, 100, 150)
"""Steps of the diffusion that it is measured at."""
Figures = dict[str, float]


@dataclass(frozen=True)
class Recipe:
    """All that the weights of a purifier depend on besides the faces.

    Attributes:
        network: makes it untrained.
        loss: of a network and clean faces (n, 1, SIDE, SIDE) in [0, 1]: the scalar to minimise.
        measure: figures of a network on held-out faces.
        data: names of the data sets it is trained on.
        epochs, batch, rate, seed: of the training; `rate` is the peak learning rate.
    """

    network: Callable[[], UNet]
    loss: Callable[[UNet, Tensor], Tensor]
    measure: Callable[[nn.Module, Tensor], Figures]
    data: tuple[str, ...]
    epochs: int
    batch: int = 32
    rate: float = 1e-3
    seed: int = 0

    def key(self, faces: ByteImages) -> str:
        """A hash of recipe and faces, which a checkpoint must have been made with."""
        shapes = {k: tuple(v.shape) for k, v in self.network().state_dict().items()}
        numbers = (self.data, self.epochs, self.batch, self.rate, self.seed)
        return sha256(repr((shapes, numbers, faces.shape)).encode() + faces.tobytes()).hexdigest()


def _denoising_loss(net: UNet, clean: Tensor) -> Tensor:
    """Mean squared error over its expected size: every strength of noise counts alike."""
    sigma = torch.rand(len(clean), 1, 1, 1, device=clean.device) * residual.LARGEST_SIGMA
    noisy = clean + sigma * torch.randn_like(clean)
    error = (residual.denoised(net, noisy) - clean).square()
    loss: Tensor = (error / (sigma.square() + (4 / 255) ** 2)).mean()
    return loss


def _diffusion_loss(net: UNet, clean: Tensor) -> Tensor:
    """Mean squared error of the noise, at a random step (Ho, Jain & Abbeel 2020, eq. 14)."""
    step = torch.randint(1, diffusion.LAST + 1, (len(clean),), device=clean.device)
    noise = torch.randn_like(clean)
    found: Tensor = net(_noisy(clean, step, noise), step.to(clean.dtype))
    return (found - noise).square().mean()


def _noisy(clean: Tensor, step: Tensor, noise: Tensor) -> Tensor:
    """Faces in [0, 1] after so many steps (n,) of the diffusion, from -1 to 1."""
    table = torch.tensor([diffusion.kept_after(k) for k in range(diffusion.LAST + 1)])
    kept = table.to(clean)[step].view(-1, 1, 1, 1)
    return kept.sqrt() * (2 * clean - 1) + (1 - kept).sqrt() * noise


def _psnr(a: Tensor, b: Tensor) -> float:
    """In dB, the mean over images in [0, 1]."""
    errors = (a.clamp(0, 1) - b).square().flatten(1).mean(1)
    return float(-10 * errors.log10().mean())


def _draw(clean: Tensor) -> Tensor:
    """Noise that is the same for the same faces."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(clean.shape, generator=generator).to(clean.device)


@torch.no_grad()
def _denoised_figures(net: nn.Module, clean: Tensor) -> Figures:
    """PSNR of noisy faces, rounded to 8 bits, and of what the denoiser makes of them."""
    found = {}
    for sigma in SIGMAS:
        noisy = ((clean * 255 + sigma * _draw(clean)).round().clamp(0, 255)) / 255
        restored = torch.cat([residual.denoised(net, part) for part in torch.split(noisy, 50)])
        found[f"psnr_noisy_{sigma}"] = _psnr(noisy, clean)
        found[f"psnr_{sigma}"] = _psnr(restored, clean)
    return found


@torch.no_grad()
def _diffused_figures(net: nn.Module, clean: Tensor) -> Figures:
    """Error of the noise, and PSNR of purified faces with five passes, at each of TIMES."""
    found, noise = {}, _draw(clean)
    for t in TIMES:
        losses, restored = [], []
        for part, drawn in zip(torch.split(clean, 50), torch.split(noise, 50), strict=True):
            step = torch.full((len(part),), t, device=part.device)
            guess = net(_noisy(part, step, drawn), step.to(part.dtype))
            losses.append(float((guess - drawn).square().mean()))
            restored.append(diffusion.purified(net, part, drawn, t, 5))
        found[f"loss_{t}"] = float(np.mean(losses))
        found[f"psnr_{t}"] = _psnr(torch.cat(restored), clean)
    return found


RECIPES: Mapping[str, Recipe] = {
    "denoiser": Recipe(
        residual.network, _denoising_loss, _denoised_figures, ("fer2013", "rendered"), epochs=1
    ),
    "diffusion": Recipe(
        diffusion.network, _diffusion_loss, _diffused_figures, ("fer2013",), epochs=2
    ),
}


def train_purifier(
    name: str,
    data: Path | None,
    out: Path | None = None,
    device: str = "cpu",
    progress: Mode = "auto",
) -> Path:
    """Train a purifier by its recipe, or resume an interrupted training.

    Writes under `out`: NAME.safetensors (float16), NAME.json (what it was trained on, for how long,
    and figures of the stored weights on the choice split of FER2013), NAME.csv (its curve), and
    checkpoints/NAME/ after each epoch.

    Args:
        name: "denoiser" or "diffusion".
        data: the user's copy of FER2013.
        out: OUT by default.
        progress: on standard error: "auto", "bars", "lines", "json" or "quiet".

    Returns:
        The weight file.

    Raises:
        PriemoError: unknown purifier or device, or data that cannot be read.
    """
    if name not in RECIPES:
        raise unknown("purifiers", name, RECIPES)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise PriemoError(f"device {device!r} is not available here; use cpu")
    recipe, out = RECIPES[name], OUT if out is None else out
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with show(progress) as shown:
        shown.say(f"{name}: opening {' and '.join(recipe.data)}")
        sources = {
            key: registry.get("datasets", key)(data if key == "fer2013" else None, None)
            for key in recipe.data
        }
        sets = {key: source.split("train") for key, source in sources.items()}
        held_out = faces_of({"fer2013": sources["fer2013"].split("choice")}, "choice")
        folder = out / "checkpoints" / name
        training = PurifierTraining(name, recipe, faces_of(sets), held_out, folder, device, shown)
        training.run()
        path = training.write(out)
        shown.say(f"{name}: {path} with SHA-256 {sha256(path.read_bytes()).hexdigest()}")
    return path


def faces_of(sets: Mapping[str, FaceSet], split: Split = "train") -> ByteImages:
    """(n, 1, SIDE, SIDE) uint8: the luma of every face, and the quarters of those twice as large.

    Raises:
        PriemoError: a set is of another split.
    """
    parts = []
    for name, faces in sets.items():
        if faces.split != split:
            raise PriemoError(f"{name}/{faces.split} was given where {name}/{split} was due")
        parts.append(as_input(faces.images, SIDE, 1))
        if min(faces.images.shape[-2:]) >= 2 * SIDE:
            large = as_input(faces.images, 2 * SIDE, 1)
            parts += [large[:, :, i : i + SIDE, j : j + SIDE] for i in (0, SIDE) for j in (0, SIDE)]
    return np.concatenate(parts)


@dataclass
class PurifierTraining:
    """One training, started or continued in `folder`.

    Attributes:
        faces, held_out: (n, 1, SIDE, SIDE) uint8, to learn from and to measure on.
        folder: of the checkpoint.
        shown: is told of each epoch and batch; nothing is shown by default.
    """

    name: str
    recipe: Recipe
    faces: ByteImages
    held_out: ByteImages
    folder: Path
    device: str = "cpu"
    shown: Progress = field(default_factory=Progress)

    def run(self, epochs: int | None = None) -> None:
        """Train to the end, or to epoch `epochs`."""
        with torch.random.fork_rng(devices=[]):
            self._set_up()
            last = min(self.recipe.epochs, epochs or self.recipe.epochs)
            self.shown.run(max(0, last - len(self.curve)))
            for epoch in range(len(self.curve), last):
                torch.manual_seed(1000 * self.recipe.seed + epoch + 1)
                self._epoch(epoch)

    def write(self, out: Path) -> Path:
        """Write weights, curve and facts under `out`; returns the weight file."""
        weights = save(exported(self.average.module))
        net = self.recipe.network()
        net.load_state_dict(load(weights))  # float16, so that the stored weights are measured
        facts = {
            "name": self.name,
            "sha256": sha256(weights).hexdigest(),
            "data": self.recipe.data,
            "faces": len(self.faces),
            "epochs": len(self.curve),
            "seconds": round(sum(row["seconds"] for row in self.curve)),
            "device": self.device,
            "torch": torch.__version__,
            "n": min(MANY, len(self.held_out)),
            **{k: round(v, 4) for k, v in self._measured(net.to(self.device), MANY).items()},
        }
        path = out / f"{self.name}.safetensors"
        write_file(path, lambda file: file.write(weights))
        write_text(out / f"{self.name}.json", json.dumps(facts, indent=1) + "\n")
        write_text(out / f"{self.name}.csv", self._table())
        return path

    def _set_up(self) -> None:
        torch.manual_seed(1000 * self.recipe.seed)
        self.pool = torch.from_numpy(self.faces)
        self.net = self.recipe.network().to(self.device)
        averaging = get_ema_multi_avg_fn(DECAY)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.net, multi_avg_fn=averaging)
        self.per_epoch = len(self.pool) // self.recipe.batch
        steps = self.recipe.epochs * self.per_epoch
        self.minimiser = Minimiser(self.net, self.recipe.rate, steps)
        self.curve: list[Figures] = []
        self.key = self.recipe.key(self.faces)
        if (self.folder / CHECKPOINT).exists():
            self._resume()

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:  # torch raises a dozen kinds for a damaged file
            raise PriemoError(f"{path} cannot be read ({error}); remove it") from None
        if state["key"] != self.key:
            raise PriemoError(
                f"{self.folder} holds a training by another recipe or on other faces; give another "
                "folder or remove it"
            )
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.minimiser.restore(state["minimiser"])
        self.curve = state["curve"]
        self.shown.say(f"{self.name}: going on after epoch {len(self.curve)}")

    def _epoch(self, epoch: int) -> None:
        begun = time.perf_counter()
        title = f"{self.name} epoch {epoch + 1}/{self.recipe.epochs}"
        self.shown.begin(epoch, title, self.per_epoch)
        losses = torch.zeros(self.per_epoch)
        for i, clean in enumerate(self._batches()):
            loss = self.recipe.loss(self.net, clean)
            self.minimiser.step(loss, epoch * self.per_epoch + i)
            self.average.update_parameters(self.net)
            losses[i] = loss.detach()
            self.shown.step(epoch, i + 1)
        row = {"epoch": epoch + 1.0, "loss": float(losses.mean())}
        row["seconds"] = time.perf_counter() - begun
        self.curve.append(row | self._measured(self.average.module, FEW))
        self._save()
        note = ", ".join(f"{k} {v:.4g}" for k, v in self.curve[-1].items() if k != "epoch")
        self.shown.end(epoch, title, note=note)

    def _batches(self) -> Iterator[Tensor]:
        """One epoch in random order, half of the faces mirrored: (batch, 1, SIDE, SIDE) floats."""
        batch, order = self.recipe.batch, torch.randperm(len(self.pool))
        for rows in torch.split(order[: self.per_epoch * batch], batch):
            clean = self.pool[rows].float() / 255
            mirrored = (torch.rand(batch) < 0.5).view(-1, 1, 1, 1)
            clean = torch.where(mirrored, clean.flip(3), clean).to(self.device)
            yield clean.to(memory_format=torch.channels_last)

    def _measured(self, net: nn.Module, n: int) -> Figures:
        clean = torch.from_numpy(self.held_out[:n]).float() / 255
        return self.recipe.measure(net, clean.to(self.device))

    def _save(self) -> None:
        state = {
            "key": self.key,
            "curve": self.curve,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "minimiser": self.minimiser.state(),
        }
        write_file(self.folder / CHECKPOINT, partial(torch.save, state))

    def _table(self) -> str:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(self.curve[0]))
        writer.writeheader()
        writer.writerows(self.curve)
        return text.getvalue()
