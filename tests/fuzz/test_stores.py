"""Cells of a store, and results.parquet with the report that is made of it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from priemo_bench.contracts.rows import NAMED, ROW, Rows
from priemo_bench.judge.compare import compared
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.report import write_report
from priemo_bench.run.store import Store, _checksum

mpl.get_cachedir(), mpl.get_configdir()  # which it makes when it is first asked
FACTS = {"status": "done", "attacked": True, "strength": 0.5, "lost": [], "parts": {"a": "b"}}
ARRAYS = {"ssim a": np.linspace(0, 1, 4), "victim b": np.arange(4, dtype=np.int8)}
X = np.random.default_rng(0).integers(0, 256, (4, 1, 11, 12), dtype=np.uint8)


def slow(few: int, many: int) -> Any:
    """How many inputs, in CI and in the slow run."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.slow)])


def look(store: Store) -> None:
    """Everything that is there is what was written, or counts as absent."""
    facts = store.facts("k")
    assert facts is None or isinstance(facts, dict)
    store.done("k")
    for array in store.arrays("k.predictions").values():
        assert isinstance(array, np.ndarray)
    if store.has_images("k"):
        for block in store.images("k", [X[:3], X[3:]]):
            assert block.dtype == np.uint8
    if store.has_perturbation("k"):
        for block in store.perturbation("k"):
            assert isinstance(block, np.ndarray)


@slow(60, 8_000)
def test_damaged_files_of_cells(fuzz: Any, inputs: Any, amount: int) -> None:
    store = Store(fuzz.folder)
    store.save_facts("k", FACTS)
    store.save_arrays("k.predictions", ARRAYS)
    store.save_images("k", [(X[:3], X[:3] + 1), (X[3:], X[3:])])
    store.save_perturbation("k", [np.float16(X[:3]), np.float16(X[3:])])
    look(store)
    paths = [path for path in fuzz.folder.rglob("k.*") if path.is_file()]
    whole = {path: path.read_bytes() for path in paths}

    def attempt(pair: tuple[Path, bytes]) -> None:
        path, data = pair
        try:
            path.write_bytes(data)
            look(store)
        finally:
            path.write_bytes(whole[path])

    each = [st.tuples(st.just(path), inputs.damaged(data)) for path, data in whole.items()]
    fuzz(st.one_of(each), attempt, amount)


@slow(20, 4_000)
def test_facts_of_cells(fuzz: Any, inputs: Any, amount: int) -> None:
    """Their checksum is right: another version, or another program, wrote them."""
    store = Store(fuzz.folder)
    path = store.cells / "k.json"
    path.parent.mkdir()

    def attempt(facts: Any) -> None:
        whole = {"format": 1, "sha256": "", "facts": FACTS, **facts}
        whole["sha256"] = _checksum(whole["facts"])
        path.write_text(json.dumps(whole))
        look(store)

    fuzz(inputs.changed({"format": 1, "facts": FACTS}), attempt, amount)


MEMBERS = st.sampled_from(
    [b"", b"text", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': "
     b"(99999999999,)}" + b" " * 40 + b"\n", b"\x93NUMPY\x01\x00\xff\xff{", b"\x93NUMPY\x09\x09"]
)  # fmt: skip


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Zip files whose checksums are right, of arrays and of other things."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(draw(st.integers(0, 3))):
            name = draw(
                st.sampled_from([f"{number:06}.npy", "../../evil.npy", "/evil", "a", "a.npy"])
            )
            if draw(st.booleans()):
                array = io.BytesIO()
                shape = draw(st.sampled_from([(3, 1, 11, 12), (1, 1, 11, 12), (4,), (), (0,)]))
                kind = draw(st.sampled_from(["u1", "f4", "O", "M8[s]", "U3"]))
                np.save(array, np.zeros(shape, kind), allow_pickle=True)
                data = array.getvalue()
            else:
                data = draw(MEMBERS)
            if name not in archive.namelist():
                archive.writestr(name, data)
    return out.getvalue()


@slow(20, 4_000)
def test_foreign_archives_of_cells(fuzz: Any, inputs: Any, amount: int) -> None:
    store = Store(fuzz.folder)
    names = ["cells/k.predictions.npz", "cells/k.images.npz", "perturbations/k.npz"]

    def attempt(pair: tuple[str, bytes]) -> None:
        path = fuzz.folder / pair[0]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pair[1])
        look(store)

    fuzz(st.tuples(st.sampled_from(names), archives()), attempt, amount)


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Two attacks, a white-box and a transfer victim, one defense, and all facts of a page."""
    frames, cells = [], []
    for attack in ("x", "noise"):
        names = {
            "dataset": "d", "budget": "equal", "attack": attack, "family": "per-image",
            "scope": "image", "scale": "-", "surrogate": "a", "target": "-",
        }  # fmt: skip
        for victim in ("a", "b"):
            for defense in ("none", "jpeg75"):
                label = np.arange(14) % 7
                frames.append(
                    pd.DataFrame(
                        {
                            **names, "seed": 0, "defense": defense, "victim": victim,
                            "image": [f"i{i}" for i in range(14)], "person": [*"ab" * 7],
                            "label": label, "clean": label, "prediction": (label * 3 + 1) % 7,
                            "target_label": -1, "ssim": 0.997, "ssim_full": 0.998, "psnr": 40.0,
                            "linf": 8 / 255,
                        }
                    )
                )  # fmt: skip
        cells.append({
            **names, "seed": 0, "status": "done", "reason": "", "strength": 1.0, "unchanged": 0,
            "threat": "white-box", "fit_seconds": 1.0, "ms_per_image": 2.0, "lost": [],
            "forwards_per_image": 3.0, "backwards_per_image": 4.0, "peak_mb": 5.0,
        })  # fmt: skip
    facts = {
        "cells": cells, "ssim_floor": 0.997, "psnr_floor": None, "eps": 8 / 255, "name": "n",
        "command": "c", "spec": "", "seeds": [0], "select_limit": 100,
        "versions": {"priemo-bench": "0.3.0"},
        "machine": {"cpus": 2, "threads": 1, "device": "cpu", "system": "s"},
        "data": {"d": {"test": 14, "of": 14, "fit": 9, "persons": 2, "counts": {"angry": 2},
                       "shape": [1, 48, 48], "notes": ["note"], "pictures": {"i0": "0"}}},
        "victims": {"a": {"sha256": "0"}, "b": {}}, "kin": {"b": {"a": ["weights"]}},
        "defenses": {"jpeg75": {"family": "jpeg", "strength": 75.0, "summary": "s"}},
        "code": {"state": "abc", "attacks": {"x": "d"}},
    }  # fmt: skip
    return pd.concat(frames, ignore_index=True), facts


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of few draws, and no figures: these take longer than all else."""
    from priemo_bench.judge import statistics
    from priemo_bench.report import figures

    monkeypatch.setattr(statistics, "RESAMPLES", 20)
    monkeypatch.setattr(figures, "FIGURES", ())


