"""What `list` prints, and what `install all` stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from priemo_bench.errors import PriemoError
from priemo_bench.registry import get, names


def lines(kind: str, long: bool) -> list[str]:
    """Names of a kind, or a line each of what they are; a broken one says why."""
    found: list[tuple[str, ...]]
    if kind in PUBLISHED:
        found = list(PUBLISHED[kind]())
    elif not long:
        return names(kind)
    else:
        found = [(name, *_facts(kind, name)) for name in names(kind)]
    widths = [max(map(len, column)) for column in zip(*found, strict=True)] if found else []
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        for line in found
    ]


def _facts(kind: str, name: str) -> tuple[str, ...]:
    """What is said of one: family and scope, or where its weights are; a summary; a source."""
    from priemo_bench.contracts.defense import described

    empty = {"attacks": 2, "victims": 2}.get(kind, 0)
    try:
        entry = get(kind, name)
        summary, source = described(entry)
        own = {"attacks": _of_attack, "victims": _of_victim}.get(kind, lambda entry: ())(entry)
    except PriemoError as error:
        return (*("",) * empty, f"cannot be used: {error}", "")
    if kind == "victims":
        card = getattr(entry, "card", None)
        about = card or entry  # an entry of weights that are not here yet says the same
        facts = [getattr(about, fact, "") for fact in ("architecture", "training_data")]
        summary = "; ".join(filter(None, facts)) or summary
        source = card.licence if card else source
    return (*own, summary.rstrip("."), source)


def _of_attack(entry: Any) -> tuple[str, str]:
    scope = entry.traits.scope
    return str(entry.traits.family), "" if scope == "-" else f"scope {scope}"


def _of_victim(entry: Any) -> tuple[str, str]:
    if not hasattr(entry, "install") or hasattr(entry, "spec"):
        return "embedded", ""
    return "public", "installed" if _is_installed(entry) else "to install"


def _is_installed(entry: Any) -> bool:
    try:
        entry.archive.checked()
    except PriemoError:
        return False
    return True


def _specs() -> Iterator[tuple[str, str]]:
    """Bundled specs, and the first sentence of the comment that each begins with."""
    from priemo_bench.run.spec import BUNDLED, SPECS

    for name in BUNDLED:
        text = (SPECS / f"{name}.toml").read_text("utf-8")
        comment = []
        for line in text.splitlines():
            if not line.startswith("#"):
                break
            comment.append(line.lstrip("# "))
        yield name, " ".join(comment).partition(". ")[0].rstrip(".")


def _benchmarks() -> Iterator[tuple[str, str]]:
    """Versioned benchmarks, and what they are."""
    from priemo_bench.published.benchmarks import benchmark, names

    for name in names():
        yield name, benchmark(name).title


def _perturbations() -> Iterator[tuple[str, str, str]]:
    """Fitted perturbations, what they are, and what they were measured to do."""
    from priemo_bench.published.perturbations import perturbations

    for name, own in perturbations().items():
        yield name, own.summary, own.protects


def _columns() -> Iterator[tuple[str, ...]]:
    """Columns of tables, their units and direction, and what each holds."""
    from priemo_bench.judge.glossary import GLOSSARY

    for name, own in GLOSSARY.items():
        yield name, own.unit, own.direction, own.text


PUBLISHED: dict[str, Callable[[], Iterator[tuple[str, ...]]]] = {
    "specs": _specs,
    "benchmarks": _benchmarks,
    "perturbations": _perturbations,
    "columns": _columns,
}
"""What comes with the package and is no plug-in."""


def installable(which: str) -> list[Any]:
    """Entries behind "public", "metrics" or "all" whose weights are fetched on request."""
    kinds = {"public": ("victims",), "metrics": ("metrics",), "all": ("victims", "metrics")}[which]
    found = []
    for kind in kinds:
        for name in names(kind):
            entry = get(kind, name)
            if hasattr(entry, "install") and not hasattr(entry, "spec"):
                found.append(entry)
    return found
