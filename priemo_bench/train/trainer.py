"""The training loop: optimiser, schedule, moving average, choice of the epoch, resumption."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import Victim
from priemo_bench.errors import PriemoError
from priemo_bench.train.adversarial import worst_case
from priemo_bench.train.measure import predictions
from priemo_bench.train.pool import Pool

CHECKPOINT, BEST, CURVE = "checkpoint.pt", "best.safetensors", "curve.csv"


def rate_at(step: int, per_epoch: int, spec: TrainingSpec) -> float:
    """Learning rate: linear warm-up to `spec.rate`, then a half cosine to nothing.

    Each of `spec.more` is a further half cosine of so many epochs, from half the rate.
    """
    begun, steps = 0, spec.epochs * per_epoch
    for more in spec.more:
        if step < begun + steps:
            break
        begun, steps = begun + steps, more * per_epoch
    if begun:
        return spec.rate * 0.25 * (1 + math.cos(math.pi * (step - begun) / steps))
    rising = spec.warmup * steps
    if step < rising:
        return spec.rate * (step + 1) / (rising + 1)
    return spec.rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _optimizer(net: nn.Module, spec: TrainingSpec) -> torch.optim.Optimizer:
    """Weight decay for matrices and kernels only."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=spec.rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=spec.rate)


def exported(victim: nn.Module) -> dict[str, Tensor]:
    """The state dict as it is published: float16 where floating, on the CPU."""
    return {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in victim.state_dict().items()
    }


@dataclass
class Training:
    """One training, started or continued in `out`.

    Attributes:
        build: the untrained victim; called after seeding, so that a seed fixes it.
        sets: training splits by data set name.
        choices: `choice` splits by data set name; that of `spec.choice` picks the epoch.
        out: folder of the checkpoint (written after each epoch), the best weights and the curve.
    """

    build: Callable[[], Victim]
    spec: TrainingSpec
    sets: Mapping[str, FaceSet]
    choices: Mapping[str, FaceSet]
    out: Path
    device: str = "cpu"
    console: Console = field(default_factory=lambda: Console(stderr=True))

    def run(self, epochs: int | None = None) -> Path:
        """Trains to the end, or no further than `epochs`; the file of the best weights so far."""
        self.out.mkdir(parents=True, exist_ok=True)
        total = self.spec.total
        with torch.random.fork_rng(devices=[]):
            self._start()
            for epoch in range(len(self.curve), min(total, epochs or total)):
                torch.manual_seed(1000 * self.spec.seed + epoch + 1)
                self._epoch(epoch)
        return self.out / BEST

    def _start(self) -> None:
        torch.manual_seed(1000 * self.spec.seed)
        victim = self.build()
        names = self.spec.teaching.teachers if self.spec.teaching else ()
        self.teachers = [registry.get("victims", name)().to(self.device) for name in names]
        self.pool = Pool.of(victim, self.spec, self.sets)
        self.net = victim.to(self.device).to(memory_format=torch.channels_last)
        averaging = get_ema_multi_avg_fn(self.spec.decay)
        self.average = AveragedModel(self.net, multi_avg_fn=averaging, use_buffers=True)
        self.optimizer = _optimizer(self.net, self.spec)
        self.weights = self.pool.weights(self.spec.balance).to(self.device)
        self.curve: list[dict[str, float]] = []
        self.key = self._key()
        if (self.out / CHECKPOINT).exists():
            self._load()

    def _key(self) -> str:
        """What a checkpoint must agree on: spec (what it leaves out does not count) and faces.

        Not on `more`: a finished training goes on with a further schedule.
        """
        faces = [self.sets[name].fingerprint for name in self.spec.repeats]
        spec = self.spec.model_dump_json(exclude={"more"}, exclude_defaults=True)
        return sha256(" ".join([spec, *faces]).encode()).hexdigest()

    def _load(self) -> None:
        path = self.out / CHECKPOINT
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:  # torch raises a dozen kinds for a damaged file
            raise PriemoError(f"{path} cannot be read ({error}); remove it") from None
        if state["key"] != self.key:
            raise PriemoError(
                f"{self.out} holds a training with another spec or other faces; give another "
                "folder or remove it"
            )
        for name in ("net", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.curve = state["curve"]
        self.console.print(f"{self.spec.name}: going on after epoch {len(self.curve)}")

    def _epoch(self, epoch: int) -> None:
        begun, spec = time.perf_counter(), self.spec
        per_epoch = len(self.pool.rows) // spec.batch
        losses = torch.zeros(per_epoch)
        batches = self.pool.batches(spec.batch, spec.augmentation)
        title = f"{spec.name} epoch {epoch + 1}/{spec.total}"
        self.net.train()
        for i, (x, y) in enumerate(
            track(batches, title, per_epoch, console=self.console, transient=True)
        ):
            for group in self.optimizer.param_groups:
                group["lr"] = rate_at(epoch * per_epoch + i, per_epoch, spec)
            done = (epoch + i / per_epoch) / spec.total
            losses[i] = self._step(x.to(self.device), y.to(self.device), done)
        self._close(epoch, float(losses.mean()), time.perf_counter() - begun)

    def _step(self, x: Tensor, y: Tensor, done: float) -> Tensor:
        if adversarial := self.spec.adversarial:
            x = worst_case(self.net, x, y, adversarial.bound(done), adversarial.steps)
        loss = nn.functional.cross_entropy(
            self.net(x), self._label(x, y), self.weights, label_smoothing=self.spec.label_smoothing
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.average.update_parameters(self.net)
        return loss.detach()

    @torch.no_grad()
    def _label(self, x: Tensor, y: Tensor) -> Tensor:
        """The labels (n,), or with teachers (n, 7) mixed with what these read in `x`."""
        if not (teaching := self.spec.teaching):
            return y
        read = torch.stack([teacher(x).softmax(1) for teacher in self.teachers]).mean(0)
        given = nn.functional.one_hot(y, read.shape[1])
        return torch.lerp(given.to(read.dtype), read, teaching.trust)

    def _close(self, epoch: int, loss: float, seconds: float) -> None:
        """Measures the averaged weights, keeps them when they are the best, writes all down."""
        self.average.eval()
        row = {"epoch": float(epoch + 1), "loss": loss, "seconds": seconds}
        for name, faces in self.choices.items():
            row[name] = float((predictions(self.average, faces) == faces.labels).mean())
        best = max((past[self.spec.choice] for past in self.curve), default=-1.0)
        if row[self.spec.choice] > best:
            save_file(exported(self.average.module), self.out / BEST)
        self.curve.append(row)
        self._save()
        told = " ".join(f"{name} {value:.4g}" for name, value in row.items())
        self.console.print(f"{self.spec.name}: {told}", highlight=False)

    def _save(self) -> None:
        state: dict[str, Any] = {"key": self.key, "curve": self.curve}
        for name in ("net", "average", "optimizer"):
            state[name] = getattr(self, name).state_dict()
        torch.save(state, self.out / "new.pt")
        (self.out / "new.pt").replace(self.out / CHECKPOINT)
        with (self.out / CURVE).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.curve[0]))
            writer.writeheader()
            writer.writerows(self.curve)
