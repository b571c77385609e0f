"""The pages of the embedded victims, from their cards and their measured similarity.

python -m priemo_bench.train.card_pages victims
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from priemo_bench import registry
from priemo_bench.contracts.card import Card, Kinship, kinship
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import write_text
from priemo_bench.errors import PriemoError
from priemo_bench.train.measure import BINS, BUDGETS, STEPS, CardAccuracy, CardRate
from priemo_bench.train.similarity import FILE, SIDE, Similarity

HEAD = """# Embedded victims

Written by `python -m priemo_bench.train.card_pages victims` from `cards/`; `pages/` has a page for
each victim. Each was trained by `priemo-bench train NAME --data PATH --out victims` from
`specs/NAME.toml`; `curves/` has its training curve, `weights/` its float16 weights. Those with a
model defense (`resnet-smoothed-25`, say; docs/defenses.md) are made of others, without training;
only their accuracy is measured, that of smoothed ones on a sample of each set. `priemo-bench
cards NAME --data PATH` measures a card again. Shares are in %, with 95 % intervals clustered by
person where persons are known, else by image (those of robust accuracy on rendered faces still
count each person as one image, which makes them too wide). The epoch was chosen on the choice
split, so accuracy there is slightly optimistic; nothing was chosen on the test split.
"""
SIMILARITY = f"""## Similarity of victims

