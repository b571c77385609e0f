"""Digests of code: what an edit changes, and what real entries depend on."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from priemo_bench import registry
from priemo_bench.run import code
from priemo_bench.run.code import MENDED, code_of, entry_code, stale_parts
from priemo_bench.run.source import _source

PACKAGE = {
    "__init__.py": """\
        \"\"\"A package.\"\"\"
        from toybox.attack import Attack
        from toybox.other import unrelated

        __all__ = ["Attack", "strong", "unrelated"]
        POWER = 3
        strong = (Attack, POWER)
        weak = (Attack, 1)
        """,
    "attack.py": """\
        \"\"\"An attack.\"\"\"
        from __future__ import annotations

        import numpy as np

        from .helper import double


        class Attack:
            \"\"\"Doubles.\"\"\"

            def generate(self, x):
                from toybox import lazy

                # twice
                return lazy.same(double(np.asarray(x)))
        """,
    "helper.py": "def double(x):\n    return 2 * x\n",
    "lazy.py": "def same(x):\n    return x\n",
    "other.py": "def unrelated():\n    return 1\n",
}
ROOT = "toybox.attack"


@pytest.fixture
def toybox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on disk that nobody has imported."""
    import textwrap

    folder = tmp_path / "toybox"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def read(*roots: object) -> code.Code:
    """The code of roots as the files are now."""
    _source.cache_clear()
    code._KNOWN.clear()
    return code_of(*roots)


def edited(folder: Path, file: str, old: str, new: str, root: str = ROOT) -> bool:
    """Whether an edit of a file changes the digest."""
    before = read(root)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    after = read(root)
    assert (before.sources == after.sources) == (before.digest == after.digest)
    return before.digest != after.digest


def test_the_closure_follows_relative_and_local_imports_but_not_the_package(toybox: Path) -> None:
    found = read(ROOT)
    assert set(found.modules) == {"toybox.attack", "toybox.helper", "toybox.lazy"}
    assert {"numpy", "torch", "adversarial-robustness-toolbox"} <= set(found.versions)
    assert "toybox" not in sys.modules


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("attack.py", "# twice", "# two times"),
        ("attack.py", "        # twice\n", ""),
        ("attack.py", '"""Doubles."""', '"""Twice\n\n    as much.\n    """'),
        ("attack.py", '"""An attack."""', ""),
        ("attack.py", "class Attack", "\n\n\nclass Attack"),
        ("attack.py", "import numpy as np\n", "import numpy as np  # arrays\n"),
        ("attack.py", "x)))\n", "x)))   \n"),
        ("other.py", "return 1", "return 2"),
        ("__init__.py", "weak = (Attack, 1)", "weak = (Attack, 2)"),
        (
            "attack.py",
            "import numpy as np\n",
            "from typing import TYPE_CHECKING\n\nimport numpy as np\n\n"
            "if TYPE_CHECKING:\n    from toybox.other import unrelated\n",
        ),
    ],
)
def test_edits_that_decide_nothing(toybox: Path, file: str, old: str, new: str) -> None:
    assert not edited(toybox, file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("attack.py", "double(np", "double(-np"),
        ("helper.py", "2 * x", "3 * x"),
        ("lazy.py", "return x", "return -x"),
        ("attack.py", "class Attack", "from toybox.other import unrelated\n\n\nclass Attack"),
        ("attack.py", "from toybox import lazy", "from toybox import lazy, other"),
        ("__init__.py", "POWER = 3", "POWER = 3\nprint(POWER)"),
    ],
)
def test_edits_that_decide_something(toybox: Path, file: str, old: str, new: str) -> None:
    assert edited(toybox, file, old, new)


def test_of_a_package_only_what_a_name_needs_counts(toybox: Path) -> None:
    assert not edited(toybox, "__init__.py", "(Attack, 1)", "(Attack, 2)", "toybox:strong")
    assert not edited(toybox, "other.py", "return 1", "return 2", "toybox:strong")
    assert edited(toybox, "__init__.py", "POWER = 3", "POWER = 4", "toybox:strong")
    assert edited(toybox, "helper.py", "2 * x", "3 * x", "toybox:strong")
    assert edited(toybox, "other.py", "return 2", "return 3", "toybox")
    assert edited(toybox, "other.py", "return 3", "return 4", "toybox:unrelated")


def test_blank_lines_and_hashes_in_strings_count(toybox: Path) -> None:
    (toybox / "helper.py").write_text('TEXT = """a\n\n# b\n"""\n')
    assert edited(toybox, "helper.py", "# b", "# c")
    assert edited(toybox, "helper.py", "\n\n", "\n")


