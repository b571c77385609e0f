"""The metadata of the rendered set say what its file is."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from priemo_bench.published.croissant import DATA, FILE, FOLDER, text

PATH = Path(str(FOLDER / FILE))
MINIMAL_RAI = (
    "dataCollection", "dataBiases", "dataLimitations", "dataSocialImpact", "dataUseCases",
    "personalSensitiveInformation",
)  # fmt: skip


def test_the_file_is_what_the_code_says() -> None:
    """`python -m priemo_bench.published.croissant` writes it."""
    assert PATH.read_text("utf-8") == text()


def test_its_digest_and_columns_are_those_of_the_data() -> None:
    values = json.loads(PATH.read_text("utf-8"))
    (file,) = values["distribution"]
    content = Path(str(FOLDER / DATA)).read_bytes()
    assert file["sha256"] == sha256(content).hexdigest()
    columns = set(pq.read_schema(str(FOLDER / DATA)).names)
    (records,) = values["recordSet"]
    assert {field["name"] for field in records["field"]} <= columns
    assert all(values[f"rai:{name}"] for name in MINIMAL_RAI)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_croissant_s_own_validator_accepts_it() -> None:
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    dataset = croissant.Dataset(str(PATH))
    assert not dataset.metadata.ctx.issues.errors
    record = next(iter(dataset.records("pictures")))
    assert record["pictures/person"] in ("p000", b"p000")
