"""What mkdocs does beside its own: tables from the code, and links that leave the documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]+)\)")
EMBEDDED = "embedded"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the marks, and turn links to files of the repository into their names."""
    for mark, table in TABLES.items():
        if mark in markdown:
            markdown = markdown.replace(mark, table())
    return LINK.sub(_named, markdown)


def _named(link: re.Match[str]) -> str:
    path = link[2].removeprefix("../")
    return f"{link[1]} (`{path}`)" if path not in link[1] else f"`{path}`"


def _table(headings: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Markdown, without columns that are empty."""
    rows = [[_cell(cell) for cell in line] for line in lines]
    kept = [k for k in range(len(headings)) if any(row[k] for row in rows)]
    headings, *rows = ([row[k] for k in kept] for row in (headings, *rows))
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in [headings, ["---"] * len(headings), *rows]
    )


def _cell(value: object) -> str:
    text = str(value).replace("|", "\\|").replace("<", "&lt;")
    return " ".join(text.split())


def glossary() -> str:
    """Every column of every table."""
    from priemo_bench.judge.glossary import GLOSSARY

    lines = [
        (f"`{name}`", own.heading, own.text, own.unit, own.direction)
        for name, own in GLOSSARY.items()
    ]
    return _table(["column", "heading", "what", "unit", "direction"], lines)


def attacks() -> str:
    """Every attack of the registry, with its source."""
    from priemo_bench import registry
    from priemo_bench.contracts.defense import described

    lines = []
    for name in registry.names("attacks"):
        entry = registry.get("attacks", name)
        traits, (summary, source) = entry.traits, described(entry)
        lines.append(
            (f"`{name}`", traits.family, traits.scope, traits.surrogates,
             "yes" if traits.targeted else "", traits.knob or "", summary.rstrip("."),
             "" if source.startswith("priemo_bench.") else source)
        )  # fmt: skip
    headings = ["attack", "family", "scope", "surrogates", "targets", "knob", "what", "source"]
    return _table(headings, lines)


def victims() -> str:
    """Every victim of the registry, with the facts of its card."""
    from priemo_bench import registry

    lines = []
    for name in registry.names("victims"):
        entry = registry.get("victims", name)
        card = getattr(entry, "card", None)
        about = card or entry
        accuracy = (card.accuracy if card else {}).get("fer2013 test", {}).get("overall", {})
        rate = "{value:.1%} [{low:.1%}, {high:.1%}] of {n}".format(**accuracy) if accuracy else ""
        lines.append(
            (f"`{name}`", EMBEDDED if card else "public", getattr(about, "architecture", ""),
             getattr(about, "training_data", ""), rate, getattr(card, "licence", ""),
             f"`{card.sha256[:12]}`" if card else "")
        )  # fmt: skip
    headings = ["victim", "kind", "network", "trained on", "accuracy, FER2013 test", "licence",
                "SHA-256"]  # fmt: skip
    return _table(headings, lines)


def leaderboards() -> str:
    """Every benchmark's table for each budget, with submissions and evaluations by others.

    What does not keep within its budget is not shown.
    """
    from priemo_bench import load_results
    from priemo_bench.published.benchmarks import benchmark, names

    headings = ["entry", "attack", "scope", "threat model", "protection %", "external %",
                "transfer %", "survival %", "SSIM", "faces"]  # fmt: skip
    parts = []
    for name in names():
        table = load_results(name)
        parts += [f"## {name}", benchmark(name).title + ".", *table.attrs["notes"]]
        shown = table[~table["targeted"] & table["within_budget"].astype(bool)]
        for budget, own in shown.groupby("budget", sort=True):
            lines = [_line(line) for line in own.to_dict("records")]
            parts += [f"### {budget}", _table(headings, lines)]
    return "\n\n".join(parts)


def _line(line: dict[Any, Any]) -> list[object]:
    external = f"{_share(line['external_rate'])} ({line['external_by']}, {line['external_under']})"
    interval = f"[{_share(line['protection_low'])}, {_share(line['protection_high'])}]"
    scale = "" if line["scale"] == "-" else f", {line['scale']}"
    return [
        line["entry"], line["attack"] + scale, line["scope"], line["threat"],
        f"{_share(line['protection_rate'])} {interval}",
        external if line["external_by"] else "", _share(line["transfer_rate"]),
        _share(line["survival"]), f"{line['ssim']:.4f}", line["n"],
    ]  # fmt: skip


def _share(value: float) -> str:
    return f"{100 * value:.1f}" if value == value else ""


TABLES: dict[str, Callable[[], str]] = {
    "<!-- GLOSSARY -->": glossary,
    "<!-- ATTACKS -->": attacks,
    "<!-- VICTIMS -->": victims,
    "<!-- LEADERBOARDS -->": leaderboards,
}
"""What stands in place of a mark in a page."""
