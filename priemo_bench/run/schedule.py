"""Cells to processes: here, in joblib's workers on this machine, or on a Dask cluster.

Whatever runs them, they are the same cells in the same store, which all processes see under one
path. A process that dies costs what it was running, and that is tried again.
"""

from __future__ import annotations

import json
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from priemo_bench.contracts.sources import TEXTS
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Progress
from priemo_bench.registry import registered
from priemo_bench.run.context import RunContext
from priemo_bench.run.execute import Clean, columns, metric_names, run_cell, run_clean
from priemo_bench.run.faults import die_with_parent, stoppable
from priemo_bench.run.keys import Keys
from priemo_bench.run.limits import Limits
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell
from priemo_bench.run.running import Running
from priemo_bench.run.sending import packed, unpack
from priemo_bench.run.spec import parse
from priemo_bench.run.store import Store

Backend = Literal["loky", "dask"]
Batch = tuple[Cell, ...] | Clean
"""What one process does in one go: cells that share work, or clean predictions."""
TRIES = 3
"""How often a cell is tried whose process dies, before it counts as failed."""
OTHERS = (
    "data, weights, code or packages are not those that the run began with: they changed, or a "
    "worker has others; type the command again"
)
POLL = 0.5
"""Seconds between two looks at what workers are doing."""
_ONE_AT_A_TIME = threading.Lock()
"""Victims of a process count passes and keep gradients: a worker of several threads takes turns."""


class Ended(NamedTuple):
    """A cell, or clean predictions, that a process has brought to an end."""

    key: str
    title: str
    status: str
    seconds: float


@dataclass(frozen=True)
class Workers:
    """What runs the cells.

    Attributes:
        jobs: processes; each loads its own data and victims once, and takes its share of the cores.
        backend: "loky" for processes of this machine, "dask" for those of a cluster.
        scheduler: address of the cluster's scheduler, such as tcp://10.0.0.1:8786.
        limits: of each cell.
    """

    jobs: int = 1
    backend: Backend = "loky"
    scheduler: str | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def here(self) -> bool:
        """Whether cells run in this process: one that has to be ended needs its own."""
        return self.jobs == 1 and self.backend == "loky" and self.limits == Limits()


@dataclass(frozen=True)
class Assignment:
    """What a worker makes its workplace from.

    Attributes:
        spec: as TOML; fingerprints: of its data and weights, by which a worker checks its own.
        run: by which `Running` tells this run; code: digest of victims, defenses and metrics.
        out: folder of the run; threads: of torch, or None to leave them.
    """

    spec: str
    device: str
    fingerprints: tuple[tuple[str, str], ...]
    run: str
    code: str
    out: Path
    store: Path
    limits: Limits
    threads: int | None


def batches(cells: Iterable[Cell], clean: Iterable[Clean]) -> list[Batch]:
    """Clean predictions, and cells by what they share."""
    groups: dict[Any, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.batch, []).append(cell)
    return [*clean, *(tuple(group) for group in groups.values())]


def run_here(work: Iterable[Batch], place: Workplace, running: Running, shown: Progress) -> None:
    """Run batches one after another in this process."""
    with _watching(running, place.store, shown) as ended:
        for batch in work:
            for cell in _run_batch(batch, place, running, Limits()):
                ended(cell)


def run_in_workers(
    work: Sequence[Batch], place: Workplace, running: Running, workers: Workers, shown: Progress
) -> None:
    """Run batches in processes.

    A process that dies may take others of its pool along. All go on in a new one; what was running
    when one died then runs alone, so that the guilty cell is known, and has failed after TRIES.

    Raises:
        PriemoError: data or weights of a worker are others, or the cluster cannot be reached.
    """
    deaths: Counter[str] = Counter()
    idle_deaths = 0
    rest = list(work)
    with (
        _watching(running, place.store, shown) as ended,
        _pool(workers, place, running) as run,
    ):
        while rest:
            innocent = [batch for batch in rest if not _suspect(batch, place, deaths)]
            now = innocent or rest[:1]
            finished: set[str] = set()
            try:
                for results in run(now):
                    for result in results:
                        finished.add(result.key)
                        ended(result)
            except _died(workers) as error:
                found = running.all()
                idle_deaths += not (found or finished)
                if idle_deaths >= TRIES:
                    raise PriemoError(
                        f"worker processes end before they begin: {' '.join(str(error).split())}"
                    ) from error
                running.clear()
                deaths.update(found)
            else:
                finished |= {key for batch in now for key in _keys(batch, place)}
            given_up = {key for key, count in deaths.items() if count >= TRIES} - finished
            for key in given_up:
                _give_up(key, place.store)
            rest = [b for b in (_unfinished(b, place, finished | given_up) for b in rest) if b]


