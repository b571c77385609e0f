"""The card of a victim that was trained here."""

from __future__ import annotations

from collections.abc import Mapping

from priemo_bench.contracts.card import Card
from priemo_bench.contracts.dataset import Dataset
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import Victim

AUTHORS = ("priemo-bench",)
"""Of every victim that is trained by a spec of this project."""


def provenance(
    spec: TrainingSpec, sources: Mapping[str, Dataset], origin: Card | None = None
) -> dict[str, object]:
    """The provenance fields of a card: data and their terms, authors, licence, kin.

    Args:
        origin: of the embedded victim whose weights the training started from.
    """
    terms = {name: getattr(source, "terms", "not stated") for name, source in sources.items()}
    found: dict[str, object] = {"authors": AUTHORS, "licence": "MIT"}
    if teaching := spec.teaching:
        found["kin"] = dict.fromkeys(teaching.teachers, ("teachers",))
    if origin:
        found |= {"start": origin.sha256, "kin": {origin.name: ("weights",)}}
    if start := spec.start:
        terms[start.data] = start.terms
        found |= {
            "start": start.file_sha256,
            "licence": f"MIT; the weights it started from: {start.licence}",
        }
    return {"data": tuple(terms), "data_terms": terms, **found}


def make_card(
    victim: Victim,
    spec: TrainingSpec,
    digest: str,
    curve: list[dict[str, float]],
    measured: Mapping[str, object],
    counts: Mapping[str, int],
    origin: Card | None = None,
) -> Card:
    """The card of a finished training.

    Args:
        victim: for its parameters, input and, if it has one, its text `architecture`.
        digest: SHA-256 of the weight file.
        curve: one row per epoch.
        measured: further fields, from `priemo_bench.train.embedded.measured`.
        counts: training faces by data set.
        origin: of the embedded victim whose weights the training started from.
    """
    colours = "grey" if victim.channels == 1 else "RGB"
    best = max(curve, key=lambda row: row[spec.choice])
    data = ", ".join(f"{name} train ({n} faces)" for name, n in counts.items())
    if origin:
        data += f", from the weights of {origin.name}"
    if spec.start:
        data += f", from the {spec.start.data} weights of {spec.start.project} {spec.start.version}"
    if spec.teaching:
        data += f", taught by {' and '.join(spec.teaching.teachers)}"
    training = {
        "epochs": spec.total,
        "best_epoch": int(best["epoch"]),
        "chosen_by": f"{spec.choice} choice split",
        "seed": spec.seed,
    }
    fields = {
        "name": spec.name,
        "architecture": getattr(victim, "architecture", type(victim).__name__),
        "parameters": sum(p.numel() for p in victim.parameters()),
        "input": f"{victim.size}x{victim.size} {colours}",
        "training_data": data,
        "sha256": digest,
        "training": training,
    }
    return Card.model_validate({**measured, **fields})
