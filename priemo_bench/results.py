"""A finished run as pandas DataFrames, figures and files: `Results("runs/default").methods()`."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    import pandas as pd

    from priemo_bench.judge.leaderboard import Tables

TABLES = (
    "methods", "leaderboard", "curve", "optimality", "together", "transfer", "defenses", "victims",
    "costs", "failures", "rows",
)  # fmt: skip
"""Methods of `Results` that give a table."""
GLOSSED = {"curve": "curves", "rows": "results"}
"""What the glossary calls them, where that is another name."""


class Results:
    """A finished run: its rows, tables and figures.

    Every table is a DataFrame whose `attrs["columns"]` says of each column what it holds (`text`),
    its `unit` and its `direction` ("higher is better", for whoever owns the photo). Rates are
    shares from 0 to 1, `*_low` and `*_high` their 95 % intervals, NaN is unknown.

    Args:
        out: the folder that a run was written to.

    Attributes:
        out: the same.

    Example:
        >>> from priemo_bench import Results
        >>> results = Results("reports/default")
        >>> results.methods()  # doctest: +SKIP
        >>> results.plot("leaderboard")  # doctest: +SKIP
        >>> results.save("methods.tex")  # doctest: +SKIP
    """

    def __init__(self, out: Path | str) -> None:
        self.out = Path(out)

    @cached_property
    def tables(self) -> Tables:
        """All tables, from `results.parquet`.

        Raises:
            PriemoError: there is none, or it is damaged.
        """
        from priemo_bench.contracts.rows import Rows
        from priemo_bench.judge.leaderboard import Tables

        return Tables(Rows.load(self.out / "results.parquet"))

    def methods(self) -> pd.DataFrame:
        """As methods.csv: attacks pooled over surrogates and targets, the table to begin with."""
        return _documented(self.tables.methods(), "methods")

    def leaderboard(self, by: str = "protection_rate") -> pd.DataFrame:
        """As leaderboard.csv: one line per attack, budget, surrogate and target.

        Args:
            by: the column that it is sorted by, such as "survival", the largest first.

        Raises:
            PriemoError: there is no such column.
        """
        return _documented(self.tables.leaderboard(by), "leaderboard")

    def curve(self) -> pd.DataFrame:
        """As curves.csv: one line per method and floor with the `area` under the curve.

        Empty for a run with a single floor.
        """
        from priemo_bench.report.tables import curve_points

        return _documented(curve_points(self.tables), "curves")

    def optimality(self) -> pd.DataFrame:
        """As optimality.csv: how near each method comes to the best of all others.

        Empty for a run with a single floor.
        """
        from priemo_bench.judge.optimality import optimality

        return _documented(optimality(self.tables), "optimality")

    def together(self) -> pd.DataFrame:
        """What all victims of a line of the leaderboard lose at once, where there are several."""
        from priemo_bench.judge.together import together

        return _documented(together(self.tables), "together")

    def transfer(self) -> pd.DataFrame:
        """As transfer.csv: one line per line of the leaderboard and victim."""
        return _documented(self.tables.transfer(), "transfer")

    def defenses(self) -> pd.DataFrame:
        """As defenses.csv: one line per line of the leaderboard and defense."""
        return _documented(self.tables.defenses(), "defenses")

    def victims(self) -> pd.DataFrame:
        """One line per victim and defense: its accuracy on clean faces."""
        return _documented(self.tables.victims(), "victims")

    def costs(self) -> pd.DataFrame:
        """As costs.csv: one line per cell with its status, seconds, passes and memory."""
        return _documented(self.tables.costs(), "costs")

    def failures(self) -> pd.DataFrame:
        """As failures.csv: every cell that failed, with its reason."""
        return _documented(self.tables.failures(), "failures")

    def rows(self) -> pd.DataFrame:
        """As results.parquet: one line per published image, defense, victim and seed.

        With probabilities where victims gave them.
        """
        return _documented(self.tables.rows.frame.copy(deep=False), "results")

    def plot(self, kind: str = "leaderboard", dataset: str | None = None, **options: Any) -> Any:
        """Draw one of the figures of the page.

        Args:
            kind: "leaderboard" (intervals), "curve", "speed", "quality", "transfer", "defenses" or
                "filters".
            dataset: which, where the run has several; the first when None.
            options: for the function that draws (`priemo_bench.report.plots`), such as `figure`.

        Returns:
            matplotlib's Axes; an array of them for "transfer" and "filters".

        Raises:
            PriemoError: there is no such figure or data set, or nothing for it to show.
        """
        from priemo_bench.registry import unknown
        from priemo_bench.report.figures import FIGURES
        from priemo_bench.report.plots.style import styled

        own = next((figure for figure in FIGURES if figure.name == kind), None)
        if own is None:
            raise unknown("figures", kind, [figure.name for figure in FIGURES])
        datasets = list(dict.fromkeys(names["dataset"] for names in self.tables.predictions.names))
        if dataset is not None and dataset not in datasets:
            raise unknown("datasets", dataset, datasets)
        shown = own.lines(self.tables, dataset or datasets[0])
        if not len(shown):
            raise PriemoError(f"{self.out} has nothing for the figure {kind!r} to show")
        with styled():
            return own.draw(shown, **options)

    def save(self, path: Path | str, table: str = "methods") -> None:
        """Write a table; the suffix says how: .csv, .parquet, .json, .md, .tex or .html.

        Args:
            path: of the file. table: name of the method that gives it.

        Raises:
            PriemoError: there is no such table or format, or the file cannot be written.
        """
        from priemo_bench.registry import unknown
        from priemo_bench.report.export import save_table

        if table not in TABLES:
            raise unknown("tables", table, TABLES)
        found = getattr(self, table)()
        save_table(found, GLOSSED.get(table, table), Path(path), about(self.tables))

    def __repr__(self) -> str:
        """What is there, in a few lines."""
        name = f"Results({str(self.out)!r})"
        if not (self.out / "results.parquet").is_file():
            return f"{name}: nothing is there; a run writes results.parquet"
        try:
            rows = self.tables.rows
        except PriemoError as error:
            return f"{name}: {error}"
        frame, cells = rows.frame, rows.cells
        failed = int((cells["status"] == "failed").sum())
        counts = {
            "attack": cells["attack"].nunique(), "victim": frame["victim"].nunique(),
            "defense": frame["defense"].nunique(), "budget": cells["budget"].nunique(),
            "face": len(frame[["dataset", "image"]].drop_duplicates()),
        }  # fmt: skip
        words = ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for word, n in counts.items())
        datasets = " and ".join(map(str, dict.fromkeys(cells["dataset"])))
        lost = f"; {failed} cells failed" if failed else ""
        return f"{name}: {words} of {datasets}{lost}\ntables: {', '.join(TABLES)}"

    def _repr_html_(self) -> str:
        """The short table of methods, for notebooks."""
        from html import escape

        from priemo_bench.report.export import as_html

        if not (self.out / "results.parquet").is_file():
            return f"<p>{escape(repr(self))}</p>"
        shown = as_html(self.methods(), "methods")
        return f"<p>{escape(repr(self).splitlines()[0])}</p>\n{shown}"


def about(tables: Tables) -> dict[str, str]:
    """Name, command, version and code of a run, as far as its rows say."""
    facts = tables.rows.facts
    versions, code = facts.get("versions") or {}, facts.get("code") or {}
    found = {
        "name": facts.get("name"), "command": facts.get("command"),
        "version": versions.get("priemo-bench"), "code": code.get("state"),
    }  # fmt: skip
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _documented(table: pd.DataFrame, name: str) -> pd.DataFrame:
    from priemo_bench.judge.glossary import described

    table.attrs["columns"] = described(list(map(str, table.columns)), name)
    return table