def _suspect(batch: Batch, place: Workplace, deaths: Counter[str]) -> bool:
    return any(key in deaths for key in _keys(batch, place))


def _keys(batch: Batch, place: Workplace) -> list[str]:
    if isinstance(batch, Clean):
        return [place.keys.clean(batch.cell)]
    return [cell.key for cell in batch]


def _unfinished(batch: Batch, place: Workplace, ended: set[str]) -> Batch | None:
    """What of a batch has not ended; None where nothing is left."""
    if isinstance(batch, Clean):
        return None if place.keys.clean(batch.cell) in ended else batch
    return tuple(c for c in batch if c.key not in ended and not place.store.done(c.key)) or None


def _give_up(key: str, store: Store) -> None:
    reason = f"its process died {TRIES} times: killed, out of memory, or a crash of native code"
    store.save_facts(key, {**(store.facts(key) or {}), "status": "failed", "reason": reason})


@contextmanager
def _pool(workers: Workers, place: Workplace, running: Running) -> Iterator[Any]:
    """A function that runs batches in processes, and yields what each has ended."""
    from joblib import Parallel, cpu_count, delayed, parallel_config

    local = workers.backend == "loky"
    assignment = Assignment(
        place.context.spec.to_toml(),
        place.context.device,
        tuple(place.context.fingerprints.items()),
        running.run,
        code_digest(place),
        running.out.resolve(),
        place.store.out.resolve(),
        workers.limits,
        max(1, cpu_count() // workers.jobs) if local else None,
    )
    at_once = workers.jobs if local else -1
    things = packed(registered())

    def run(work: Sequence[Batch]) -> Iterable[list[Ended]]:
        pool = Parallel(
            n_jobs=max(2, workers.jobs) if local else -1,
            pre_dispatch=at_once if local else "2*n_jobs",
            batch_size=1,
            return_as="generator_unordered",
        )
        found: Iterable[list[Ended]] = pool(
            delayed(_in_worker)(batch, assignment, things, TEXTS) for batch in work
        )
        return found

    with ExitStack() as stack:
        if local:
            stack.enter_context(parallel_config(backend="loky"))
        else:
            stack.enter_context(_cluster(workers.scheduler, assignment.out))
            stack.enter_context(parallel_config(backend="dask"))
        yield run


@contextmanager
def _cluster(scheduler: str | None, out: Path) -> Iterator[None]:
    """A connection to a Dask cluster of which every worker sees the folder of the run."""
    try:
        from distributed import Client
    except ImportError:
        raise PriemoError(
            "a Dask cluster needs the package distributed: pip install 'priemo-bench[dask]'"
        ) from None
    try:
        client = Client(scheduler, timeout=30)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise PriemoError(f"no Dask scheduler answers at {scheduler}: {error}") from None
    with client:
        seen = client.run(partial(_sees, out))
        if not seen:
            raise PriemoError(f"the cluster at {scheduler} has no workers; start dask worker")
        blind = [address for address, there in seen.items() if not there]
        if blind:
            raise PriemoError(
                f"{blind[0]} does not see {out}; every worker of the cluster must see the folder "
                "of the run under the same path"
            )
        yield


def _sees(out: Path) -> bool:
    return out.is_dir()


def _died(workers: Workers) -> tuple[type[BaseException], ...]:
    """What a pool raises when one of its processes dies."""
    if workers.backend == "loky":
        return (BrokenProcessPool,)
    from distributed import KilledWorker

    return (KilledWorker,)


def _in_worker(
    batch: Batch,
    assignment: Assignment,
    things: bytes,
    texts: Mapping[str, str],
) -> list[Ended]:
    """What a batch ends with, in a process that has the things registered in this one."""
    unpack(things)
    TEXTS.update(texts)
    with _ONE_AT_A_TIME, stoppable():
        place = _workplace(assignment)
        cells = () if isinstance(batch, Clean) else batch
        if any(place.keys.keyed(cell).key != cell.key for cell in cells):
            raise PriemoError(OTHERS)
        running = Running(assignment.out, assignment.run)
        return list(_run_batch(batch, replace(place, fitted={}), running, assignment.limits))


@lru_cache(maxsize=1)
def _workplace(assignment: Assignment) -> Workplace:
    """A worker's workplace, kept from one call to the next while data and weights are the same."""
    if assignment.threads is not None:
        die_with_parent()
        torch.set_num_threads(assignment.threads)
    context = RunContext(parse(tomllib.loads(assignment.spec)), _own_device(assignment.device))
    if context.fingerprints != dict(assignment.fingerprints):
        raise PriemoError(OTHERS)
    place = Workplace(context, Keys(context), Store(assignment.store))
    if code_digest(place) != assignment.code:
        raise PriemoError(OTHERS)
    warm_up(place)
    return place


def code_digest(place: Workplace) -> str:
    """Of what decides predictions and metrics: weights and code."""
    parts = [sorted(columns(place, place.context.spec.victims).values()), metric_names(place)]
    return sha256(json.dumps(parts).encode()).hexdigest()


def warm_up(place: Workplace) -> None:
    """Import what attacks on surrogates need, which a cell's limits should not count."""
    from priemo_bench.contracts.victim import as_art

    for victim in list(place.context.victims.values())[:1]:
        as_art(victim)


def _own_device(device: str) -> str:
    """A GPU that no other worker of this machine has, for "cuda"."""
    if device != "cuda" or torch.cuda.device_count() < 2:
        return device
    import tempfile

    from filelock import FileLock, Timeout

    for number in range(torch.cuda.device_count()):
        lock = FileLock(Path(tempfile.gettempdir()) / f"priemo-bench-gpu-{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _LOCKS.append(lock)
        torch.cuda.set_device(number)  # ART takes the current one
        return "cuda"
    raise PriemoError("every GPU has its worker already; use fewer --jobs")


_LOCKS: list[Any] = []
"""Held as long as this process lives."""


def _run_batch(batch: Batch, place: Workplace, running: Running, limits: Limits) -> Iterator[Ended]:
    for item in [batch] if isinstance(batch, Clean) else batch:
        key = _keys(batch, place)[0] if isinstance(item, Clean) else item.key
        start = time.perf_counter()
        running.begin(key, item.title, _steps(item, place))
        place.step = partial(running.step, key)
        if isinstance(item, Clean):
            status = "incomplete" if run_clean(item, place) else "done"
        else:
            status = str(run_cell(item, place, limits)["status"])
        running.end(key)
        yield Ended(key, item.title, status, time.perf_counter() - start)


def _steps(item: Cell | Clean, place: Workplace) -> int:
    return len(place.context.test_faces(item.cell if isinstance(item, Clean) else item))


@contextmanager
def _watching(running: Running, store: Store, shown: Progress) -> Iterator[Callable[[Ended], None]]:
    """Show what runs, from the files of `running`; yields what to call when a cell has ended."""
    stop, lock = threading.Event(), threading.Lock()
    begun: set[str] = set()
    over: set[str] = set()

    def ended(cell: Ended) -> None:
        with lock:
            if cell.key not in over:
                over.add(cell.key)
                shown.end(*cell)

    def watch() -> None:
        while not stop.wait(POLL):
            for key in running.all():
                facts = running.of(key)
                with lock:
                    if facts and key not in over:
                        if key not in begun:
                            begun.add(key)
                            shown.begin(key, facts["title"], facts["steps"])
                        shown.step(key, facts["done"])

    running.clear()
    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()
        running.clear()
