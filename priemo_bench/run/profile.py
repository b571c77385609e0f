"""Where the time of a run goes, beside the passes through its models that it cannot do without."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.image import FloatImages, to_float
from priemo_bench.progress import Mode
from priemo_bench.run.profiling import PassCounter

if TYPE_CHECKING:
    from priemo_bench.run.session import Session

BATCH, REPEATS = 64, 3
"""Faces of a pass that is timed, and how often it is."""
STAGES = {
    "fit": "fitting on fit faces",
    "choose": "choosing strengths on fit faces",
    "attack": "attacks on test faces",
    "match": "SSIM: perturbations matched to the budget",
    "measure": "SSIM and other metrics of published images",
    "defend": "filters",
    "predict": "predictions",
    "write": "writing",
}
"""Stages of a cell (`Stopwatch`), in words."""


def profiled(session: Session, mode: Mode) -> pd.DataFrame:
    """Run a session from nothing, in this process; what each stage took.

    Returns:
        A line per stage: `stage`, `seconds`, `share`. `attrs` has `wall` (seconds), `bare` (seconds
        that the same passes of victims with gradients take by themselves, in batches of 64),
        `forwards` and `backwards` (images).
    """
    context = session.place.context
    counters = {name: PassCounter([victim]) for name, victim in context.victims.items()}
    start = time.perf_counter()
    with ExitStack() as stack:
        for counter in counters.values():
            stack.enter_context(counter)
        session.run(mode)
    wall = time.perf_counter() - start
    seconds = dict.fromkeys(STAGES, 0.0)
    for cell in session.cells:
        for stage, spent in (session.place.store.facts(cell.key) or {}).get("seconds", {}).items():
            seconds[stage] += spent
    dataset = session.spec.datasets[0].name
    faces = to_float(context.split(dataset, "fit").images[:BATCH])
    bare = 0.0
    for name, counter in counters.items():
        if not registry.is_black_box(name):
            forward, backward = pass_seconds(context.victims[name], faces)
            bare += counter.forwards * forward + counter.backwards * backward
    lines = [(STAGES[name], spent) for name, spent in seconds.items()]
    lines.append(("clean predictions, scheduling and the rest", wall - sum(seconds.values())))
    table = pd.DataFrame(lines, columns=["stage", "seconds"])
    table["share"] = table["seconds"] / wall
    table.attrs = {
        "wall": wall,
        "bare": bare,
        "forwards": sum(counter.forwards for counter in counters.values()),
        "backwards": sum(counter.backwards for counter in counters.values()),
    }
    return table


def pass_seconds(victim: nn.Module, faces: FloatImages) -> tuple[float, float]:
    """Seconds for an image of a forward pass, and of the backward pass to the pixels."""
    x = torch.from_numpy(faces).to(next(victim.parameters(), torch.empty(0)).device)

    def forward() -> None:
        with torch.inference_mode():
            victim(x)

    def both() -> None:
        seen = x.clone().requires_grad_()
        victim(seen).sum().backward()

    times = [[_timed(work) for _ in range(REPEATS + 1)][1:] for work in (forward, both)]
    one, two = (float(np.median(found)) / len(faces) for found in times)
    return one, max(0.0, two - one)


def _timed(work: object) -> float:
    assert callable(work)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
