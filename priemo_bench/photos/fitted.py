"""Crops protected by a perturbation that was fitted once, without a gradient."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from re import fullmatch
from typing import Any, cast

import numpy as np
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.attack import FittableAttack
from priemo_bench.contracts.image import ByteImages, publish, to_float
from priemo_bench.contracts.storage import load_tensors
from priemo_bench.contracts.victim import as_art
from priemo_bench.data.pictures import grey
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError
from priemo_bench.photos.carrying import carried, difference, reduced, resized
from priemo_bench.photos.settings import Settings
from priemo_bench.quality.budget import Budget
from priemo_bench.run.deploy import ENTRY, SURROGATES


class ByFile:
    """A file that `priemo-bench fit` wrote.

    Attributes:
        budget: what each crop keeps: the stricter bounds of the file and of the settings.
        surrogates: the classifiers that it was fitted on, by name, where they are needed.

    Raises:
        PriemoError: not such a file, a damaged one, or one of another version.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.perturbation is not None
        self.path = settings.perturbation
        metadata = _metadata(self.path)
        self.shape = cast(tuple[int, int, int], tuple(map(int, metadata["image"].split("x"))))
        names = _names(metadata[SURROGATES], self.path)
        entry = registry.get("attacks", registry.adopt("attacks", metadata[ENTRY]))
        self._any_size = entry.traits.scope == "generator"
        self.surrogates: dict[str, nn.Module] = {}
        looks = _looks(entry, metadata, self.path)
        if looks or settings.readers is None:
            self.surrogates = {n: registry.get("victims", n)() for n in names}
        with told(self.path, "cannot be read as a perturbation"):
            self.attack = self._loaded(entry) if looks else entry.load(self.path)
        self.budget = _stricter(self.attack, settings.bounds)

    def _loaded(self, entry: Any) -> FittableAttack:
        """The attack with its surrogates."""
        channels, side, _ = self.shape
        models = [as_art(model, channels, side) for model in self.surrogates.values()]
        more = {"surrogates": tuple(models[1:])} if len(models) > 1 else {}
        return cast(FittableAttack, entry.load(self.path, models[0], **more))

    def __call__(self, crop: ByteImages) -> tuple[ByteImages, str]:
        """A crop (1, c, h, w) protected, and a note.

        What was fitted on grey faces changes the three channels of a colour photo alike, by what it
        changes in the grey one; a grey photo is changed as its luma would be.

        Raises:
            PriemoError: the perturbation cannot be applied.
        """
        channels, *size = self.shape
        small = reduced(crop) if self._any_size else resized(crop, (size[0], size[1]))
        x = grey(small) if channels == 1 else np.repeat(small, 3 // small.shape[1], 1)
        with told(self.path, "cannot be applied"):
            protected = publish(self.attack.apply(to_float(x)))
        if channels > crop.shape[1]:
            x, protected = grey(x), grey(protected)
        note = "" if small is crop else (
            f"its perturbation was made at {small.shape[3]}x{small.shape[2]} pixels"
        )  # fmt: skip
        return carried(crop, difference(x, protected), self.budget), note


def _looks(entry: Any, metadata: Mapping[str, str], path: Path) -> bool:
    """Whether surrogates look at a face before it is protected: for its emotion, or their maps."""
    with told(path, "cannot be read as a perturbation"):
        reads = json.loads(metadata["settings"]).get("feature_maps", False)
    return reads is True or entry.traits.scope == "class"


def _metadata(path: Path) -> dict[str, str]:
    _, metadata = load_tensors(path)
    sides = fullmatch(r"[13]x[1-9]\d{0,3}x[1-9]\d{0,3}", metadata.get("image", ""))
    if not sides or not {ENTRY, SURROGATES} <= set(metadata):
        raise PriemoError(f"{path} was not written by priemo-bench fit")
    return metadata


def _names(text: str, path: Path) -> tuple[str, ...]:
    """Names of the surrogates; before version 0.4 they were joined by "+"."""
    names = text.split("+")
    if text.startswith("["):
        with told(path, "cannot be read as a perturbation"):
            names = json.loads(text)
    if not all(isinstance(name, str) for name in names):
        raise PriemoError(f"{path} names no surrogates: {text[:80]!r}")
    return registry.adopt_all("victims", names)


def _stricter(attack: object, asked: Mapping[str, float | None]) -> Budget:
    """The bounds that were fitted for, and those asked for where they are tighter."""
    floor, eps, psnr = (getattr(attack, n, None) for n in ("ssim_floor", "eps", "psnr_floor"))
    if (cap := asked.get("eps")) is not None:
        eps = cap if eps is None else min(eps, cap)
    if (least := asked.get("psnr_floor")) is not None:
        floor, psnr = None, max(least, psnr or 0)
    elif (least := asked.get("ssim_floor")) is not None:
        floor, psnr = max(least, floor or 0), None
    return Budget.of(floor, eps, psnr)
