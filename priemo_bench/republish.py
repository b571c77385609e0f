"""Published pages: which there are, which the code would make differently today, and all anew."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from shlex import join
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from priemo_bench import registry
from priemo_bench.contracts.budgets import EQUAL, kind
from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.errors import PriemoError
from priemo_bench.progress import duration
from priemo_bench.registry import unknown

if TYPE_CHECKING:
    from priemo_bench.adversaries.front import Adversaries
    from priemo_bench.benchmark import Benchmark
    from priemo_bench.contracts.rows import Rows
    from priemo_bench.run.spec import Spec

DATA = Path("fer2013.csv")
"""Where published commands expect the user's copy of FER2013."""
ROWS = "results.parquet"
STUDY_FACTS = "facts.json"
INDEX = """\
# Published runs

Each page names the command that made it; `results.parquet` beside it has every prediction, so that
`priemo-bench report FOLDER` makes its tables and figures again without attacking anything.
`priemo-bench republish` makes anew what today's code would make differently, and writes this file
from [pages.toml](pages.toml) and the facts beside the rows. *Code* is a digest of the sources that
made a page. A page of `priemo-bench adversaries` has its table, `adversaries.csv`, and no rows.
"""
COLUMNS = ("folder", "what", "faces", "victims", "SSIM floor", "made by")


class Page(StrictModel):
    """A published page.

    Attributes:
        name: of its folder, beside pages.toml.
        command: arguments of `priemo-bench` that make it, without --out, --data and --jobs.
        shows: what it is about, in a few words.
        fer2013: whether it needs the user's copy of FER2013.
        archived: why it is not made again; "" for a page that is kept up to date.
    """

    name: str
    command: tuple[str, ...]
    shows: str
    fer2013: bool = False
    archived: str = ""


class _File(StrictModel):
    leaderboard: str = ""
    pages: tuple[Page, ...]


