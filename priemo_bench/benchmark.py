"""The benchmark as a library: `Benchmark("default").run().leaderboard()`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode
from priemo_bench.registry import unknown
from priemo_bench.results import Results
from priemo_bench.run.spec import Spec, default_folder, load

if TYPE_CHECKING:
    import pandas as pd

    from priemo_bench.run.schedule import Backend
    from priemo_bench.run.session import Session


class Benchmark:
    """Attacks against victims, into leaderboards.

    Args:
        spec: a `Spec`, the name of a bundled one, or a TOML file.
        out: folder of rows, tables, figures and page. None is `runs/NAME`, or for a spec with
            overrides `runs/NAME-DIGEST`, a folder for each combination of them.
        jobs: processes.
        device: of the victims, "cpu" or "cuda".
        backend: "loky" for processes here, "dask" for those of a cluster, at `scheduler`.
        time_limit, memory_limit: of one cell, in seconds and megabytes; None is no limit.
        overwrite: whether the folder's tables may become those of another spec; cells that both
            have in common are kept.
        store: folder of the cells, for runs that have some in common; `out` when None.
        command: that the page names; None is this call.
        overrides: values of the spec to replace (`attacks=("pgd",)`, `limit=100` ...). Attacks,
            victims, defenses and metrics are names, references ("mine.py:Shift") or things
            themselves, or a mapping of names to these: classes and objects of ART's attacks,
            functions, torch modules (docs/plugins.md). `params` are of all chosen attacks.

    Raises:
        PriemoError: anything in the spec that is wrong.

    Example:
        >>> from priemo_bench import Benchmark
        >>> benchmark = Benchmark("default", attacks=("noise",), victims=("resnet",), limit=10)
        >>> benchmark
        Benchmark('default', attacks=1, victims=1, datasets=1, out='runs/default-...')
        >>> benchmark.run().methods()  # doctest: +SKIP
    """

    def __init__(
        self,
        spec: Spec | str | Path = "default",
        out: Path | str | None = None,
        jobs: int = 1,
        device: str = "cpu",
        backend: Backend = "loky",
        scheduler: str | None = None,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        overwrite: bool = False,
        store: Path | str | None = None,
        command: str | None = None,
        **overrides: Any,
    ) -> None:
        if isinstance(spec, Spec) and overrides:
            raise PriemoError("overrides go with a spec's name or file, not with a Spec")
        self.spec = spec if isinstance(spec, Spec) else load(spec, **overrides)
        source = None if isinstance(spec, Spec) else spec
        self.out = Path(out) if out is not None else default_folder(source, self.spec)
        if jobs < 1:
            raise PriemoError(f"jobs is {jobs}; it must be at least 1")
        if backend not in ("loky", "dask"):
            raise unknown("backends", backend, ("loky", "dask"))
        if (backend == "dask") != (scheduler is not None):
            raise PriemoError("backend dask goes with the address of its scheduler, and it alone")
        self.jobs, self.device, self.backend, self.scheduler = jobs, str(device), backend, scheduler
        self.limits = time_limit, memory_limit
        self.overwrite, self.store = overwrite, None if store is None else Path(store)
        self.command = command or f"Benchmark({self.spec.name!r}).run()"

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"Benchmark({spec.name!r}, attacks={len(spec.attacks)}, victims={len(spec.victims)}, "
            f"datasets={len(spec.datasets)}, out={str(self.out)!r})"
        )

    def run(self, progress: Mode = "auto") -> Results:
        """Do what is not done yet, then write rows, tables, figures and page.

        Args:
            progress: on standard error: "auto", "bars", "lines", "json" or "quiet".

        Raises:
            PriemoError: wrong input, a folder that holds another run or is being written by one,
                or a disk that refuses; finished cells are kept.
        """
        from priemo_bench.run.folder import claimed
        from priemo_bench.run.stamp import is_current, save, stamp

        with claimed(self.out, self.spec, self.overwrite):
            now = stamp(self.spec, self.device)
            if not is_current(self.out, now) and self._run(progress):
                save(self.out, now)
        return Results(self.out)

    def plan(self) -> pd.DataFrame:
        """What `run` would do, cell by cell, and why; nothing is computed.

        Returns:
            A line per cell: dataset, attack, surrogate, target, budget, scale, seed, `todo`
            ("everything", "predictions and metrics", "again", "nothing"), `why`, and the `seconds`
            that it is expected to take; `attrs` has the `megabytes` of a process.
        """
        return self._session().plan()

    def _session(self) -> Session:
        from priemo_bench.run.limits import Limits
        from priemo_bench.run.schedule import Workers
        from priemo_bench.run.session import Session

        workers = Workers(self.jobs, self.backend, self.scheduler, Limits(*self.limits))
        store = self.out if self.store is None else self.store
        return Session(self.spec.check(), self.out, store, workers, self.device)

    def _run(self, progress: Mode) -> bool:
        """Whether every cell is finished now, and none has failed."""
        from priemo_bench.contracts.rows import Rows
        from priemo_bench.report.files import complete

        session = self._session()
        results = self.out / "results.parquet"
        if session.is_finished and Rows.request(results) == session.request and complete(self.out):
            return True
        session.run(progress)
        self._write(session)
        return session.is_finished

    def _write(self, session: Session) -> None:
        """Rows, tables, figures and page of what a session has done."""
        from priemo_bench.report import save_examples, write_report
        from priemo_bench.run.examples import examples

        session.rows(self.command).save(self.out / "results.parquet")
        save_examples(examples(session.cells, session.place), self.out)
        write_report(self.out)


def profile(
    spec: Spec | str | Path = "default",
    device: str = "cpu",
    progress: Mode = "auto",
    **overrides: Any,
) -> pd.DataFrame:
    """Where the time of a run goes; it is made from nothing, in a temporary folder.

    Returns:
        A line per stage (`stage`, `seconds`, `share`), the start-up and the report among them;
        `attrs` has the seconds of the whole (`wall`) and of its bare model passes (`bare`).
    """
    import time
    from tempfile import TemporaryDirectory

    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        benchmark = Benchmark(spec, out=folder, device=device, **overrides)
        session = benchmark._session()
        opened = len(session.open)  # data, victims and keys
        from priemo_bench.run.profile import profiled

        before = time.perf_counter() - start
        table = profiled(session, progress)
        done = time.perf_counter()
        benchmark._write(session)
        after = time.perf_counter() - done
    for stage, seconds in ((f"start-up ({opened} cells)", before), ("tables and figures", after)):
        table.loc[len(table), ["stage", "seconds"]] = stage, seconds
    table.attrs["wall"] += before + after
    table["share"] = table["seconds"] / table.attrs["wall"]
    return table
