"""Protection against quality: a run for each SSIM floor, and the area under what they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    import pandas as pd

FLOORS = (0.999, 0.997, 0.99, 0.98, 0.95, 0.90)
CAPS = ((0.999, 4 / 255), (0.997, 8 / 255), (0.98, 16 / 255), (0.0, 32 / 255))
"""From each floor up, the largest change of a pixel that goes with it."""
EPS_GRID = tuple(v / 255 for v in (1, 2, 4, 8, 16, 32))
"""Strengths from which an attack with an eps gets it, up to the cap, unless it has its own."""
HOME = 0.997
"""The SSIM floor that a spec's PSNR floor stands beside."""
KEYS = ["dataset", "budget", "attack", "scope", "scale", "targeted", "threat"]
"""What one curve is."""
SHOWN = [
    "ssim_floor", "psnr_floor", "eps", "n", "seeds", "surrogates", "rank", "protection_rate",
    "protection_low", "protection_high", "macro_protection_rate", "transfer_rate", "transfer_low",
    "transfer_high", "next_low", "next_high", "targeted_rate", "ssim", "ssim_worst", "psnr",
    "within_budget", "budget_used", "on_floor", "unused",
]  # fmt: skip


def cap(floor: float) -> float:
    """The linf bound of a floor, by CAPS."""
    return next(eps for least, eps in CAPS if floor >= least)


def psnr_floor(at_home: float | None, floor: float) -> float | None:
    """The PSNR floor beside an SSIM floor, from that at HOME: energy grows as the allowed drop."""
    if at_home is None:
        return None
    return round(at_home - 10 * log10((1 - floor) / (1 - HOME)), 1)


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
    """

    def __init__(
        self,
        spec: str | Path = "curve",
        floors: Sequence[float] = FLOORS,
        out: Path | str | None = None,
        jobs: int = 1,
        device: str = "cpu",
        command: str | None = None,
        **overrides: Any,
    ) -> None:
        from priemo_bench.benchmark import Benchmark
        from priemo_bench.spec import load

        self.floors = tuple(sorted(set(floors), reverse=True))
        if len(self.floors) < 2 or not all(0 < floor < 1 for floor in self.floors):
            raise PriemoError(f"floors are {list(floors)}; give two or more between 0 and 1")
        whole = load(spec, **overrides)
        attacks = tuple(_equal(a) for a in whole.attacks if _has_strength(a.name))
        if not attacks:
            raise PriemoError("no attack of the spec has a strength to choose; give one that has")
        self.out = Path(out) if out is not None else Path("runs") / f"curve-{whole.name}"
        self.command = command or f"Curve({str(spec)!r}).run()"
        self.benchmarks = {
            floor: Benchmark(
                whole.model_copy(
                    update={
                        "attacks": attacks, "defenses": ("none",), "ssim_floor": floor,
                        "psnr_floor": psnr_floor(whole.psnr_floor, floor),
                        "eps": cap(floor), "eps_grid": EPS_GRID,
                    }
                ),
                self.out / f"ssim-{floor:g}", jobs, device, self.command,
            )
            for floor in self.floors
        }  # fmt: skip

    def run(self, progress: bool = False) -> pd.DataFrame:
        """Do what is not done yet, then write curves.csv, figures and README.md; `curves`."""
        results = {floor: benchmark.run(progress) for floor, benchmark in self.benchmarks.items()}
        return write_curves(self.out, {f: r.tables for f, r in results.items()}, self.command)


def write_curves(out: Path, tables: dict[float, Any], command: str) -> pd.DataFrame:
    """Write curves.csv, figures and README.md from the `Tables` of each floor."""
    from priemo_bench.report.curve import write_curve
    from priemo_bench.report.page import one_sided

    facts = [own.rows.facts for own in tables.values()]
    psnr = {floor: own.rows.facts.get("psnr_floor") for floor, own in tables.items()}
    table = curves({floor: own.methods() for floor, own in tables.items()}, psnr)
    write_curve(out, table, command, one_sided(facts[0]))
    return table


def _has_strength(name: str) -> bool:
    from priemo_bench import registry

    traits = registry.get("attacks", name).traits
    return bool(traits.budgeted or traits.knob)


def _equal(attack: Any) -> Any:
    budgets = [b for b in attack.budgets or ("equal", "equal-psnr") if b != "conventional"]
    return attack.model_copy(update={"budgets": tuple(budgets)})


def rewrite(out: Path, kin: Iterable[str]) -> bool:
    """Every page of a folder of curves again, from the stored rows; False for another folder."""
    from priemo_bench.leaderboard import Tables
    from priemo_bench.report import write_report
    from priemo_bench.rows import Rows

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


def curves(
    methods: dict[float, pd.DataFrame], psnr_floors: Mapping[float, float | None] | None = None
) -> pd.DataFrame:
    """One line per method and floor, largest area first, with the `area` of its curve.

    Args:
        methods: floor to the `methods` table of its run (see `priemo_bench.leaderboard`).
        psnr_floors: SSIM floor to the PSNR floor of its run.
    """
    import pandas as pd

    beside = psnr_floors or {}
    parts = [
        table.assign(ssim_floor=floor, psnr_floor=beside.get(floor) or float("nan"), eps=cap(floor))
        for floor, table in methods.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    found = [
        part.assign(area=_area(part, list(methods))) for _, part in table.groupby(KEYS, sort=False)
    ]
    joined = pd.concat(found).sort_values(
        ["dataset", "targeted", "area", *KEYS[1:], "ssim_floor"],
        ascending=[True, True, False, *([True] * len(KEYS[1:])), False],
        kind="stable",
    )
    return joined[[*KEYS, "area", *SHOWN]].reset_index(drop=True)


def _area(part: pd.DataFrame, floors: list[float]) -> float:
    """`area` of one method; NaN where a floor is missing."""
    rates = part.set_index("ssim_floor")["protection_rate"].reindex(floors)
    return float("nan") if rates.isna().any() else area(floors, rates.tolist())


def area(floors: Sequence[float], rates: Sequence[float]) -> float:
    """Mean protection rate over the logarithm of the allowed SSIM drop, by trapezoids, 0 to 1.

    A factor of two in the drop counts the same everywhere: how much is protected at almost no loss
    weighs as much as what a visible loss buys.
    """
    from scipy.integrate import trapezoid

    drops, values = zip(
        *sorted((log(1 - f), r) for f, r in zip(floors, rates, strict=True)), strict=True
    )
    return float(trapezoid(values, drops) / (drops[-1] - drops[0]))
