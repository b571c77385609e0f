"""A study in a folder: what is done is kept under OUT/cells and never done again.

Each unit has a key, a digest of all that decides its findings: the attack, its faces, weights and
parameters, the victims, the settings of the adversary, and the code of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from priemo_bench.adversaries.cases import Case, Finding, StudyContext
from priemo_bench.adversaries.study import AttackStudy, Study
from priemo_bench.adversaries.units import Unit, units
from priemo_bench.contracts.storage import storage_errors
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, Progress, progress
from priemo_bench.run.code import code_of
from priemo_bench.run.faults import plugin_errors
from priemo_bench.run.keys import Keys
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.store import Store

ARRAYS = ("clean", "before", "clean_after", "after", "flagged")


class Session:
    """A study in a folder.

    Args:
        device: of the victims, "cpu" or "cuda".

    Raises:
        PriemoError: a device that is not there, or data that cannot be read.
    """

    def __init__(self, study: Study, out: Path, device: str = "cpu") -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise PriemoError(f"device {device!r} is not available here; use cpu")
        self.study, self.out, self.device = study, out, device
        context = StudyContext(study.spec, device)
        self.place = Workplace(context, Keys(context), Store(out))
        self.units = units(study)
        self.failures: dict[str, str] = {}
        self._cases: dict[str, Case] = {}

    def case(self, attack: AttackStudy) -> Case:
        """The case of an attack; the same for all of its units."""
        if attack.title not in self._cases:  # one in memory at a time
            self._cases = {attack.title: Case(attack, self.study, self.place)}
        return self._cases[attack.title]

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of each unit, by its title."""
        return {unit.title: self._key(unit) for unit in self.units}

    def _key(self, unit: Unit) -> str:
        keys, source = self.place.keys, dict(unit.variant).get("from")
        attacks = [unit.attack, *([self.study.named(str(source))] if source else [])]
        cases = [self.case(attack) for attack in attacks]
        victims = [*self.study.victims, *self.study.newer, *self.study.retraining.tuned]
        parts = {
            "attacks": [keys.perturbation(case.request, case.test) for case in cases],
            "budgets": [repr(case.budget) for case in cases],
            "victims": {name: keys.victim(name) for name in dict.fromkeys(victims)},
            "settings": unit.settings(self.study),
            "code": code_of(unit.module).digest,
        }
        return sha256(json.dumps(parts, default=str).encode()).hexdigest()[:20]

    @property
    def open(self) -> list[Unit]:
        """Units that are not done."""
        return [unit for unit in self.units if not self.place.store.done(self.keys[unit.title])]

    def run(self, shown: Progress) -> None:
        """Do what is open; a unit that fails leaves its reason in `failures` and stops none."""
        todo = self.open
        shown.run(len(todo))
        for unit in todo:
            shown.begin(unit.title, unit.title)
            self.place.step = partial(shown.step, unit.title)
            with plugin_errors() as failure:
                self._do(unit)
            if failure.reason:
                self.failures[unit.title] = failure.reason
            status = "failed" if failure.reason else "done"
            shown.end(unit.title, unit.title, status, note=failure.reason)

    def _do(self, unit: Unit) -> None:
        found = list(unit.findings(self.case(unit.attack), dict(unit.variant)))
        save(self.place.store, self.keys[unit.title], found)

    def findings(self) -> Iterator[tuple[Unit, Finding]]:
        """All findings there are, in the order of the study."""
        for unit in self.units:
            for finding in restored(self.place.store, self.keys[unit.title]):
                yield unit, finding


def save(store: Store, key: str, findings: list[Finding]) -> None:
    """Keep the findings of a unit."""
    arrays, lines = {}, []
    for k, finding in enumerate(findings):
        for name in ARRAYS:
            if (value := getattr(finding, name)) is not None:
                arrays[f"{k}.{name}"] = np.asarray(value).astype(np.int8)
        lines.append({n: v for n, v in asdict(finding).items() if n not in ARRAYS})
    store.save_arrays(key, arrays)
    store.save_facts(key, {"status": "done", "findings": lines})


def restored(store: Store, key: str) -> list[Finding]:
    """What `save` kept under a key; nothing where it is absent or damaged."""
    facts, arrays = store.facts(key), store.arrays(key)
    if not facts or not arrays:
        return []
    found = []
    for k, line in enumerate(facts["findings"]):
        own: dict[str, Any] = {
            name: arrays[f"{k}.{name}"].astype(bool if name == "flagged" else np.int64)
            for name in ARRAYS
            if f"{k}.{name}" in arrays
        }
        found.append(Finding(**line, **own))
    return found


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold the folder `out`; PriemoError where another study is written to it."""
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    with storage_errors(out / ".lock"):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError, too
            raise PriemoError(
                f"another study is writing to {out}; wait for its end, or give another folder "
                "with --out"
            ) from None
    try:
        yield
    finally:
        lock.release()


def run_session(session: Session, jobs: int = 1, mode: Mode = "auto") -> None:
    """Do what is open of a study.

    Args:
        jobs: processes, each of which takes whole attacks. mode: of progress.
    """
    session.place.store.sweep()
    with progress(mode) as shown:
        if jobs > 1:
            _in_processes(session, jobs, shown)
        session.run(shown)


def _in_processes(session: Session, jobs: int, shown: Progress) -> None:
    """Attacks with open units, each in a process of its own; `run` finds what these leave open."""
    from joblib import Parallel, delayed

    titles = list(dict.fromkeys(unit.attack.title for unit in session.open))
    if not titles:
        return
    shown.run(len(titles))
    given = session.study, session.out, session.device
    calls = (delayed(_one_attack)(*given, title) for title in titles)
    for title in Parallel(jobs, return_as="generator_unordered")(calls):
        shown.end(title, title)


def _one_attack(study: Study, out: Path, device: str, title: str) -> str:
    """The units of one attack, in a worker; failures are met again, and told, by the parent."""
    torch.set_num_threads(1)
    session = Session(study, out, device)
    session.units = [unit for unit in session.units if unit.attack.title == title]
    with progress("quiet") as shown:
        session.run(shown)
    return title