def test_a_change_of_version_changes_the_digest_and_not_the_sources(
    toybox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(ROOT)
    monkeypatch.setattr(code.metadata, "version", lambda name: "0")
    code._versions.cache_clear()
    after = read(ROOT)
    code._versions.cache_clear()
    assert before.sources == after.sources
    assert before.digest != after.digest


def test_things_stand_for_their_modules_and_show_their_parameters() -> None:
    from priemo_bench.defenses import Jpeg

    assert "priemo_bench.defenses.compression" in code_of(Jpeg).modules
    assert code_of(Jpeg(75)) == code_of(Jpeg(75)) != code_of(Jpeg(50))
    assert code_of(partial(Jpeg, 75)).sources != code_of(partial(Jpeg, 50)).sources
    assert "priemo_bench.defenses.compression" in code_of(Jpeg(75).__call__).modules
    preset = code_of(registry.get("attacks", "priemo-image"))
    assert {"priemo_bench.attacks.priemo.image", "priemo_bench.contracts.preset"} <= set(
        preset.modules
    )


def test_what_is_typed_in_a_shell_counts_by_its_name() -> None:
    scope: dict[str, type] = {"__name__": "__main__"}  # type: ignore[dict-item]
    exec("class Typed: pass", scope)
    assert list(code_of(scope["Typed"]).modules) == ["__main__:Typed"]


@pytest.mark.parametrize(
    ("kind", "name", "needs", "needs_not"),
    [
        (
            "attacks", "pgd",
            ["attacks.art_adapter", "attacks.adapter", "attacks.base", "attacks.losses"],
            ["attacks.priemo", "attacks.universal", "attacks.ddn", "quality.budget"],
        ),
        (
            "attacks", "priemo-image",
            ["attacks.priemo.image", "attacks.priemo.objective", "quality.structural"],
            ["attacks.priemo.generator", "attacks.priemo.universal", "attacks.unet"],
        ),
        (
            "attacks", "cat-map",
            ["attacks.cryptographic.cat_map", "attacks.cryptographic.cipher"],
            ["attacks.cryptographic.aes", "attacks.cryptographic.etc"],
        ),
        (
            "victims", "resnet",
            ["victims.zoo", "victims.timm_victim", "contracts.victim"],
            ["victims.public.entry", "victims.custom"],
        ),
        (
            "victims", "fer",
            ["victims.public.mini_xception", "victims.public.entry", "contracts.victim"],
            ["victims.zoo", "victims.public.facex"],
        ),
        (
            "defenses", "jpeg75",
            ["defenses.compression", "contracts.image"],
            ["defenses.smoothing", "defenses.squeezing"],
        ),
    ],
)  # fmt: skip
def test_closures_of_entries(kind: str, name: str, needs: list[str], needs_not: list[str]) -> None:
    found = {module.removeprefix("priemo_bench.") for module in entry_code(kind, name).modules}
    assert found >= set(needs)
    assert not found & set(needs_not)
    assert not any(module.startswith(("run.", "judge.", "report.")) for module in found)


def test_judging_depends_on_no_attack_victim_or_run() -> None:
    rooms = {
        name.removeprefix("priemo_bench.").partition(".")[0]
        for name in code_of("priemo_bench.judge.leaderboard").modules
    }
    assert "judge" in rooms
    assert rooms <= {"judge", "contracts"}


def test_digests_import_neither_torch_nor_numpy_nor_what_they_read() -> None:
    script = (
        "import sys; from priemo_bench.run.code import entry_code, code_of;"
        "entry_code('attacks', 'priemo-image'); code_of('priemo_bench.run.craft');"
        "print([m for m in sys.modules if m in ('torch', 'numpy', 'art', 'priemo_bench.attacks')])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_mended_module_counts_as_before_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an entry of MENDED that no module has any more is to go."""
    names = [
        f"priemo_bench.{n}"
        for n in (
            "quality.structural", "contracts.attack", "attacks.doors", "attacks.transfer.base",
            "attacks.transfer.smer", "attacks.torchattack_adapter", "run.plan", "run.spec",
        )
    ]  # fmt: skip
    own = {n: code._digest("\n".join(code._source(n).lines.values())) for n in names}
    assert set(MENDED) == set(own.values())
    for name, digest in own.items():
        assert code_of(name).modules[name] == MENDED[digest] != digest
    monkeypatch.setattr(code, "MENDED", {})
    monkeypatch.setattr(code, "_KNOWN", {})
    for name, digest in own.items():
        assert code_of(name).modules[name] == digest


def test_stale_parts_are_named() -> None:
    today = {
        "attacks": {"pgd": "a", "sga": "b"},
        "victims": {"resnet": "c"},
        "defenses": {"none": "d"},
        "metrics": {},
        "run": "e",
        "page": "f",
    }
    assert stale_parts(today, today) == []
    assert stale_parts({**today, "attacks": {"pgd": "a", "sga": "x"}}, today) == ["attack sga"]
    assert stale_parts({**today, "run": "x", "victims": {}}, today) == ["victim resnet", "run"]
    assert stale_parts(None, today) == ["all of it"]
