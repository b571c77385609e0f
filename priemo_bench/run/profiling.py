"""What an attack costs: passes through its surrogates, seconds and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from torch import Tensor, nn


@dataclass(frozen=True)
class Cost:
    """Images that went forward and backward through some models, and seconds."""

    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.forwards + other.forwards,
            self.backwards + other.backwards,
            self.seconds + other.seconds,
        )


class Stopwatch(dict[str, float]):
    """Seconds by stage; what runs inside another stage counts for its own only."""

    def __init__(self) -> None:
        super().__init__()
        self._inside: list[float] = []

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Time what is done inside for a stage."""
        start = time.perf_counter()
        self._inside.append(0.0)
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            own = spent - self._inside.pop()
            self[stage] = self.get(stage, 0.0) + own
            if self._inside:
                self._inside[-1] += spent


class PassCounter:
    """Counts, while entered, the images that go forward and backward through some models.

    A victim's `features` is watched where there is one (`forward` calls it too), and the module's
    own output elsewhere. A backward pass is one gradient that reaches that output: DeepFool's
    gradient of each class counts.

    Attributes:
        forwards, backwards: images so far; seconds: time entered, in all.
    """

    def __init__(self, models: Iterable[nn.Module]) -> None:
        self.models = list(models)
        self.forwards = self.backwards = 0
        self.seconds = 0.0
        self._undo: list[Callable[[], object]] = []

    @property
    def cost(self) -> Cost:
        """The counts so far."""
        return Cost(self.forwards, self.backwards, self.seconds)

    def __enter__(self) -> PassCounter:
        for model in self.models:
            if callable(getattr(model, "features", None)):
                self._wrap(model)
            else:
                handle = model.register_forward_hook(lambda _m, _x, output: self._seen(output))
                self._undo.append(handle.remove)
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._start
        while self._undo:
            self._undo.pop()()

    def _wrap(self, model: Any) -> None:
        original = model.features

        def features(x: Tensor) -> Tensor:
            output: Tensor = original(x)
            self._seen(output)
            return output

        before = vars(model).get("features")
        model.features = features
        if before is None:
            self._undo.append(lambda: delattr(model, "features"))
        else:  # another counter's
            self._undo.append(lambda: setattr(model, "features", before))

    def _seen(self, output: Tensor) -> None:
        self.forwards += len(output)
        if output.requires_grad:
            output.register_hook(self._came_back)  # type: ignore[no-untyped-call]

    def _came_back(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


PROC = Path("/proc/self")


def reset_peak() -> None:
    """Forget this process's largest resident memory so far, where the system can (Linux)."""
    with suppress(OSError):
        (PROC / "clear_refs").write_text("5")


def peak_megabytes() -> float:
    """Largest resident memory of this process since `reset_peak`; that of now without Linux."""
    try:
        status = (PROC / "status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, ValueError, IndexError):
        return float(psutil.Process().memory_info().rss / 2**20)
