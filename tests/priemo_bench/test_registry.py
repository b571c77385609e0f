"""Entry points of others: found by name without an import, and one sentence for each that fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from priemo_bench import registry
from priemo_bench.errors import PriemoError
from priemo_bench.run.spec import load

Install = Callable[..., None]
GOOD = (
    "from priemo_bench.contracts.attack import Traits\n"
    "class Good:\n"
    "    traits = Traits('control')\n"
    "    def __init__(self, classifier=None): pass\n"
)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one attack on sys.path: `install(name, entry, source)`."""

    def forget() -> None:
        for remembered in (registry._found, registry._points):
            remembered.cache_clear()

    def add(name: str, entry: str, source: str, version: str = "1.2") -> None:
        root, module = tmp_path / name, name.replace("-", "_")
        info = root / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (root / f"{module}_plugin.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(
            f"[priemo_bench.attacks]\n{entry} = {module}_plugin:Good\n"
        )
        monkeypatch.syspath_prepend(root)
        forget()

    before = set(sys.modules)
    yield add
    for name in set(sys.modules) - before:
        if name.endswith("_plugin"):
            del sys.modules[name]
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import nowhere_to_be_found",
            "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("raise OSError('disk\\non fire')", "OSError: disk on fire"),
        ("other = 1", "AttributeError: .* has no attribute 'Good'"),
    ],
)
def test_what_cannot_be_imported(install: Install, source: str, reason: str) -> None:
    install("their-attacks", "theirs", source)
    assert "theirs" in registry.names("attacks")
    assert "their_attacks_plugin" not in sys.modules
    said = f"^attack 'theirs' of package their-attacks 1.2 cannot be imported: {reason}"
    with pytest.raises(PriemoError, match=said) as error:
        registry.get("attacks", "theirs")
    assert "\n" not in str(error.value)
    assert registry.get("attacks", "pgd").traits.targeted


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("Good = 3", "is a int; it must be callable"),
        ("class Good: pass", "is a class that is no EvasionAttack of ART"),
        ("class Good:\n    traits = {'family': 'control'}", "has `traits` that are a dict"),
    ],
)
def test_what_is_no_attack(install: Install, source: str, reason: str) -> None:
    install("their-attacks", "theirs", source)
    with pytest.raises(PriemoError, match=f"'theirs' of package their-attacks 1.2 {reason}"):
        registry.get("attacks", "theirs")


def test_two_packages_with_one_name(install: Install) -> None:
    install("their-attacks", "theirs", GOOD)
    assert registry.get("attacks", "theirs").traits.family == "control"
    install("others", "theirs", GOOD)
    assert registry.names("attacks").count("theirs") == 1
    with pytest.raises(PriemoError, match=r"'theirs' is in package .* and in package .* uninstall"):
        registry.get("attacks", "theirs")


def test_a_sentence_of_the_plugin_itself(install: Install) -> None:
    own = "from priemo_bench.errors import PriemoError\nraise PriemoError('pip install more')"
    install("their-attacks", "theirs", own)
    with pytest.raises(PriemoError, match=r"^pip install more$"):
        registry.get("attacks", "theirs")


def test_a_spec_imports_no_plugin(install: Install) -> None:
    install("their-attacks", "theirs", "raise SystemExit")
    spec = load("default", attacks=("theirs", "noise"))
    assert [attack.name for attack in spec.attacks] == ["theirs", "noise"]
    assert "their_attacks_plugin" not in sys.modules


def test_a_name_given_under_itself_is_that_name() -> None:
    """As in `victims={"mine": module, "resnet": "resnet"}`."""
    assert registry.adopt("victims", ("resnet", "resnet")) == "resnet"