def report(folder: Path) -> None:
    """The report of a folder, in which nothing is a program."""
    write_report(folder)
    for name in ("README.md", "index.html"):
        text = (folder / name).read_text("utf-8")
        assert "<script>alert" not in text
    assert "](http://y)" not in (folder / "README.md").read_text("utf-8"), "a link in Markdown"


@slow(15, 2_500)
def test_facts_of_rows(fuzz: Any, inputs: Any, amount: int, rows: Any, quick: None) -> None:
    frame, facts = rows

    def attempt(own: Any) -> None:
        out = fuzz.folder / "out"
        Rows(frame, own).save(out / "results.parquet")
        report(out)
        compared(out, out)

    fuzz(inputs.changed(facts), attempt, amount)


@st.composite
def tables(draw: st.DrawFn, frame: pd.DataFrame, inputs: Any) -> pd.DataFrame:
    """Rows with columns dropped, renamed, of other types, and with other values."""
    new = frame.copy()
    for _ in range(draw(st.integers(1, 3))):
        if not len(new.columns):
            break
        column = draw(st.sampled_from(sorted(map(str, new.columns))))
        how = draw(
            st.sampled_from(["drop", "rename", "value", "value", "all", "all", "rows", "add"])
        )
        text = draw(inputs.names).encode("utf-8", "replace").decode()
        value: Any = text if column in NAMED and draw(st.booleans()) else draw(inputs.numbers)
        if how == "drop":
            new = new.drop(columns=column)
        elif how == "rename":
            new = new.rename(columns={column: text})
        elif how == "rows":
            new = new.iloc[: draw(st.integers(0, 20))]
        elif how == "add":
            new = new.assign(**{text or "new": value})
        elif how == "all" or not len(new):
            new = new.assign(**{column: value})
        else:
            values = new[column].astype(object)
            values.iloc[draw(st.integers(0, len(new) - 1))] = value
            new[column] = values.infer_objects()
    return new


@slow(15, 2_500)
def test_columns_of_rows(fuzz: Any, inputs: Any, amount: int, rows: Any, quick: None) -> None:
    frame, facts = rows
    out = fuzz.folder / "out"

    def attempt(own: pd.DataFrame) -> None:
        try:
            Rows(own, facts).save(out / "results.parquet")
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            return  # it is no table that parquet can hold
        report(out)

    fuzz(tables(frame, inputs), attempt, amount)


@slow(15, 4_000)
def test_bytes_of_rows(fuzz: Any, inputs: Any, amount: int, rows: Any) -> None:
    path = fuzz.folder / "results.parquet"
    Rows(rows[0].astype(dict.fromkeys(NAMED, "category")), rows[1]).save(path)

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        Rows.request(path)
        Tables(Rows.load(path)).methods()

    fuzz(inputs.damaged(path.read_bytes()), attempt, amount)


def test_names_lead_into_no_other_folder(fuzz: Any, rows: Any) -> None:
    """With figures: a data set called so wrote its PNG outside."""
    frame, facts = rows
    for name in ("/../../../../evil", "<script>alert(1)</script>$x^2$"):
        new = frame.replace({"dataset": {"d": name}, "attack": {"x": name}})
        cells = [{k: name if v in ("d", "x") else v for k, v in c.items()} for c in facts["cells"]]
        data = {name: facts["data"]["d"]}
        own = {**facts, "cells": cells, "data": data, "name": name, "command": name}

        def attempt(new: Any = new, own: Any = own) -> None:
            Rows(new, own).save(fuzz.folder / "out" / "results.parquet")
            report(fuzz.folder / "out")

        fuzz.once(attempt)
    assert {path.name for path in fuzz.folder.iterdir()} == {"out"}


def test_a_report_of_the_fixture_is_a_result(fuzz: Any, rows: Any, quick: None) -> None:
    Rows(*rows).save(fuzz.folder / "out" / "results.parquet")
    report(fuzz.folder / "out")
    assert set(ROW) <= set(rows[0])
    assert pq.read_table(fuzz.folder / "out" / "results.parquet").num_rows == 112
