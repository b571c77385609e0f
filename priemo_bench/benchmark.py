"""The benchmark as a library: `Benchmark("default").run().leaderboard()`."""

from __future__ import annotations

import json
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priemo_bench import __version__
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown
from priemo_bench.run.spec import Spec, load

if TYPE_CHECKING:
    import pandas as pd

    from priemo_bench.judge.leaderboard import Tables


class Results:
    """A finished run: its rows and its tables as pandas DataFrames.

    Attributes:
        out: the folder it was written to.

    Example:
        >>> from priemo_bench import Results
        >>> Results("reports/default").methods()  # doctest: +SKIP
    """

    def __init__(self, out: Path | str) -> None:
        self.out = Path(out)

    def __repr__(self) -> str:
        return f"Results({str(self.out)!r})"

    @cached_property
    def tables(self) -> Tables:
        """All tables, from `results.parquet`."""
        from priemo_bench.contracts.rows import Rows
        from priemo_bench.judge.leaderboard import Tables

        return Tables(Rows.load(self.out / "results.parquet"))

    def rows(self) -> pd.DataFrame:
        """One line per published image, defense, victim and seed."""
        return self.tables.rows.frame

    def methods(self) -> pd.DataFrame:
        """As methods.csv: attacks pooled over surrogates and targets, the table to begin with."""
        return self.tables.methods()

    def leaderboard(self) -> pd.DataFrame:
        """As leaderboard.csv: one line per attack, budget, surrogate and target."""
        return self.tables.leaderboard()

    def transfer(self) -> pd.DataFrame:
        """As transfer.csv: one line per line of the leaderboard and victim."""
        return self.tables.transfer()

    def defenses(self) -> pd.DataFrame:
        """As defenses.csv: one line per line of the leaderboard and defense."""
        return self.tables.defenses()

    def failures(self) -> pd.DataFrame:
        """As failures.csv: every cell that failed, with its reason."""
        return self.tables.failures()


class Benchmark:
    """Attacks against victims, into leaderboards.

    Args:
        spec: a `Spec`, the name of a bundled one, or a TOML file.
        out: folder of rows, tables, figures and page; `runs/NAME` when None.
        jobs: processes.
        device: of the victims, "cpu" or "cuda".
        command: that the page names; None is this call.
        overrides: values of the spec to replace (`attacks=("pgd",)`, `limit=100` ...).

    Raises:
        PriemoError: anything in the spec that is wrong.

    Example:
        >>> from priemo_bench import Benchmark
        >>> benchmark = Benchmark("default", attacks=("noise",), victims=("resnet",), limit=10)
        >>> benchmark
        Benchmark('default', attacks=1, victims=1, datasets=1, out='runs/default')
        >>> benchmark.run().methods()  # doctest: +SKIP
    """

    def __init__(
        self,
        spec: Spec | str | Path = "default",
        out: Path | str | None = None,
        jobs: int = 1,
        device: str = "cpu",
        command: str | None = None,
        **overrides: Any,
    ) -> None:
        if isinstance(spec, Spec):
            if overrides:
                raise PriemoError("overrides go with a spec's name or file, not with a Spec")
            self.spec = spec
        else:
            self.spec = load(spec, **overrides)
        if jobs < 1:
            raise PriemoError(f"jobs is {jobs}; it must be at least 1")
        self.out = Path(out) if out is not None else Path("runs") / self.spec.name
        self.jobs, self.device = jobs, device
        self.command = command or f"Benchmark({self.spec.name!r}).run()"

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"Benchmark({spec.name!r}, attacks={len(spec.attacks)}, victims={len(spec.victims)}, "
            f"datasets={len(spec.datasets)}, out={str(self.out)!r})"
        )

    def run(self, progress: bool = False) -> Results:
        """Do what is not done yet, then write rows, tables, figures and page.

        Raises:
            PriemoError: wrong input, or a disk that refuses; finished cells are kept.
        """
        from priemo_bench.contracts.rows import Rows
        from priemo_bench.progress import bar
        from priemo_bench.report import is_written, save_grid, write_report
        from priemo_bench.run.collect import gather
        from priemo_bench.run.context import RunContext
        from priemo_bench.run.examples import examples
        from priemo_bench.run.execute import finished, run_cells
        from priemo_bench.run.plan import cells
        from priemo_bench.run.provenance import run_facts
        from priemo_bench.run.store import Store

        self.spec.check()
        _check_device(self.device)
        context, store = RunContext(self.spec, self.device), Store(self.out)
        context.check_metrics()
        plan = [cell.keyed(context.fingerprints) for cell in cells(self.spec)]
        open_cells = [cell for cell in plan if not finished(cell, context, store)]
        request = _digest(self.spec, [cell.key for cell in plan])
        results = self.out / "results.parquet"
        if open_cells or not is_written(self.out) or Rows.request(results) != request:
            with bar(len(open_cells), progress) as shown:
                run_cells(open_cells, context, store, self.jobs, shown)
            rows = gather(plan, context, store)
            rows.facts.update(run_facts(self.spec, context, self.command), request=request)
            rows.save(results)
            save_grid(examples(plan, context, store), self.out / "figures" / "grid.png")
            write_report(self.out)
        return Results(self.out)


def _digest(spec: Spec, keys: list[str]) -> str:
    """What a report must agree on to be still the one that is asked for."""
    from priemo_bench.judge.leaderboard import COLUMNS

    return sha256(json.dumps([__version__, COLUMNS, spec.to_toml(), keys]).encode()).hexdigest()


def _check_device(device: str) -> None:
    import torch

    if device not in ("cpu", "cuda"):
        raise unknown("devices", device, ("cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise PriemoError("device is 'cuda', but torch finds none here; use --device cpu")
