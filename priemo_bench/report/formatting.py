"""How numbers are written in the tables of a page and of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

Formatter = Callable[[pd.Series], str]
"""A line of a table to the text of one of its columns."""

BUDGET_NAMES = {"equal": "equal SSIM", "equal-psnr": "equal PSNR", "conventional": "usual settings"}
"""What a reader sees of the budgets, in reading order."""


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent, "-" where it is unknown.

    Example:
        >>> percent(0.9712), percent(float("nan"))
        ('97.1', '-')
    """
    return "-" if pd.isna(value) else f"{100 * value:.{digits}f}"


def decimal(value: float, digits: int) -> str:
    """A number with `digits` decimals, "-" where it is unknown."""
    return "-" if pd.isna(value) else f"{value:.{digits}f}"


def whole(value: float) -> str:
    """A whole number, "-" where it is unknown."""
    return "-" if pd.isna(value) else str(int(value))


def interval(line: pd.Series, name: str) -> str:
    """ "[94.0, 98.6]" from the shares `name`_low and `name`_high; "-" where they are unknown."""
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return "-" if pd.isna(low) else f"[{percent(low)}, {percent(high)}]"


def rate(line: pd.Series, name: str = "protection", value: str = "") -> str:
    """ "97.1 [94.0, 98.6]" from column `value`, which is `name`_rate by default, and its interval.

    Example:
        >>> line = {"protection_rate": 0.5, "protection_low": 0.4, "protection_high": 0.6}
        >>> rate(pd.Series(line))
        '50.0 [40.0, 60.0]'
    """
    found = line[value or f"{name}_rate"]
    return "-" if pd.isna(found) else f"{percent(found)} {interval(line, name)}"


def formatted(table: pd.DataFrame, columns: Mapping[str, Formatter]) -> pd.DataFrame:
    """A table of texts: a line for each of `table`, a column for each of `columns`."""
    lines = [line for _, line in table.iterrows()]
    return pd.DataFrame({name: [text(line) for line in lines] for name, text in columns.items()})


def pivoted(table: pd.DataFrame, index: list[str], columns: str, texts: list[str]) -> pd.DataFrame:
    """A table of `texts`, one for each line of `table`, as by DataFrame.pivot; "-" for none."""
    wide = table.assign(text=texts).pivot_table(
        index=index, columns=columns, values="text", aggfunc="first", observed=True, sort=False
    )
    return wide.fillna("-").reset_index().rename_axis(None, axis=1)


def markdown(table: pd.DataFrame) -> str:
    r"""A table of texts in Markdown.

    DataFrame.to_markdown would need tabulate, which neither escapes bars nor joins lines.

    Example:
        >>> print(markdown(pd.DataFrame({"attack": ["a|b"], "n": ["1"]})))
        | attack | n |
        |---|---|
        | a\|b | 1 |
    """

    def row(cells: Iterable[object]) -> str:
        texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(texts) + " |"

    lines = [row(table.columns), "|" + "---|" * len(table.columns)]
    return "\n".join([*lines, *(row(line) for line in table.itertuples(index=False))])


def csv(table: pd.DataFrame) -> str:
    """A table of numbers as CSV, with six digits."""
    return str(table.to_csv(index=False, float_format="%.6g"))
