"""Code that is edited between two runs in one folder: what it made is made again, nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

N = 28
VALUES = {"defenses": ["none", "toy-smooth", "toy-coarse"], "metrics": ["toy-change", "toy-worst"]}


@dataclass
class Copy:
    """A plug-in of its own, a folder of its own, and a log of what the toys were asked."""

    lab: Any
    plugin: Path
    spec: Path
    out: Path

    def run(self, out: Path | None = None) -> Counter[str]:
        """Run to the end; how many images each part was asked about."""
        log = self.plugin / "log.txt"
        log.write_text("")
        ended = self.lab.finish(
            self.spec, out or self.out, plugin=self.plugin, env={"TOY_LOG": str(log)}
        )
        assert ended.code == 0, ended
        asked: Counter[str] = Counter()
        for line in log.read_text().splitlines():
            part, count = line.rsplit(" ", 1)
            asked[part] += int(count)
        return asked

    def edit(self, module: str, old: str, new: str) -> None:
        path = self.plugin / "toyplugin" / f"{module}.py"
        source = path.read_text()
        assert old in source
        path.write_text(source.replace(old, new))


@pytest.fixture
def copy(lab: Any, tmp_path: Path) -> Copy:
    attacks = [
        {"name": "toy-gradient", "surrogates": ["toy-a"], "budgets": ["equal"]},
        {"name": "toy-blend", "budgets": ["equal"]},
    ]
    plugin = lab.new_plugin(tmp_path / "plugin")
    made = Copy(lab, plugin, lab.spec(*attacks, **VALUES), tmp_path / "out")
    made.run()
    return made


def check_fresh(copy: Copy, tmp_path: Path, old: pd.DataFrame) -> None:
    """The numbers are those of a fresh folder, and others than before."""
    copy.run(tmp_path / "fresh")
    new = copy.lab.contents(copy.out)
    assert not copy.lab.differences(new, copy.lab.contents(tmp_path / "fresh"))
    assert not new["results.parquet"].equals(old)


def test_an_attack(copy: Copy, tmp_path: Path) -> None:
    old = copy.lab.rows(copy.out)
    copy.edit("gradient", "PART = 1.0", "PART = 0.5")
    asked = copy.run()
    assert asked["attack toy-gradient"] > 0
    assert asked["attack toy-blend"] == 0
    assert asked["metric toy-change"] == asked["metric toy-worst"] == N
    assert asked["defense toy-smooth"] == asked["defense toy-coarse"] == N
    assert asked["victim toy-judge"] == 3 * N
    check_fresh(copy, tmp_path, old)


@pytest.mark.slow
def test_a_judge(copy: Copy, tmp_path: Path) -> None:
    old = copy.lab.rows(copy.out)
    copy.edit("judge", "PULL = 0.0", "PULL = 9.0")
    asked = copy.run()
    assert asked["victim toy-judge"] == 3 * 3 * N  # two cells and the clean faces
    assert {part for part in asked if not part.startswith("defense")} == {"victim toy-judge"}
    check_fresh(copy, tmp_path, old)


@pytest.mark.slow
def test_a_surrogate(copy: Copy, tmp_path: Path) -> None:
    old = copy.lab.rows(copy.out)
    copy.edit("victims", 'Logged("toy-a", 0)', 'Logged("toy-a", 5)')
    asked = copy.run()
    assert asked["attack toy-gradient"] > 0
    assert asked["attack toy-blend"] == 0
    assert asked["victim toy-judge"] == 3 * N  # the new images of one attack
    check_fresh(copy, tmp_path, old)


@pytest.mark.slow
def test_a_defense(copy: Copy, tmp_path: Path) -> None:
    old = copy.lab.rows(copy.out)
    copy.edit("smooth", "SHARE = 0.5", "SHARE = 0.25")
    asked = copy.run()
    assert asked["defense toy-smooth"] == 3 * N
    assert asked["victim toy-judge"] == 3 * N
    assert not {"defense toy-coarse", "metric toy-change", "attack toy-blend"} & {*asked}
    assert asked["attack toy-gradient"] == 0
    check_fresh(copy, tmp_path, old)


@pytest.mark.slow
def test_a_metric(copy: Copy, tmp_path: Path) -> None:
    old = copy.lab.rows(copy.out)
    copy.edit("change", "UNIT = 1.0", "UNIT = 2.0")
    assert copy.run() == {"metric toy-change": 2 * N}
    check_fresh(copy, tmp_path, old)


@pytest.mark.slow
def test_what_a_module_imports(copy: Copy, tmp_path: Path) -> None:
    """`busy` is nowhere in the run; `logged` is below every victim."""
    copy.edit("busy", "np.arange(1000.0)", "np.arange(10.0)")
    assert not copy.run()
    old = copy.lab.rows(copy.out)
    copy.edit("logged", "super().__init__(seed)", "super().__init__(seed + 10)")
    asked = copy.run()
    assert asked["attack toy-gradient"] > 0
    assert asked["attack toy-blend"] == 0
    check_fresh(copy, tmp_path, old)


def test_a_comment(copy: Copy) -> None:
    for module in ("gradient", "judge", "smooth", "change", "faces", "log"):
        copy.edit(module, "from __future__", "# A remark.\nfrom __future__")
    assert not copy.run()


@pytest.mark.slow
def test_an_upgrade(copy: Copy) -> None:
    info = copy.plugin / "toyplugin-1.0.dist-info"
    metadata = info / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "1.1"))
    info.rename(copy.plugin / "toyplugin-1.1.dist-info")
    asked = copy.run()
    parts = {"attack toy-gradient", "attack toy-blend", "metric toy-change", "defense toy-smooth"}
    assert parts < {*asked}


def test_nothing(copy: Copy) -> None:
    assert not copy.run()
