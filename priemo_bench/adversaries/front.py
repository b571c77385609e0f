"""What a user types: a study run, its table, and its page; and whether a page is as new as code."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from priemo_bench.adversaries.study import Study, load
from priemo_bench.adversaries.units import units
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import write_text
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode

if TYPE_CHECKING:
    import pandas as pd

    from priemo_bench.adversaries.session import Session

PAGE = (
    "priemo_bench.adversaries.page", "priemo_bench.adversaries.table",
    "priemo_bench.adversaries.session",
)  # fmt: skip
"""What makes table and page of stored findings."""
FACTS = "facts.json"


class Adversaries:
    """A study of adversaries in a folder: `Adversaries("study", data=...).run()`.

    Args:
        spec: a `Study`, "study", or a TOML file.
        data: the user's copy of its data set. limit: test faces, instead of the study's.
        out: folder; runs/NAME where None. jobs: processes. device: "cpu" or "cuda".
        command: that the page names; None is this call.

    Raises:
        PriemoError: anything in the study that is wrong.
    """

    def __init__(
        self,
        spec: Study | str | Path = "study",
        data: Path | None = None,
        limit: int | None = None,
        out: Path | None = None,
        jobs: int = 1,
        device: str = "cpu",
        command: str | None = None,
    ) -> None:
        if jobs < 1:
            raise PriemoError(f"jobs is {jobs}; it must be at least 1")
        self.study = spec if isinstance(spec, Study) else load(spec, data, limit)
        self.out = Path("runs") / self.study.name if out is None else out
        self.jobs, self.device = jobs, device
        self.command = command or "Adversaries().run()"
        self.failures: dict[str, str] = {}

    def run(self, progress: Mode = "auto") -> pd.DataFrame:
        """Do what is not done yet, then write table, figures and page; the table.

        What fails is in `failures`, by its title, and on the page; so is what is not done yet where
        the study is interrupted.
        """
        from priemo_bench.adversaries.session import Session, claimed, run_session

        with claimed(self.out):
            session = Session(self.study, self.out, self.device)
            try:
                run_session(session, self.jobs, progress)
            except KeyboardInterrupt:
                self._write(session)
                raise
            return self._write(session)

    def _write(self, session: Session) -> pd.DataFrame:
        """Table, figures and page of what there is; the table."""
        from priemo_bench.adversaries.page import write_page
        from priemo_bench.adversaries.table import table

        self.failures = dict(session.failures)
        test = session.case(self.study.attacks[0]).test
        found = table(session.findings(), test, "+".join(self.study.surrogates))
        facts = self._facts(session)
        write_text(self.out / "study.toml", to_toml(self.study))
        write_page(self.out, found, facts)
        write_text(self.out / FACTS, json.dumps(facts, indent=1) + "\n")
        return found

    def _facts(self, session: Session) -> dict[str, Any]:
        from priemo_bench.run.provenance import versions

        test = session.case(self.study.attacks[0]).test
        counts = np.bincount(test.labels, minlength=len(EMOTIONS))
        name = self.study.dataset.name
        return {
            "name": self.study.name,
            "command": self.command,
            "study": to_toml(self.study),
            "seed": self.study.seed,
            "data": {
                "name": name,
                "test": len(test),
                "of": len(session.place.context.split(name, "test")),
                "notes": list(test.notes),
            },
            "commonest": EMOTIONS[int(counts.argmax())],
            "chance": round(100 * float(counts.max() / len(test)), 1),
            "victims": list(self.study.victims),
            "newer": list(self.study.newer),
            "floors": sorted({a.ssim_floor for a in self.study.attacks if a.ssim_floor})[::-1],
            "versions": versions(),
            "machine": {
                "cpus": os.cpu_count(), "device": self.device,
                "system": f"{platform.system()} {platform.machine()}",
            },
            "code": code_facts(self.study),
            "failures": {u.title: "not done yet" for u in session.open} | self.failures,
        }  # fmt: skip

    def rewrite(self) -> None:
        """The page again from its table, which then names today's code."""
        rewrite(self.out, code_facts(self.study))

    def stale(self) -> list[str]:
        """What of the page today's code would make differently; [] is none, "all of it" all."""
        from priemo_bench.run.code import stale_parts

        try:
            facts = json.loads((self.out / FACTS).read_text("utf-8"))
        except (OSError, ValueError):
            return ["all of it"]
        found = stale_parts(facts.get("code"), code_facts(self.study))
        if facts.get("study") != to_toml(self.study):
            found.append("its study")
        return found + [f"failed: {title}" for title in facts.get("failures", {})]


def rewrite(out: Path, code: Mapping[str, Any] | None = None) -> bool:
    """The page of a study again from its table and facts; False for another folder.

    Args:
        code: digests of today's code, where it is to name that.
    """
    from priemo_bench.adversaries.page import TABLE, write_page

    if not ((out / TABLE).is_file() and (out / FACTS).is_file()):
        return False
    import pandas as pd

    with told(out, "holds no study that can be read; make it again"):
        facts = json.loads((out / FACTS).read_text("utf-8"))
        facts["code"] = code or facts["code"]
        write_page(out, pd.read_csv(out / TABLE), facts)
    write_text(out / FACTS, json.dumps(facts, indent=1) + "\n")
    return True


def code_facts(study: Study) -> dict[str, Any]:
    """Digests of the sources that decide a study and its page, as those of a run.

    Returns:
        As `run.code.code_facts`; `run` is the code of the adversaries, `page` that of this page.
    """
    from priemo_bench.run.code import code_facts as of_run
    from priemo_bench.run.code import code_of

    found = of_run(study.spec)
    adversaries = sorted({code_of(unit.module).sources for unit in units(study)})
    folder = files("priemo_bench.adversaries")
    pages = [(folder / name).read_text("utf-8") for name in ("page.md.jinja", "page.html.jinja")]
    parts: Mapping[str, Any] = {
        **{k: v for k, v in found.items() if k in ("attacks", "victims")},
        "defenses": {},
        "metrics": {},
        "run": _digest(adversaries),
        "page": _digest([code_of(*PAGE).sources, pages]),
    }
    return {"state": _digest(parts), **parts}


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def to_toml(study: Study) -> str:
    """TOML that reads back as this study, with the user's data by its name only."""
    import tomli_w

    values = study.model_dump(mode="json", exclude_none=True)
    if data := values["dataset"].get("data"):
        values["dataset"]["data"] = Path(data).name
    for attack, own in zip(values["attacks"], study.attacks, strict=True):
        for bound in ("ssim_floor", "eps"):
            if getattr(own, bound) is None:
                attack[bound] = "none"
    values["attacks"] = values.pop("attacks")
    return tomli_w.dumps(values)
