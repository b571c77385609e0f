"""A run: what is to be done and why, doing it, and its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import torch

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, duration, progress
from priemo_bench.registry import unknown
from priemo_bench.run.code import code_facts
from priemo_bench.run.collect import gather
from priemo_bench.run.context import RunContext
from priemo_bench.run.estimate import seconds_of
from priemo_bench.run.execute import Clean, columns, finished, metric_names
from priemo_bench.run.faults import stoppable
from priemo_bench.run.keys import Keys, differing
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell, broken_attacks, cells
from priemo_bench.run.provenance import run_facts
from priemo_bench.run.running import Running
from priemo_bench.run.schedule import Workers, batches, run_here, run_in_workers
from priemo_bench.run.spec import Spec
from priemo_bench.run.store import Store

ACTIVATIONS = 400
"""Megabytes that an attack takes beside data and victims: a batch of 64 in the largest of ours."""


class Session:
    """A spec in a folder.

    Args:
        out: folder of the run; store: of its cells.
        device: of the victims, "cpu" or "cuda".

    Raises:
        PriemoError: a device that is unknown or not there, or a part that the user can mend.
    """

    def __init__(self, spec: Spec, out: Path, store: Path, workers: Workers, device: str) -> None:
        _check_device(device)
        self.spec, self.out, self.workers, self.device = spec, out, workers, device
        context = RunContext(spec, device if workers.here else "cpu")
        self.place = Workplace(context, Keys(context), Store(store))
        self.place.context.metrics  # noqa: B018  (weights that are missing are told now)

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells, with their keys."""
        return [self.place.keys.keyed(cell) for cell in cells(self.spec)]

    @cached_property
    def open(self) -> list[Cell]:
        """Cells that are not finished."""
        return [cell for cell in self.cells if not finished(cell, self.place)]

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do, and nothing has failed."""
        whole = not broken_attacks(self.spec) and not self._clean()
        return whole and all(finished(cell, self.place) for cell in self.cells)

    @cached_property
    def code(self) -> dict[str, Any]:
        """Digests of all code that the run depends on."""
        return code_facts(self.spec)

    @property
    def request(self) -> str:
        """Digest of all that decides the rows and the page."""
        names = [[c.attack, c.key, sorted(columns(self.place, c.defended).values())]
                 for c in self.cells]  # fmt: skip
        parts = [self.spec.to_toml(), names, metric_names(self.place), self.code]
        return sha256(json.dumps(parts, default=str).encode()).hexdigest()

    def run(self, mode: Mode) -> None:
        """Bring every cell to its end."""
        self.place.store.sweep()
        clean = self._clean()
        running = Running(self.out)
        running.keep({cell.key for cell in self.open})
        deadly = [cell for cell in self.open if running.deaths(cell.key) > 1]
        work = batches([cell for cell in self.open if cell not in deadly], clean)
        weights = {cell.key: max(0.1, seconds_of(cell, self.place)) for cell in self.open}
        seconds = sum(weights.values()) / self.workers.jobs
        with stoppable(), progress(mode) as shown:
            if self.open:
                shown.say(f"{len(self.open)} cells to run, about {duration(seconds)}")
            shown.run(len(self.open) + len(clean), seconds, weights)
            if self.workers.here:
                run_here(work, self.place, running, shown)
                work = []
            if work or deadly:  # a cell that ended its process twice gets one of its own
                work += batches(deadly, [])
                run_in_workers(work, self.place, running, self.workers, shown)

    def rows(self, command: str) -> Rows:
        """Rows and facts of all cells, as far as they have come."""
        rows = gather(self.cells, self.place)
        rows.facts.update(
            run_facts(self.spec, self.place.context, command, self.device),
            request=self.request,
            code=self.code,
        )
        return rows

    def _clean(self) -> list[Clean]:
        """Samples of faces whose clean predictions are missing."""
        wanted: dict[str, Clean] = {}
        for cell in self.cells:
            key = self.place.keys.clean(cell)
            others = wanted[key].defended if key in wanted else ()
            wanted[key] = Clean(cell, tuple(dict.fromkeys([*others, *cell.defended])))
        return [clean for key, clean in wanted.items() if not self._is_clean(key, clean)]

    def _is_clean(self, key: str, clean: Clean) -> bool:
        known = self.place.store.arrays(f"{key}.predictions")
        return {*columns(self.place, clean.defended).values()} <= known.keys()

    def plan(self) -> pd.DataFrame:
        """What `run` would do, a line per cell; see `Benchmark.plan`."""
        known = dict(self._stored())
        if not self.cells:
            raise PriemoError("; ".join(broken_attacks(self.spec).values()))
        table = pd.DataFrame(
            [
                {
                    "dataset": cell.dataset, "attack": cell.attack, "surrogate": cell.surrogate,
                    "target": EMOTIONS[cell.target] if cell.target >= 0 else "-",
                    "budget": cell.budget, "scale": cell.scale, "seed": cell.seed,
                    **self._todo(cell, known),
                }
                for cell in self.cells
            ]
        )  # fmt: skip
        loaded = psutil.Process().memory_info().rss / 2**20
        table.attrs = {"megabytes": loaded + ACTIVATIONS}
        return table

    def _todo(self, cell: Cell, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """What is to be done for a cell, why, and the seconds that it is expected to take."""
        store, facts = self.place.store, self.place.store.facts(cell.key) or {}
        seconds = seconds_of(cell, self.place)
        if finished(cell, self.place):
            return {"todo": "nothing", "why": "", "seconds": 0.0}
        if facts.get("status") in ("failed", "incomplete"):
            return {"todo": "again", "why": f"it was {facts['status']}", "seconds": seconds}
        if facts.get("attacked") and store.has_images(cell.key):
            why = "of a victim, a defense or a metric: new, or its weights or code changed"
            return {"todo": "predictions and metrics", "why": why, "seconds": 0.1 * seconds}
        old = known.get(cell.title)
        if facts.get("attacked"):
            why = "its images are missing or damaged"
        elif old is None:
            why = "not run yet"
        else:
            parts = differing(old["parts"], self.place.keys.parts(cell))
            why = f"changed since: {', '.join(parts)}"
        return {"todo": "everything", "why": why, "seconds": seconds}

    def _stored(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Facts of stored cells by their place in the tables; the latest comes last."""
        paths = self.place.store.cells.glob("*.json")
        for path in sorted(paths, key=lambda path: path.stat().st_mtime):
            facts = self.place.store.facts(path.stem) or {}
            if "parts" in facts:
                yield facts["title"], facts


def _check_device(device: str) -> None:
    if device not in ("cpu", "cuda"):
        raise unknown("devices", device, ("cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise PriemoError("device is 'cuda', but torch finds none here; use --device cpu")
    torch.backends.cudnn.allow_tf32 = False  # whose logits differ from those of a CPU by 1e-3
