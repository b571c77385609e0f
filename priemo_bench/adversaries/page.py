"""The page of a study: adversaries.csv, claims.csv, figures, README.md and index.html."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from priemo_bench.adversaries.claims import claims, verdicts
from priemo_bench.adversaries.figures import save_figures
from priemo_bench.adversaries.table import COLUMNS
from priemo_bench.contracts.storage import write_text
from priemo_bench.report.files import downloads, is_published
from priemo_bench.report.formatting import (
    Line,
    TextTable,
    csv,
    decimal,
    formatted,
    lines_of,
    percent,
    rate,
    unknown,
    whole,
)
from priemo_bench.report.rendering import as_html, as_markdown, data_uri
from priemo_bench.report.views import Section
from priemo_bench.report.webtable import plain

TABLE, CLAIMS, STUDY, FACTS = "adversaries.csv", "claims.csv", "study.toml", "facts.json"
HERE = "priemo_bench.adversaries"
README, PAGE, FIGURES = "README.md", "index.html", "figures"


def write_page(out: Path, table: pd.DataFrame, facts: Mapping[str, Any]) -> None:
    """Write tables, figures and page.

    Args:
        facts: `name`, `command`, `data`, `chance`, `versions`, `machine`, `failures`, `minutes`.
    """
    found = claims(table)
    write_text(out / TABLE, csv(table))
    write_text(out / CLAIMS, csv(found))
    captions = save_figures(table, out / FIGURES)
    shown = sections(table, found)
    context = {
        "facts": facts,
        "verdicts": verdicts(found),
        "sections": shown,
        "figures": [(f"{FIGURES}/{name}", caption) for name, caption in captions.items()],
    }
    write_text(out / README, as_markdown("page.md.jinja", context, HERE))
    page = {
        **context,
        "tables": [plain(f"part-{k}", section) for k, section in enumerate(shown)],
        "pictures": [(data_uri(out / FIGURES / name), text) for name, text in captions.items()],
        "meanings": {},
        "overview": is_published(out),
        "downloads": downloads(out),
    }
    write_text(out / PAGE, as_html("page.html.jinja", page, HERE))


def sections(table: pd.DataFrame, claimed: pd.DataFrame) -> list[Section]:
    """What the page shows of the table; parts that are empty are left out."""
    adversary = table["adversary"]
    parts = [
        ("No adversary, and newer models", adversary.isin(["none", "newer model"]), READ, READING),
        ("Averaging", adversary.str.startswith("average"), AVERAGED, AVERAGING),
        ("What was fitted is leaked", adversary.str.startswith("leak"), RESTORED, LEAK),
        ("Purifiers that learnt from leaked pairs", adversary.str.startswith("purifier"),
         RESTORED, PURIFIER),
        ("Training on protected faces",
         adversary.isin(["train from scratch", "fine-tune"]), LEARNED, RETRAINING),
        ("Detectors", adversary.str.startswith("detector"), DETECTED, DETECTOR),
    ]  # fmt: skip
    found = [
        Section(title, text, formatted(lines_of(table[rows]), columns))
        for title, rows, columns, text in parts
        if rows.any()
    ]
    summary = Section("Claims about ciphers and transforms", CLAIMED, _claimed(claimed))
    columns = TextTable(["column", "what it holds"], [[k, v] for k, v in COLUMNS.items()])
    return [summary, *found, Section("Columns of adversaries.csv", "", columns)]


def _attack(line: Line) -> str:
    floor = "" if unknown(line["ssim_floor"]) else f", SSIM {line['ssim_floor']:g}"
    return f"{line['attack']}{floor}"


def _before(line: Line) -> str:
    return rate(line, value="protection")


def _after(line: Line) -> str:
    return rate(line, "after", "protection_after")


def _cost(line: Line) -> str:
    """ "58.0 -> 55.3", accuracy on clean faces without and with the adversary."""
    return f"{percent(line['clean_accuracy'])} -> {percent(line['clean_accuracy_after'])}"


WHO: dict[str, Any] = {
    "attack": _attack,
    "adversary": lambda r: str(r["adversary"]),
    "threat": lambda r: str(r["threat"]),
    "given": lambda r: str(r["given"]),
    "victim": lambda r: str(r["victim"]),
}
READ = {**WHO, "n": lambda r: whole(r["n"]), "protection %": _before,
        "SSIM": lambda r: decimal(r["ssim_to_clean"], 4)}  # fmt: skip
RESTORED = {**WHO, "n": lambda r: whole(r["n_after"]), "protection %": _before,
            "left %": _after, "SSIM to clean": lambda r: decimal(r["ssim_to_clean"], 4),
            "accuracy on published %": lambda r: rate(r, "accuracy", "accuracy_after"),
            "clean accuracy %": _cost}  # fmt: skip
AVERAGED = {**RESTORED, "error, levels": lambda r: decimal(r["error"], 2)}
LEARNED = {**WHO, "protection %": _before, "left %": _after,
           "accuracy on published %": lambda r: rate(r, "accuracy", "accuracy_after"),
           "clean accuracy %": _cost, "seconds": lambda r: decimal(r["seconds"], 0)}  # fmt: skip
DETECTED = {**WHO, "AUROC": lambda r: decimal(r["auroc"], 3),
            "found at 1 % false alarms %": lambda r: percent(r["tpr_at_1fpr"]),
            "protection %": _before, "hidden %": lambda r: rate(r, "hidden", "hidden")}  # fmt: skip
READING = (
    "A photo is protected once; newer models come and read it. Nobody looked into those: the "
    "attack's surrogates are named beside the victims that are theirs."
)
AVERAGING = (
    "Faces cancel in an average, a shared perturbation does not. Plain: the difference of two "
    "means is subtracted; Wiener: each spatial frequency of it is shrunk by the noise that faces "
    "leave in it. Error: of the estimate, in grey levels of 255. One draw of images for each "
    "number, nested."
)
LEAK = (
    "The adversary can protect any image himself, and solves for the original. Where perturbations "
    "are one for each emotion, or a pool of which the key is secret, he undoes each one and keeps "
    "the surest prediction."
)
PURIFIER = "A network from published to original images, learnt from pairs of other faces."
RETRAINING = (
    "From scratch: a small network, so that its accuracy, not its size, is comparable: read it "
    "beside its accuracy on clean faces. Fine-tune: the victim itself, on protected faces only. "
    "`protection` is against the same network trained on clean faces."
)
DETECTOR = "Hidden: protected, and not detected at a threshold that 1 % of other clean faces pass. "
CLAIMED = (
    "Zeng et al. 2023 say that cryptographic methods are computationally costly, and that "
    "transforms are tied to specific recognisers. CPU milliseconds to protect an image (after a "
    "fit, if any), what is left of the picture, protection over the victims, and what a small "
    "network reads once it is trained on protected faces alone."
)


def _claimed(table: pd.DataFrame) -> TextTable:
    columns = {
        "attack": _attack,
        "family": lambda r: str(r["family"]),
        "ms an image": lambda r: decimal(r["ms_per_image"], 3),
        "passes of the fit": lambda r: whole(r["fit_passes"]),
        "SSIM": lambda r: decimal(r["ssim_to_clean"], 4),
        "victims": lambda r: whole(r["victims"]),
        "protection %, least": lambda r: percent(r["least"]),
        "mean": lambda r: percent(r["mean"]),
        "most": lambda r: percent(r["most"]),
        "accuracy once trained on it %": lambda r: percent(r["trained"]),
    }
    return formatted(lines_of(table), columns)
