"""Protection against quality: a benchmark for each SSIM floor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    import pandas as pd

    from priemo_bench.judge.leaderboard import Tables
    from priemo_bench.progress import Mode
    from priemo_bench.run.schedule import Backend
    from priemo_bench.run.spec import AttackSpec

FLOORS = (0.999, 0.997, 0.99, 0.98, 0.95, 0.90)
CAPS = ((0.999, 4 / 255), (0.997, 8 / 255), (0.98, 16 / 255), (0.0, 32 / 255))
"""SSIM floors, from each of which up the linf cap beside it holds."""
EPS_GRID = tuple(v / 255 for v in (1, 2, 4, 8, 16, 32))
"""From which an attack with an eps gets it, up to the cap, unless the spec gives it its own."""
SPEC_FLOOR = 0.997
"""The SSIM floor that a spec's PSNR floor belongs to."""


def cap(floor: float) -> float:
    """The linf cap that belongs to an SSIM floor, by CAPS.

    Example:
        >>> from priemo_bench.curve import cap
        >>> round(cap(0.98) * 255)
        16
    """
    return next(eps for least, eps in CAPS if floor >= least)


def psnr_floor(at_spec_floor: float | None, floor: float) -> float | None:
    """The PSNR floor beside an SSIM floor: the energy grows as the allowed SSIM drop."""
    if at_spec_floor is None:
        return None
    return round(at_spec_floor - 10 * log10((1 - floor) / (1 - SPEC_FLOOR)), 1)


class Curve:
    """One spec under several equal-quality budgets: a `Benchmark` for each, in a folder each.

    Attacks without a knob that do not keep a budget by themselves are left out, and so are
    defenses and conventional settings.

    Args:
        spec: the name of a bundled spec, or a TOML file.
        floors: SSIM floors; the linf bound of each is `cap(floor)`, and where the spec has a PSNR
            floor, that of each is `psnr_floor` of it.
        out: folder of the runs, curves.csv, figures and README.md; `runs/curve-NAME` when None.
        jobs, device, command, overrides: as for `Benchmark`.

    Raises:
        PriemoError: anything in the spec that is wrong, fewer than two floors, one outside (0, 1).

    Example:
        >>> from priemo_bench.curve import Curve
        >>> curve = Curve("curve", floors=(0.997, 0.98), dataset="rendered")
        >>> curve.benchmarks[0.98].spec.eps * 255
        16.0
        >>> curve.run()  # doctest: +SKIP
    """

    def __init__(
        self,
        spec: str | Path = "curve",
        floors: Sequence[float] = FLOORS,
        out: Path | str | None = None,
        command: str | None = None,
        overwrite: bool = False,
        jobs: int = 1,
        device: str = "cpu",
        backend: Backend = "loky",
        scheduler: str | None = None,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        **overrides: Any,
    ) -> None:
        from priemo_bench.benchmark import Benchmark
        from priemo_bench.run.spec import default_folder, load

        self.floors = tuple(sorted(set(floors), reverse=True))
        if len(self.floors) < 2 or not all(0 < floor < 1 for floor in self.floors):
            raise PriemoError(f"floors are {list(floors)}; give two or more between 0 and 1")
        self.spec = load(spec, **overrides)
        attacks = tuple(_equal(a) for a in self.spec.attacks if _has_strength(a.name))
        if not attacks:
            raise PriemoError("no attack of the spec has a strength to choose; give one that has")
        own = default_folder(spec, self.spec)
        self.out = Path(out) if out is not None else own.with_name(f"curve-{own.name}")
        self.command = command or f"Curve({str(spec)!r}).run()"
        self.benchmarks = {
            floor: Benchmark(
                self.spec.model_copy(
                    update={
                        "attacks": attacks, "defenses": ("none",), "ssim_floor": floor,
                        "psnr_floor": psnr_floor(self.spec.psnr_floor, floor),
                        "eps": cap(floor), "eps_grid": EPS_GRID,
                    }
                ),
                self.out / f"ssim-{floor:g}", jobs, device, backend, scheduler, time_limit,
                memory_limit, overwrite, store=self.out, command=self.command,
            )
            for floor in self.floors
        }  # fmt: skip

    def run(self, progress: Mode = "auto") -> pd.DataFrame:
        """Do what is not done yet, then write curves.csv, figures and README.md; `curves`.

        Perturbations are made once for all floors, where they do not depend on the floor.
        """
        self.results = {f: benchmark.run(progress) for f, benchmark in self.benchmarks.items()}
        return write_curves(self.out, {f: r.tables for f, r in self.results.items()}, self.command)

    @property
    def is_whole(self) -> bool:
        """Whether no cell of `run` failed or is incomplete."""
        return all(result.failures().empty for result in self.results.values())


def write_curves(out: Path, tables: Mapping[float, Tables], command: str) -> pd.DataFrame:
    """Write curves.csv, figures and README.md from the `Tables` of each floor."""
    from priemo_bench.judge.curves import curves
    from priemo_bench.report.curves import write_curve
    from priemo_bench.report.page import one_sided

    table = curves(tables)
    facts = next(iter(tables.values())).rows.facts
    write_curve(out, table, command, one_sided(facts))
    return table


def _has_strength(name: str) -> bool:
    from priemo_bench import registry

    traits = registry.get("attacks", name).traits
    return bool(traits.budgeted or traits.knob)


def _equal(attack: AttackSpec) -> AttackSpec:
    budgets = [b for b in attack.budgets or ("equal", "equal-psnr") if b != "conventional"]
    return attack.model_copy(update={"budgets": tuple(budgets)})


def rewrite(out: Path, kin: Iterable[str]) -> bool:
    """Every page of a folder of curves again, from the stored rows; False for another folder."""
    from priemo_bench.contracts.rows import Rows
    from priemo_bench.judge.leaderboard import Tables
    from priemo_bench.report import write_report

    folders = {
        float(folder.name.removeprefix("ssim-")): folder
        for folder in out.glob("ssim-*")
        if (folder / "results.parquet").is_file()
    }
    if not folders or (out / "results.parquet").is_file():
        return False
    tables = {}
    for floor, folder in sorted(folders.items(), reverse=True):
        write_report(folder, kin)
        tables[floor] = Tables(Rows.load(folder / "results.parquet"), kin)
    write_curves(out, tables, next(iter(tables.values())).rows.facts["command"])
    return True
