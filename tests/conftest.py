"""Tests run in two processes (see pyproject.toml), each of which takes one thread."""

from __future__ import annotations

import os

import pytest
import torch

from priemo_bench import registry

torch.set_warn_always(True)  # not only once a process: what fails must not depend on the order


@pytest.fixture(autouse=True)
def _no_names_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_OWN", dict(registry._OWN))


if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start
    torch.set_num_threads(1)
