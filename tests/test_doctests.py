"""The examples in docstrings run, and what users type has one."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import priemo_bench

ROOT = Path(__file__).parents[1]
HOME = {"priemo_bench": "", "attacks": "priemo_bench.", "victims": "priemo_bench."}


def modules_with_examples() -> list[str]:
    files = [(top, file) for top in HOME for file in (ROOT / top).rglob("*.py")]
    parts = [(HOME[top], file.relative_to(ROOT).with_suffix("").parts)
             for top, file in files if ">>> " in file.read_text("utf-8")]  # fmt: skip
    return sorted(home + ".".join(p).removesuffix(".__init__") for home, p in parts)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert tried
    assert not failed


@pytest.mark.parametrize("name", sorted(set(priemo_bench.__all__) - {"__version__"}))
def test_every_top_level_name_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(priemo_bench, name)) or "")
