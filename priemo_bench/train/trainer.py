"""The training loop: optimiser, schedule, weight averaging, choice of the epoch, resumption."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.storage import storage_errors, write_file, write_text
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import Victim
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Progress
from priemo_bench.train.adversarial import worst_case
from priemo_bench.train.pool import Pool

CHECKPOINT, BEST, CURVE = "checkpoint.pt", "best.safetensors", "curve.csv"


def rate_at(step: int, per_epoch: int, spec: TrainingSpec) -> float:
    """Learning rate: linear warm-up to `spec.rate`, then half a cosine to zero.

    Each of `spec.more` is another half cosine of so many epochs, from half the rate.
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
    """Weight decay on matrices and kernels only, not on biases and norms."""
    groups: list[dict[str, object]] = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=spec.rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=spec.rate)


def exported(victim: nn.Module) -> dict[str, Tensor]:
    """The state dict as it is stored: float16 where floating, on the CPU."""
    return {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in victim.state_dict().items()
    }


@dataclass
class Training:
    """One training, started or continued in `out`.

    Attributes:
        build: makes the untrained victim; called after seeding, so that the seed determines it.
        sets: training splits by data set name.
        choices: `choice` splits by data set name; that of `spec.choice` picks the epoch.
        out: folder of the checkpoint (written after each epoch), the best weights and the curve.
        shown: is told of each epoch and batch; nothing is shown by default.
    """

    build: Callable[[], Victim]
    spec: TrainingSpec
    sets: Mapping[str, FaceSet]
    choices: Mapping[str, FaceSet]
    out: Path
    device: str = "cpu"
    shown: Progress = field(default_factory=Progress)

    def run(self, epochs: int | None = None) -> Path:
        """Train to the end, or to epoch `epochs`; returns the file of the best weights so far."""
        with storage_errors(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        total = self.spec.total
        with torch.random.fork_rng(devices=[]):
            self._set_up()
            last = min(total, epochs or total)
            self.shown.run(last - len(self.curve))
            for epoch in range(len(self.curve), last):
                torch.manual_seed(1000 * self.spec.seed + epoch + 1)
                self._epoch(epoch)
        return self.out / BEST

    def _set_up(self) -> None:
        torch.manual_seed(1000 * self.spec.seed)
        victim = self.build()
        names = self.spec.teaching.teachers if self.spec.teaching else ()
        self.teachers = [registry.get("victims", name)().to(self.device) for name in names]
        self.pool = Pool.of(victim, self.spec, self.sets)
        self.net = victim.to(self.device).to(memory_format=torch.channels_last)
        averaging = get_ema_multi_avg_fn(self.spec.decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.net, multi_avg_fn=averaging, use_buffers=True)
        self.optimizer = _optimizer(self.net, self.spec)
        self.weights = self.pool.weights(self.spec.balance).to(self.device)
        self.curve: list[dict[str, float]] = []
        self.key = self._key()
        if (self.out / CHECKPOINT).exists():
            self._resume()

    def _key(self) -> str:
        """A hash of spec and faces, which a checkpoint must have been made with.

        Without `more`, so that a finished training can continue on another schedule, and without
        defaults, so that a new setting leaves old checkpoints valid.
        """
        faces = [self.sets[name].fingerprint for name in self.spec.repeats]
        spec = self.spec.model_dump_json(exclude={"more"}, exclude_defaults=True)
        return sha256(" ".join([spec, *faces]).encode()).hexdigest()

    def _resume(self) -> None:
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
        self.shown.say(f"{self.spec.name}: going on after epoch {len(self.curve)}")

    def _epoch(self, epoch: int) -> None:
        begun, spec = time.perf_counter(), self.spec
        per_epoch = len(self.pool.rows) // spec.batch
        losses = torch.zeros(per_epoch)
        batches = self.pool.batches(spec.batch, spec.augmentation)
        title = f"{spec.name} epoch {epoch + 1}/{spec.total}"
        self.shown.begin(epoch, title, per_epoch)
        self.net.train()
        for i, (x, y) in enumerate(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = rate_at(epoch * per_epoch + i, per_epoch, spec)
            done = (epoch + i / per_epoch) / spec.total
            losses[i] = self._step(x.to(self.device), y.to(self.device), done)
            self.shown.step(epoch, i + 1)
        row = self._end_epoch(epoch, float(losses.mean()), time.perf_counter() - begun)
        found = ", ".join(f"{name} {row[name]:.4g}" for name in ("loss", *self.choices))
        self.shown.end(epoch, title, note=found)

    def _step(self, x: Tensor, y: Tensor, done: float) -> Tensor:
        if adversarial := self.spec.adversarial:
            x = worst_case(self.net, x, y, adversarial.bound(done), adversarial.steps)
        loss = nn.functional.cross_entropy(
            self.net(x), self._label(x, y), self.weights, label_smoothing=self.spec.label_smoothing
        )
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.average.update_parameters(self.net)
        return loss.detach()

    @torch.no_grad()
    def _label(self, x: Tensor, y: Tensor) -> Tensor:
        """The labels (n,), or (n, 7) mixed with the probabilities of a random teacher for `x`."""
        if not (teaching := self.spec.teaching):
            return y
        taught = self.teachers[int(torch.randint(len(self.teachers), ()))](x).softmax(1)
        given = nn.functional.one_hot(y, taught.shape[1])
        return torch.lerp(given.to(taught.dtype), taught, teaching.trust)

    def _end_epoch(self, epoch: int, loss: float, seconds: float) -> dict[str, float]:
        """Evaluate the averaged weights, keep them if they are the best, write the checkpoint.

        Returns:
            The row of the curve: the share that is predicted correctly in each choice split.
        """
        self.average.eval()
        row = {"epoch": float(epoch + 1), "loss": loss, "seconds": seconds}
        for name, faces in self.choices.items():
            row[name] = float((predict(self.average, faces.images) == faces.labels).mean())
        best = max((past[self.spec.choice] for past in self.curve), default=-1.0)
        if row[self.spec.choice] > best:
            weights = save(exported(self.average.module))
            write_file(self.out / BEST, lambda file: file.write(weights))
        self.curve.append(row)
        self._save()
        return row

    def _save(self) -> None:
        state: dict[str, object] = {"key": self.key, "curve": self.curve}
        for name in ("net", "average", "optimizer"):
            state[name] = getattr(self, name).state_dict()
        write_file(self.out / CHECKPOINT, lambda file: torch.save(state, file))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(self.curve[0]))
        writer.writeheader()
        writer.writerows(self.curve)
        write_text(self.out / CURVE, text.getvalue())
