"""Crops protected by a per-image attack, each at its own size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.attack import Attack, AttackEntry, make_attack
from priemo_bench.contracts.image import (
    EMOTIONS,
    ByteImages,
    FloatImages,
    Labels,
    check_images,
    publish,
    to_float,
)
from priemo_bench.contracts.predict import predict, probabilities
from priemo_bench.contracts.victim import Ensemble, as_art
from priemo_bench.data.pictures import grey
from priemo_bench.defenses.compression import Jpeg
from priemo_bench.errors import PriemoError
from priemo_bench.photos.carrying import carried, difference, reduced
from priemo_bench.photos.settings import RUNGS, Settings
from priemo_bench.quality.budget import Budget, match_budget
from priemo_bench.run.perturb import isolated


def jpeg_filter(quality: int) -> str:
    """The name of the defense that is JPEG of a quality; one that is not listed is registered."""
    name = f"jpeg{quality}"
    if name not in registry.names("defenses"):
        registry.adopt("defenses", (name, Jpeg(quality)))
    return name


RESTARTS = 6
"""Of an attack that has them, where a face is not hidden yet: towards each other emotion."""
FIT_FACES = 70
"""Embedded faces from which an attack that asks for some learns feature vectors."""


class ByAttack:
    """An attack on the surrogates of the settings.

    Attributes:
        budget: what the latest crop keeps. surrogates: the classifiers by name.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.budget = settings, Budget.of(**settings.rungs[0])
        self.entry: AttackEntry = registry.get("attacks", settings.attack)
        self.surrogates: dict[str, nn.Module] = {
            name: registry.get("victims", name)() for name in settings.surrogates
        }
        self._fitted: dict[tuple[object, ...], Attack] = {}

    def __call__(self, crop: ByteImages) -> tuple[ByteImages, str]:
        """A crop (1, c, h, w) protected, within the first budget that hides it, and a note.

        Raises:
            PriemoError: the attack refuses its parameters, or raises whatever else.
        """
        small, notes = reduced(crop), []
        if small is not crop:
            notes.append(f"computed at {small.shape[3]}x{small.shape[2]} pixels")
        labels = self._labels(small)
        for rung, more in self._attempts():
            self.budget = Budget.of(**rung)
            with isolated(self.settings.seed):
                protected = self._protected(small, labels, {**rung, **more})
            if small is not crop:
                protected = carried(crop, difference(small, protected), self.budget)
            if not (known := self._known(protected, labels)):
                break
        if known:
            notes.append(f"still predicted by {', '.join(known)} within this budget")
        return protected, "; ".join(notes)

    def _attempts(self) -> Iterator[tuple[dict[str, float | None], dict[str, int]]]:
        """Bounds and further parameters, one after the other until the face is hidden.

        An attack that restarts where an image is missed, but not by default, does so before the
        bounds are widened for the second time, or where they may not be.
        """
        rungs = self.settings.rungs
        may_restart = "restarts" not in self.settings.params
        may_restart &= getattr(self._sample, "restarts", None) == 0
        for number, rung in enumerate(rungs):
            if number < 2 or not may_restart:
                yield rung, {}
            if may_restart and (number or len(rungs) == 1):
                yield rung, {"restarts": RESTARTS}

    def _known(self, crop: ByteImages, labels: Labels | None) -> list[str]:
        """Surrogates that predict the label, or miss the target, once the crop is saved."""
        shown: ByteImages | FloatImages = crop
        if self.settings.jpeg is not None:
            shown = registry.get("defenses", jpeg_filter(self.settings.jpeg))(crop)
        is_aimed = self.settings.target is not None
        return [
            name
            for name, model in self.surrogates.items()
            if labels is not None and (predict(model, shown)[0] == labels[0]) != is_aimed
        ]

    def _protected(
        self, x: ByteImages, labels: Labels | None, rung: Mapping[str, Any]
    ) -> ByteImages:
        """`x` within the budget, at its own size."""
        traits = self.entry.traits
        if traits.budgeted:
            found = publish(self._generate(x, labels, rung))
            if self.budget.holds(x, found).all():
                return found
            return match_budget(x, to_float(found), self.budget, grow=False)
        if traits.knob is None or traits.knob in self.settings.params:
            return match_budget(x, self._generate(x, labels, {}), self.budget, grow=False)
        if traits.knob == "eps":
            eps = self.budget.eps or RUNGS[0][1]
            changed = self._generate(x, labels, {"eps": eps})
            return match_budget(x, changed, self.budget, dither=True)
        for value in reversed(traits.strengths):
            found = publish(self._generate(x, labels, {traits.knob: value}))
            if self.budget.holds(x, found).all():
                return found
        return x

    def _generate(self, x: ByteImages, y: Labels | None, bounds: Mapping[str, Any]) -> FloatImages:
        try:
            changed = check_images(self._attack(x, bounds).generate(to_float(x), y))
        except (PriemoError, MemoryError):
            raise
        except Exception as error:  # any that an attack may raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise PriemoError(f"attack {self.settings.attack!r} failed: {reason}") from error
        finally:
            for model in self.surrogates.values():
                model.eval()
        if changed.shape != x.shape:
            raise PriemoError(
                f"attack {self.settings.attack!r} gave shape {changed.shape}, not {x.shape}"
            )
        return changed

    def _attack(self, x: ByteImages, bounds: Mapping[str, Any]) -> Attack:
        """Made for images like `x`; one that learns from faces has learned from the embedded."""
        channels = x.shape[1]
        key = (channels, *sorted(bounds.items()))
        if key in self._fitted:
            return self._fitted[key]
        models = list(self.surrogates.values())
        if len(models) > 1 and self.entry.traits.surrogates == "one":
            models = [Ensemble(models)]
        if self.entry.traits.surrogates == "none":
            models = models[:1]
        s = self.settings
        attack = make_attack(
            self.entry,
            [as_art(model, channels, x.shape[2]) for model in models],
            {**bounds, **s.params, **self._filters},
            s.seed,
            targeted=s.target is not None,
        )
        if hasattr(attack, "fit"):
            faces = self._faces if channels == 3 else grey(self._faces)
            attack.fit(to_float(faces), self._labels(faces))
            self._fitted[key] = attack
        return attack

    @cached_property
    def _sample(self) -> Attack:
        """The attack as it is by default, to look at its parameters."""
        models = list(self.surrogates.values())[:1]
        return make_attack(self.entry, [as_art(m) for m in models], self.settings.params)

    @property
    def _filters(self) -> dict[str, object]:
        """The JPEG that is to be survived, for an attack that takes filters."""
        own = getattr(self._sample, "filters", None)
        if own is None or self.settings.jpeg is None or "filters" in self.settings.params:
            return {}
        return {"filters": (*own, jpeg_filter(self.settings.jpeg))}

    @cached_property
    def _faces(self) -> ByteImages:
        faces = registry.get("datasets", "rendered")(None, None).split("fit")
        rows = np.concatenate([
            np.flatnonzero(faces.labels == k)[: FIT_FACES // len(EMOTIONS)]
            for k in range(len(EMOTIONS))
        ])  # fmt: skip
        found: ByteImages = faces.images[rows]
        return found

    def _labels(self, x: ByteImages) -> Labels | None:
        """(n,) the target, or what the surrogates predict together; None without surrogates."""
        if not self.surrogates:
            return None
        if self.settings.target is not None:
            return np.full(len(x), EMOTIONS.index(self.settings.target), np.int64)
        means = np.mean([probabilities(model, x) for model in self.surrogates.values()], 0)
        labels: Labels = means.argmax(1)
        return labels
