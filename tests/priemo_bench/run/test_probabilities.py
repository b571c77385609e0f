"""The probabilities that stand beside predictions, from the store to results.parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from priemo_bench.contracts.columns import PROBABILITIES
from priemo_bench.contracts.image import ByteImages, to_float
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.run.collect import gather
from priemo_bench.run.execute import PROBABILITY, published
from priemo_bench.run.folder import claimed
from priemo_bench.run.schedule import Workers
from priemo_bench.run.session import Session
from priemo_bench.run.spec import load

HALF = 5.1e-4
"""Stored to a thousandth; float32."""


def labels(images: ByteImages) -> list[str]:
    """A black box."""
    return ["happy"] * len(images)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A finished run of one attack, one network, and one that answers with labels alone."""
    out = tmp_path_factory.mktemp("probabilities") / "run"
    spec = load(
        "default", victims=("resnet", labels), attacks=("noise",),
        defenses=("none", "jpeg50"), limit=7,
        seeds=(0,), surrogates=("resnet",), ssim_floor=0.9,
    )  # fmt: skip
    with claimed(out, spec, overwrite=True):
        own = Session(spec.check(), out, out, Workers(), "cpu")
        own.run("quiet")
    return own


@pytest.fixture(scope="module")
def rows(session: Session) -> Rows:
    return session.rows("")


def test_they_are_the_softmax_of_the_victim(session: Session, rows: Rows) -> None:
    context = session.place.context
    cell = session.cells[0]
    faces = context.test_faces(cell)
    own = rows.frame[rows.frame["victim"] == "resnet"]
    plain = own[(own["budget"] == cell.budget) & (own["defense"] == "none")].set_index("image")
    plain = plain.loc[list(faces.ids)]
    for image, names in (
        (np.concatenate(list(published(cell, session.place))), PROBABILITIES[1:]),
        (faces.images, [None, PROBABILITIES[0]]),
    ):
        with torch.inference_mode():
            logits = context.victims["resnet"](torch.from_numpy(to_float(image)))
        scores = torch.nn.functional.softmax(logits.double(), 1).numpy()
        each = np.arange(len(faces))
        for name, wanted in zip(names, (scores[each, faces.labels], scores.max(1)), strict=True):
            if name is not None:
                assert np.abs(plain[name].to_numpy() - wanted).max() < HALF, name
    assert own[own["defense"] == "jpeg50"][PROBABILITIES].notna().all(axis=None)


def test_there_is_none_of_a_victim_that_gives_labels_alone(rows: Rows) -> None:
    known = rows.frame.groupby("victim", observed=True)[PROBABILITIES].count()
    assert known.loc["labels"].tolist() == [0, 0, 0]
    assert known.loc["resnet"].min() > 0
    assert rows.further_metrics == []


def test_a_store_without_them_is_read(session: Session, rows: Rows) -> None:
    store = session.place.store
    for path in store.cells.glob("*.predictions.npz"):
        arrays = store.arrays(path.name.removesuffix(".npz"))
        ending = PROBABILITY.format("")
        kept = {name: own for name, own in arrays.items() if not name.endswith(ending)}
        assert len(kept) < len(arrays)
        store.save_arrays(path.name.removesuffix(".npz"), kept)
    again = gather(session.cells, session.place)
    assert again.frame[PROBABILITIES].isna().all(axis=None)
    pd.testing.assert_series_equal(again.frame["prediction"], rows.frame["prediction"])
    assert Session(session.spec, session.out, session.out, Workers(), "cpu").is_finished


def test_a_file_keeps_them_and_one_without_is_read(rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    rows.save(path)
    found = Rows.load(path).frame
    assert found[PROBABILITIES].equals(rows.frame[PROBABILITIES])
    assert found["label_probability"].dtype == np.float32
    Rows(rows.frame.drop(columns=PROBABILITIES), rows.facts).save(path)
    assert set(pq.read_schema(path).names).isdisjoint(PROBABILITIES)
    older = Rows.load(path)
    assert older.frame[PROBABILITIES].isna().all(axis=None)
    assert older.further_metrics == []


def test_what_is_no_probability_is_refused(rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    Rows(rows.frame.assign(label_probability=np.float32(1.5)), rows.facts).save(path)
    with pytest.raises(PriemoError, match="no probability in its column 'label_probability'"):
        Rows.load(path)
