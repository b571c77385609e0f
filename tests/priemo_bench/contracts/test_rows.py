"""A file of rows says what it was saved with, or says in one sentence that it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from priemo_bench.contracts.rows import NAMED, ROW, Rows
from priemo_bench.contracts.shapes import fault
from priemo_bench.errors import PriemoError
from priemo_bench.judge.compare import compared
from priemo_bench.judge.leaderboard import Tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two images of one cell."""
    names = dict.fromkeys(NAMED, "x") | {"defense": "none", "budget": "equal"}
    numbers = {"seed": 0, "label": 1, "clean": 1, "prediction": 2, "target_label": -1}
    quality = {"ssim": 0.997, "ssim_full": 0.998, "psnr": 40.0, "linf": 0.01}
    frame = pd.DataFrame([{**names, **numbers, **quality, "image": str(i)} for i in range(2)])
    cell = {**{name: names[name] for name in ROW}, "seed": 0, "status": "done"}
    facts = {"cells": [cell], "ssim_floor": 0.997, "eps": 0.03, "versions": {"priemo-bench": "9.8"}}
    Rows(frame.astype(dict.fromkeys(NAMED, "category")), facts).save(tmp_path / "results.parquet")
    return tmp_path / "results.parquet"


def rewrite(path: Path, change: Callable[[pa.Table, dict[str, Any]], pa.Table | None]) -> None:
    """The same file with other columns or facts, as by another program."""
    table = pq.read_table(path)
    facts = json.loads(table.schema.metadata[b"priemo_bench"])
    table = change(table, facts) or table
    metadata = {b"priemo_bench": json.dumps(facts).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def sentence(path: Path) -> str:
    with pytest.raises(PriemoError) as caught:
        Tables(Rows.load(path)).leaderboard()
    with pytest.raises(PriemoError):
        compared(path.parent, path.parent)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["ssim_full", "scale", "person", "target_label", "seed"])
def test_a_missing_column_is_named(path: Path, name: str) -> None:
    rewrite(path, lambda table, facts: table.drop_columns([name]))
    assert f"no column {name!r}" in sentence(path)
    assert "(it was made by 9.8)" in sentence(path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ssim", ["a", "b"]), ("label", [0.5, 1.0]), ("label", [1, None]), ("label", [1, 7]),
        ("prediction", [-1, 0]), ("attack", [1, 2]), ("victim", ["x", None]), ("psnr", [[1], [2]]),
        ("image", ["0", "0"]), ("attack", ["x", "other"]), ("seed", [0, 1]),
    ],
)  # fmt: skip
def test_wrong_values_are_told(path: Path, name: str, values: list[Any]) -> None:
    def change(table: pa.Table, facts: dict[str, Any]) -> pa.Table:
        return table.set_column(table.column_names.index(name), name, pa.array(values))

    rewrite(path, change)
    assert "run again" in sentence(path)


@pytest.mark.parametrize("name", ["cells", "ssim_floor", "eps"])
def test_a_missing_fact_is_named(path: Path, name: str) -> None:
    rewrite(path, lambda table, facts: facts.pop(name) and None)
    assert f"no fact {name!r}" in sentence(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cells", []), ("cells", None), ("cells", [{"attack": "x"}]), ("cells", "x"),
        ("ssim_floor", 1.0), ("ssim_floor", "0.9"), ("eps", float("nan")), ("kin", {"x": ["y"]}),
        ("code", "abc"),
    ],
)  # fmt: skip
def test_a_wrong_fact_is_told(path: Path, name: str, value: object) -> None:
    rewrite(path, lambda table, facts: facts.update({name: value}))
    assert "run again" in sentence(path)


def test_shapes_say_where_a_value_departs() -> None:
    shape = {"a": [{"b": (int, None), "c?": str}], "d?": {str: float}}
    assert fault({"a": [{"b": 1}, {"b": None, "c": "x"}], "d": {"e": 1}}, shape) is None
    assert fault({"a": [{"b": 1}, {}]}, shape) == "has no fact 'a[1].b'"
    assert fault({"a": [{"b": True}]}, shape) == "has a wrong value of the fact 'a[0].b'"
    assert fault({"a": [], "d": {"e": "1"}}, shape) == "has a wrong value of the fact 'd.e'"
    assert fault({"a": [{"b": 2**70}]}, shape)
    assert fault({"a": [{"b": 1, "c": "\ud800"}]}, shape)  # cannot be written


def test_a_flipped_bit_is_a_sentence_or_nothing(path: Path) -> None:
    """In pages, their headers, facts or footer: never another number."""
    whole, data = Rows.load(path), path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in [*rng.integers(len(data), size=150), *range(4, 200, 4)]:
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = Rows.load(path)
        except PriemoError:
            refused += 1
            continue
        assert found.facts == whole.facts
        pd.testing.assert_frame_equal(found.frame, whole.frame)
    assert refused > 60


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_a_sentence(path: Path, part: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    assert "damaged" in sentence(path)
    assert Rows.request(path) is None


def test_files_without_checksums_are_read(path: Path) -> None:
    """Those of earlier versions, which had none."""
    board = Tables(Rows.load(path)).leaderboard()
    rewrite(path, lambda table, facts: None)
    pd.testing.assert_frame_equal(Tables(Rows.load(path)).leaderboard(), board)


def test_a_file_of_a_newer_format_is_refused_and_one_without_read(path: Path) -> None:
    table = pq.read_table(path)
    key = b"priemo_bench.format"
    assert table.schema.metadata[key] == b"1"
    for written, said in ((b"2", "newer version"), (b"x", "damaged"), (b"", "damaged")):
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key: written}), path)
        assert said in sentence(path)
    metadata = {name: value for name, value in table.schema.metadata.items() if name != key}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    assert len(Rows.load(path).frame) == 2
