"""Attacks that misbehave, each in its own way."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from typing import Any

import numpy as np
import torch

from priemo_bench.contracts.attack import Traits


class Bad:
    """Called on floats; `_run` does the harm."""

    traits = Traits("control")

    def __init__(self, classifier: Any = None) -> None:
        self.classifier = classifier

    def generate(self, x: Any, y: Any = None) -> Any:
        return self._run(x)


class Raises(Bad):
    def _run(self, x: Any) -> Any:
        raise RuntimeError("out of luck")


class NotANumber(Bad):
    def _run(self, x: Any) -> Any:
        y = x.copy()
        y[-1, 0, 0, 0] = np.nan
        return y


class Shape(Bad):
    def _run(self, x: Any) -> Any:
        return x[..., 1:]


class Nothing(Bad):
    def _run(self, x: Any) -> Any:
        return None


class Bytes(Bad):
    def _run(self, x: Any) -> Any:
        return (x * 255).astype(np.uint8)


class Writes(Bad):
    """Into what it is given."""

    def _run(self, x: Any) -> Any:
        x[:] = 0.5
        return x


class Globals(Bad):
    """Upsets whatever is global."""

    def _run(self, x: Any) -> Any:
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        np.seterr(all="ignore")
        os.environ["TOY_FACES"] = "3"
        return x.copy()


class Train(Bad):
    """Leaves its surrogate in training mode, with gradients of its parameters."""

    traits = Traits("per-image", "image", "one")

    def _run(self, x: Any) -> Any:
        self.classifier.model.train().requires_grad_(True)
        return x.copy()


class Exit(Bad):
    def _run(self, x: Any) -> Any:
        sys.exit(3)


class Interrupt(Bad):
    def _run(self, x: Any) -> Any:
        raise KeyboardInterrupt


class Abort(Bad):
    def _run(self, x: Any) -> Any:
        os.abort()


class Sleep(Bad):
    def _run(self, x: Any) -> Any:
        time.sleep(60)
        return x.copy()


class Loop(Bad):
    """Swallows whatever is raised into it."""

    def _run(self, x: Any) -> Any:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(Exception):
                sum(range(1000))
        return x.copy()


class Native(Bad):
    """Never gives the interpreter back: no signal handler written in Python can run."""

    def _run(self, x: Any) -> Any:
        ctypes.PyDLL(None).sleep(60)
        ctypes.PyDLL(None).sleep(60)
        return x.copy()


class Memory(Bad):
    """Takes 50 MB at a time, up to 3 GB, which no limit of the tests allows."""

    def _run(self, x: Any) -> Any:
        kept = []
        for _ in range(60):
            kept.append(np.ones(50_000_000 // 8))
            time.sleep(0.02)
        raise RuntimeError("nothing stopped it")


class WithoutTraits:
    def __init__(self, classifier: Any = None) -> None: ...

    def generate(self, x: Any, y: Any = None) -> Any:
        return x.copy()
