"""Tests run in two processes (see pyproject.toml), each of which takes one thread."""

from __future__ import annotations

import os

import torch

torch.set_warn_always(True)  # not only once a process: what fails must not depend on the order

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start
    torch.set_num_threads(1)