Written to `{FILE}` by `python -m priemo_bench.train.similarity victims --data PATH`. All victims
predict the same faces in {SIDE}x{SIDE} grey. Agreement is the share of faces on which two victims
predict the same emotion (%), gradient similarity the mean cosine between their gradients of the
label's logit margin with respect to the pixels.
"""
ROBUST = f"""Accuracy under PGD on the logit margin ({STEPS} steps, one random start) by linf
budget, on published 8-bit images; faces misclassified without an attack count as misclassified. The
faces are a fixed sample, with more of the rarest emotion than the set has.
"""


def cell(value: object) -> str:
    """A text escaped for a Markdown table: bars, line breaks, markup and HTML."""
    text = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join("\\" + c if c in "\\|`*[]" else c for c in text)


def _percent(rate: CardRate) -> str:
    return f"{rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})".replace("%", "")


def _table(rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines) + "\n"


def zoo_page(cards: Sequence[Card], similar: Mapping[str, Similarity] | None = None) -> str:
    """Markdown: all victims, their measured figures on every set, and their similarity."""
    facts = [["victim", "architecture", "parameters", "input", "training data", "licence"]]
    for card in cards:
        size = f"{card.parameters / 1e6:.2f} M"
        facts.append(
            [card.name, card.architecture, size, card.input, card.training_data, card.licence]
        )
    parts = [HEAD, _table(facts)]
    for name in _keys(card.accuracy for card in cards):
        parts += [f"## {cell(name)}\n", _table(_accuracies(cards, name))]
    for name in _keys(card.robust_accuracy for card in cards):
        parts += [f"## Robust accuracy, {cell(name)}\n", ROBUST, _table(_robust(cards, name))]
    if similar:
        parts.append(SIMILARITY)
        for name, found in similar.items():
            parts.append(f"Agreement on {found['n']} faces of {cell(name)}:\n")
            parts.append(_table(_matrix(found["names"], found["agreement"], 100, 1)))
            parts.append("Gradient similarity:\n")
            parts.append(_table(_matrix(found["names"], found["gradient"], 1, 2)))
    return "\n".join(parts)


def card_page(card: Card, kin: Mapping[str, Iterable[str]]) -> str:
    """Markdown: the card of one victim. `kin` has what it shares with each of its relatives."""
    relatives = ", ".join(f"{name} ({', '.join(kinds)})" for name, kinds in kin.items())
    facts = [
        ("architecture", card.architecture),
        ("parameters", f"{card.parameters:,}"),
        ("input", card.input),
        ("training data", card.training_data),
        *((f"terms of {name}", terms) for name, terms in card.data_terms.items()),
        ("authors", ", ".join(card.authors) or "not stated"),
        ("licence", card.licence),
        ("SHA-256", card.sha256),
        ("kin", relatives or "none known"),
    ]
    parts = [f"# {cell(card.name)}\n", _table([("", "what is known"), *facts])]
    if card.accuracy:
        rows = [["faces", "n", "accuracy", *EMOTIONS]]
        rows += [[name, *_accuracies([card], name)[1][1:]] for name in card.accuracy]
        parts += ["## Accuracy and recall per emotion, %\n", _table(rows)]
    if card.calibration:
        lines = [(k, f"{v['ece']:.3f}", f"{v['brier']:.3f}") for k, v in card.calibration.items()]
        text = f"Expected calibration error over {BINS} bins, and Brier score (0 to 2).\n"
        parts += ["## Calibration\n", text, _table([("faces", "ECE", "Brier"), *lines])]
    if card.robust_accuracy:
        rows = [["faces", *_robust([card], next(iter(card.robust_accuracy)))[0][1:]]]
        rows += [[name, *_robust([card], name)[1][1:]] for name in card.robust_accuracy]
        parts += ["## Robust accuracy, %\n", ROBUST, _table(rows)]
    if card.speed:
        parts += ["## Images a second\n", _speed(card.speed)]
    return "\n".join(parts)


def _keys(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for part in parts for key in part))


def _accuracies(cards: Sequence[Card], name: str) -> list[list[str]]:
    rows = [["victim", "n", "accuracy", *EMOTIONS]]
    for card in cards:
        if name in card.accuracy:
            report: CardAccuracy = card.accuracy[name]
            recall = [
                f"{100 * report['recall'][e]['value']:.0f}" if e in report["recall"] else ""
                for e in EMOTIONS
            ]
            overall = report["overall"]
            rows.append([card.name, str(overall["n"]), _percent(overall), *recall])
    return rows


def _robust(cards: Sequence[Card], name: str) -> list[list[str]]:
    rows = [["victim", "n", "clean", *(f"{budget}/255" for budget in BUDGETS)]]
    for card in cards:
        if name in card.robust_accuracy:
            found = card.robust_accuracy[name]
            rates = [_percent(found[str(budget)]) for budget in (0, *BUDGETS)]
            rows.append([card.name, str(found["0"]["n"]), *rates])
    return rows


def _matrix(
    names: Sequence[str], values: Sequence[Sequence[float]], factor: int, digits: int
) -> list[list[str]]:
    lines = [
        [name, *(f"{factor * value:.{digits}f}" for value in line)]
        for name, line in zip(names, values, strict=True)
    ]
    return [["", *names], *lines]


def _speed(speed: Mapping[str, Any]) -> str:
    text = (
        f"Batches of {speed['batch']} on {cell(speed['cpu'])} ({speed['device']}); one thread is "
        "timed by CPU time, two threads where the machine was idle.\n"
    )
    lines = [
        (threads, speed[threads]["forward"], speed[threads]["forward_backward"])
        for threads in ("1", "2")
        if threads in speed
    ]
    return text + "\n" + _table([("threads", "forward", "forward and backward"), *lines])


def write_pages(cards: Sequence[Card], out: Path, kin: Kinship) -> None:
    """Write OUT/README.md and OUT/pages/NAME.md; reads OUT/likeness.json if it exists."""
    path = out / FILE
    similar = json.loads(path.read_text("utf-8")) if path.is_file() else None
    write_text(out / "README.md", zoo_page(cards, similar))
    for card in cards:
        write_text(out / "pages" / f"{card.name}.md", card_page(card, kin[card.name]))


def _card(name: str) -> Card | None:
    """The card of a registered victim; None where its weights are not installed."""
    entry = registry.get("victims", name)
    try:
        card: Card = entry.card if hasattr(entry, "card") else entry().card
    except PriemoError:
        return None
    return card


def main() -> None:
    """Write the pages of all victims that were trained here."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m priemo_bench.train.card_pages FOLDER")
    names = registry.names("victims")
    cards = {name: card for name in names if (card := _card(name))}
    trained = [cards[name] for name in cards if hasattr(registry.get("victims", name), "spec")]
    write_pages(trained, Path(sys.argv[1]), kinship(cards))


if __name__ == "__main__":
    main()
