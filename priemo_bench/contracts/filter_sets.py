"""Named sets of filters, among which a victim's owner may pick; versioned, never changed.

A set stands for all of its filters where a spec names defenses, and in tables for the adversary who
picks the filter anew for each image: what is protected then is protected under every filter.
"""

from __future__ import annotations

from collections.abc import Iterable

SETS: dict[str, tuple[str, ...]] = {
    "set-1": (
        "jpeg75", "jpeg50", "webp75", "x75-lanczos", "x50-area", "blur", "median3", "bits4",
        "bilateral", "upload",
    ),
}  # fmt: skip
"""Names of defenses by the name of their set."""


def expanded(names: Iterable[str]) -> tuple[str, ...]:
    """Names of defenses, each once, with the filters of a set in place of its name.

    Example:
        >>> expanded(["none", "median3", "set-1"])[:4]
        ('none', 'median3', 'jpeg75', 'jpeg50')
    """
    return tuple(dict.fromkeys(n for name in names for n in SETS.get(name, (name,))))
