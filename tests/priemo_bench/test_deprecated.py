"""Import paths of version 0.2: each still works, with a warning that names today's."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from priemo_bench.deprecated import MOVED, RENAMED

TYPED = {
    "attack": "Traits", "attacks.entry": "Entry", "attacks.wrapped": "WrappedAttack",
    "attacks.shared_noise": "SharedNoise", "budget": "Budget", "compare": "compared",
    "datasets": "FaceSet", "datasets.draw": "draw", "datasets.fer2013": "Fer2013",
    "datasets.folder": "Folder", "datasets.near_copies": "groups",
    "datasets.pictures": "read_picture", "datasets.rendered": "Rendered",
    "files": "protect_photos", "images": "Floats", "kinship": "relatives",
    "leaderboard": "Tables", "outcomes": "protected", "rows": "Rows", "spec": "load",
    "statistics": "wilson", "store": "Store", "training": "train_victim", "victim": "Card",
    "victims.own": "Own", "victims.public.archive": "Wheel",
}  # fmt: skip
"""A name that version 0.2 had in each module."""


@pytest.mark.parametrize("old", MOVED)
def test_a_path_of_version_0_2_still_imports(old: str) -> None:
    sys.modules.pop(f"priemo_bench.{old}", None)
    with pytest.warns(DeprecationWarning, match=MOVED[old][0]):
        module = import_module(f"priemo_bench.{old}")
    today = RENAMED.get(old, {}).get(TYPED[old], TYPED[old])
    homes = [import_module(f"priemo_bench.{home}") for home in MOVED[old]]
    assert getattr(module, TYPED[old]) in [getattr(home, today, None) for home in homes]
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense


def test_the_warning_points_at_the_line_that_imports() -> None:
    command = [sys.executable, "-W", "error", "-c", "import priemo_bench.images"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "DeprecationWarning: priemo_bench.images is priemo_bench.contracts.image" in done.stderr


def test_names_renamed_are_names_of_today() -> None:
    for old, names in RENAMED.items():
        homes = [import_module(f"priemo_bench.{home}") for home in MOVED[old]]
        for today in names.values():
            assert any(hasattr(home, today) for home in homes), (old, today)