@dataclass(frozen=True)
class Pages:
    """The pages that a pages.toml lists, and the folder that they are in."""

    folder: Path
    pages: tuple[Page, ...]

    @classmethod
    def load(cls, path: Path) -> Pages:
        """Read pages.toml.

        Raises:
            PriemoError: it is missing, not TOML, or has a key or value that is wrong.
        """
        try:
            return cls(path.parent, _File(**tomllib.loads(path.read_text("utf-8"))).pages)
        except (OSError, UnicodeDecodeError) as error:
            raise PriemoError(f"{path} cannot be read: {error}") from None
        except tomllib.TOMLDecodeError as error:
            raise PriemoError(f"{path} is not TOML: {error}") from None
        except ValidationError as error:
            raise PriemoError(f"{path}, {first_error(error, _File, 'keys of pages')}") from None

    def named(self, names: Iterable[str]) -> list[Page]:
        """The pages with these names, or all that are kept up to date.

        Raises:
            PriemoError: no such page, or one that is archived.
        """
        known = {page.name: page for page in self.pages}
        for name in names:
            if name not in known:
                raise unknown("pages", name, known)
            if reason := known[name].archived:
                raise PriemoError(f"page {name!r} is archived: {reason}")
        chosen = dict.fromkeys(names) or [n for n, page in known.items() if not page.archived]
        return [known[name] for name in chosen]

    def job(
        self, page: Page, data: Path = DATA, jobs: int = 1, device: str = "cpu"
    ) -> Benchmark | Adversaries:
        """What the command of a page runs."""
        from priemo_bench.adversaries.front import Adversaries
        from priemo_bench.benchmark import Benchmark

        kinds: dict[str, type[Benchmark | Adversaries]] = {
            "run": Benchmark, "adversaries": Adversaries,
        }  # fmt: skip
        kind, *arguments = page.command
        if kind not in kinds:
            raise PriemoError(
                f"page {page.name!r} has the command {kind!r}; give run or adversaries"
            )
        given = _parsed(kind, [*arguments, *(["--data", str(data)] if page.fer2013 else [])])
        line = ["priemo-bench", *page.command, *(["--data", DATA.name] if page.fer2013 else [])]
        given |= {
            "out": self.folder / page.name,
            "jobs": jobs,
            "device": device,
            "command": join([*line, "--out", f"reports/{page.name}"]),
        }
        if kind != "adversaries":
            given["overwrite"] = True
        return kinds[kind](**given)

    def stale(self, page: Page) -> list[str]:
        """What of a page today's code would make differently: "attack pgd", "run" ...; [] is none.

        Besides the parts of `run.code.stale_parts`: "its spec (...)", "weights of ...", and
        "all of it" where rows are missing or cannot be read.
        """
        from priemo_bench.adversaries.front import Adversaries

        job = self.job(page)
        if isinstance(job, Adversaries):
            return job.stale()
        return list(dict.fromkeys(_stale(job)))

    def make(self, page: Page, data: Path, jobs: int, device: str, stale: list[str]) -> list[str]:
        """Make a page anew; reasons of the cells that failed."""
        from priemo_bench.adversaries.front import Adversaries

        job = self.job(page, data, jobs, device)
        if isinstance(job, Adversaries):
            job.rewrite() if stale == ["page"] else job.run()
            return list(job.failures.values())
        if stale == ["page"]:
            _rewrite(job)
        else:
            job.run()
        cells = _rows(job.out).facts["cells"]
        return [str(cell.get("reason")) for cell in cells if cell.get("status") != "done"]

    def index(self) -> str:
        """The text of README.md: tables of all pages, from pages.toml and facts."""
        kept = [page for page in self.pages if not page.archived]
        parts = [INDEX, self._table(kept)]
        for reason in dict.fromkeys(page.archived for page in self.pages if page.archived):
            parts.append(f"Archived, and not made again: {reason}.\n")
            parts.append(self._table(page for page in self.pages if page.archived == reason))
        return "\n".join(parts)

    def _table(self, pages: Iterable[Page]) -> str:
        lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
        for page in pages:
            link = f"[{page.name}]({page.name}/README.md)"
            cells = [link, page.shows, *(self._summary(page) or ["not made yet"] * 4)]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def _summary(self, page: Page) -> list[str]:
        """Faces, victims, floors and what made them; nothing for a page that is not made yet."""
        study = self.folder / page.name / STUDY_FACTS
        if study.is_file():
            return _study_summary(json.loads(study.read_text("utf-8")))
        folder = self.folder / page.name
        return _summary(_rows(folder)) if (folder / ROWS).is_file() else []


def republish(
    path: Path,
    names: Iterable[str] = (),
    data: Path = DATA,
    jobs: int = 1,
    device: str = "cpu",
    dry_run: bool = False,
    say: Callable[[str], None] = print,
) -> bool:
    """Make stale pages anew, then the index beside them; whether all went well.

    A page that fails does not keep the others from being made.

    Args:
        path: of pages.toml. names: of pages; all that are not archived where empty.
        data, jobs, device: as for `priemo-bench run`.
        dry_run: only say which pages are stale, and what of them.
        say: gets a line for each page.

    Raises:
        PriemoError: pages.toml is wrong, or names no such page.
    """
    pages = Pages.load(path)
    done = [_make(pages, page, data, jobs, device, dry_run, say) for page in pages.named(names)]
    if not dry_run:
        from priemo_bench.contracts.storage import write_text
        from priemo_bench.published.results import submitted
        from priemo_bench.report import write_overview

        write_text(pages.folder / "README.md", pages.index())
        write_overview(pages.folder, submitted(pages.folder))
    return all(done)


def _make(
    pages: Pages,
    page: Page,
    data: Path,
    jobs: int,
    device: str,
    dry_run: bool,
    say: Callable[[str], None],
) -> bool:
    """Make one page where it is stale, and say so; False where it or a cell of it failed."""
    began = perf_counter()
    try:
        stale = pages.stale(page)
        if not stale or dry_run:
            say(f"{page.name}: {'stale: ' + ', '.join(stale) if stale else 'current'}")
            return True
        say(f"{page.name}: stale: {', '.join(stale)}; making it anew")
        failed = pages.make(page, data, jobs, device, stale)
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, PriemoError) else f"{type(error).__name__}: "
        say(f"{page.name}: failed: {kind}{' '.join(str(error).split())}")
        return False
    say(f"{page.name}: made in {duration(perf_counter() - began)}")
    if failed:
        say(f"{page.name}: {len(failed)} of its cells failed, the first: {failed[0]}")
    return not failed


