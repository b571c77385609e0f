"""How many images a second a victim predicts, and differentiates."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
from torch import nn

from priemo_bench.contracts.predict import device_of

BATCH = 32


def speed(victim: nn.Module, seconds: float = 0.5) -> dict[str, object]:
    """Images a second, forward and forward with backward to the pixels, by number of threads.

    Median over about `seconds` of batches of 32 images of the victim's own size. One thread on a
    CPU is timed by CPU time, so that other programs matter little; two threads are left out while
    other programs keep the cores busy.
    """
    device = device_of(victim)
    size = getattr(victim, "size", 48)
    x = torch.rand(BATCH, 1, size, size, generator=torch.Generator().manual_seed(0)).to(device)

    def forward() -> None:
        with torch.no_grad():
            victim(x)

    def both() -> None:
        z = x.clone().requires_grad_()
        torch.autograd.grad(victim(z).sum(), z)

    report: dict[str, object] = {"cpu": _cpu(), "device": device.type, "batch": BATCH}
    for threads in (1, 2) if _idle() else (1,):
        with _threads(threads):
            alone = threads == 1 and device.type == "cpu"
            clock = time.process_time if alone else time.perf_counter
            report[str(threads)] = {
                "forward": round(BATCH / _median(forward, seconds, clock)),
                "forward_backward": round(BATCH / _median(both, seconds, clock)),
            }
    return report


def _median(act: Callable[[], None], seconds: float, clock: Callable[[], float]) -> float:
    """Median time of a call, over at least three calls and `seconds`, after one to warm up."""
    act()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = clock()
        act()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(clock() - start)
    return median(times)


def _idle() -> bool:
    """Whether two threads may run without sharing a core with another program."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (os.cpu_count() or 1) - load > 1.5


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cpu() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