def _parsed(command: str, arguments: list[str]) -> dict[str, Any]:
    """Arguments of a command line as those of `Benchmark` or `Adversaries`.

    Raises:
        PriemoError: the command has no such option or value.
    """
    import typer.main

    from priemo_bench.benchmark import Benchmark
    from priemo_bench.cli import USAGE_ERROR, app
    from priemo_bench.run.overrides import override
    from priemo_bench.run.spec import Spec

    group: Any = typer.main.get_command(app)
    try:
        given = group.commands[command].make_context(command, list(arguments)).params
    except USAGE_ERROR as error:
        raise PriemoError(f"priemo-bench {command}: {error.format_message()}") from None
    known = {*Spec.model_fields, *signature(override).parameters, *signature(Benchmark).parameters}
    return {name: value for name, value in given.items() if name in known and value is not None}


def _rows(folder: Path) -> Rows:
    from priemo_bench.contracts.rows import Rows

    return Rows.load(folder / ROWS)


def _stale(benchmark: Benchmark) -> Iterator[str]:
    from priemo_bench.run.code import code_facts, stale_parts
    from priemo_bench.run.spec import differences, parse

    facts: Mapping[str, Any] = {}
    with suppress(PriemoError):
        facts = _rows(benchmark.out).facts
    yield from stale_parts(facts.get("code"), code_facts(benchmark.spec))
    if not facts:
        return
    try:
        written = parse(tomllib.loads(facts["spec"]))
        differing = differences(_portable(written), _portable(benchmark.spec))
    except PriemoError:
        differing = "one that is read no more"
    if differing:
        yield f"its spec ({differing})"
    for name in benchmark.spec.victims:
        card = getattr(registry.get("victims", name), "card", None)
        if card and (facts["victims"].get(name) or {}).get("sha256") != card.sha256:
            yield f"weights of {name}"


def _portable(spec: Spec) -> Spec:
    """A spec with the user's files by their names only."""
    sets = [
        d.model_copy(update={"data": Path(d.data.name)}) if d.data else d for d in spec.datasets
    ]
    return spec.model_copy(update={"datasets": tuple(sets)})


def _rewrite(job: Benchmark) -> None:
    """Tables, figures and page from stored rows, which then name today's code."""
    from priemo_bench.report import write_report
    from priemo_bench.run.code import code_facts

    rows = _rows(job.out)
    rows.facts["code"] = code_facts(job.spec)
    rows.save(job.out / ROWS)
    write_report(job.out)


def _summary(rows: Rows) -> list[str]:
    """Faces, victims, floors and what made them, of the run of a page."""
    facts = rows.facts
    faces = [f"{d['test']} of {d['of']} {name}" for name, d in facts["data"].items()]
    victims = list(facts["victims"])
    attacked = {name for cell in facts["cells"] for name in cell["surrogate"].split("+")}
    chosen, spared = (
        [v for v in victims if v in attacked],
        [v for v in victims if v not in attacked],
    )
    judged = f"{_code(chosen)}; evaluation-only: {_code(spared)}" if chosen and spared else ""
    floors = [
        f"{own.ssim_floor:g}" if own.ssim_floor else "none"
        for name, own in rows.budgets.items()
        if kind(name) == EQUAL
    ]
    state = [f"code {facts['code']['state']}"] if "code" in facts else []
    return [
        ", ".join(faces),
        judged or _code(victims),
        ", ".join(floors) or "none",
        ", ".join([str(facts["versions"]["priemo-bench"]), *state]),
    ]


def _study_summary(facts: Mapping[str, Any]) -> list[str]:
    """The same of a study of adversaries."""
    data, newer = facts["data"], facts["newer"]
    return [
        f"{data['test']} of {data['of']} {data['name']}",
        _code(facts["victims"]) + (f"; evaluation-only: {_code(newer)}" if newer else ""),
        ", ".join(f"{floor:g}" for floor in facts["floors"]) or "none",
        f"{facts['versions']['priemo-bench']}, code {facts['code']['state']}",
    ]


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
