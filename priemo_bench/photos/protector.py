"""One photo protected: every face in its crop, the rest of the photo as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.image import EMOTIONS, ByteImages
from priemo_bench.contracts.predict import predict
from priemo_bench.data.pictures import SMALLEST
from priemo_bench.photos.attacking import ByAttack
from priemo_bench.photos.carrying import carried, difference, quality, reduced
from priemo_bench.photos.faces import Box, Pixels, crops, find_faces
from priemo_bench.photos.fitted import ByFile
from priemo_bench.photos.photo import Photo
from priemo_bench.photos.settings import Settings

MCU = 16
"""Pixels of a side that JPEG codes together where it halves the resolution of colour."""
READ = 1024
"""Longer side of a face that classifiers are shown at most."""
Emotions = dict[str, str]
"""The emotion that each classifier predicts, by its name."""


@dataclass(frozen=True)
class Face:
    """One face of a protected photo.

    Attributes:
        box: the crop that was published, in pixels of the upright photo.
        before, after: what the classifiers predict for the crop.
        ssim, linf: of the crop: the smaller of both SSIM means, and the largest change in [0, 1].
        note: what else is to be said of it; a face without `after` was left alone.
    """

    box: Box
    before: Emotions = field(default_factory=dict)
    after: Emotions = field(default_factory=dict)
    ssim: float = 1.0
    linf: float = 0.0
    note: str = ""

    @property
    def is_protected(self) -> bool:
        """Whether its crop was worked on."""
        return "left alone" not in self.note


@dataclass(frozen=True)
class Protected:
    """A photo with all its faces protected.

    Attributes:
        photo: the original. pixels: (h, w, 1 or 3) uint8, what is to be published.
        faces: those that were found.
    """

    photo: Photo
    pixels: Pixels
    faces: Sequence[Face]


class Protector:
    """Protects photos as `settings` say; models are loaded once.

    Raises:
        PriemoError: what is asked for cannot be done.

    Example:
        >>> from priemo_bench import load_dataset
        >>> from priemo_bench.photos.photo import from_array
        >>> face = load_dataset("rendered").split("test").images[0].transpose(1, 2, 0)
        >>> settings = Settings("fgsm", ("resnet",), readers=(), whole=True)
        >>> found = Protector(settings)(from_array(face))
        >>> len(found.faces), found.faces[0].linf <= 8 / 255
        (1, True)
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.settled()
        self.method = (
            ByAttack(self.settings) if settings.perturbation is None else ByFile(self.settings)
        )

    @cached_property
    def readers(self) -> dict[str, nn.Module]:
        """The classifiers that predict each face before and after."""
        s = self.settings
        names = s.default_readers if s.readers is None else s.readers
        if s.readers is None and s.perturbation is not None:
            names = ()
        found = dict(self.method.surrogates)
        for name in names:
            if name not in found:
                found[name] = registry.get("victims", name)()
        return found

    def find(self, photo: Photo) -> list[Box]:
        """The crops of its faces; all of it where a photo is one face."""
        height, width = photo.pixels.shape[:2]
        if self.settings.whole:
            return [Box(0, 0, width, height)]
        grid = 1 if self.settings.jpeg is None else MCU
        return crops(find_faces(photo.seen), width, height, grid)

    def __call__(self, photo: Photo, boxes: Sequence[Box] | None = None) -> Protected:
        """The photo protected.

        Args:
            boxes: crops of its faces, where they are known.

        Raises:
            PriemoError: the attack fails on a crop.
        """
        pixels, faces = photo.pixels.copy(), []
        for box in self.find(photo) if boxes is None else boxes:
            if min(box.width, box.height) < SMALLEST:
                faces.append(Face(box, note=f"left alone: fewer than {SMALLEST} pixels a side"))
                continue
            before = as_image(box.of(photo.seen))
            after, note = self.method(before)
            after = self._where_opaque(photo, box, before, after)
            change = after.astype(np.int16) - before
            own = box.of(pixels)
            own[:] = (own + change[0].transpose(1, 2, 0)).clip(0, 255).astype(np.uint8)
            faces.append(self._face(box, before, after, note))
        return Protected(photo, pixels, faces)

    def _where_opaque(
        self, photo: Photo, box: Box, before: ByteImages, after: ByteImages
    ) -> ByteImages:
        """`after`, changed where nothing shines through only, within the budget still."""
        if photo.alpha is None or (opaque := box.of(photo.alpha) == 255).all():
            return after
        return carried(before, difference(before, after) * opaque, self.method.budget)

    def _face(self, box: Box, before: ByteImages, after: ByteImages, note: str) -> Face:
        ssim, largest = quality(before, after)
        return Face(box, self.predicted(before), self.predicted(after), ssim, largest, note)

    def predicted(self, crop: ByteImages) -> Emotions:
        """What each classifier predicts for a crop (1, c, h, w)."""
        shown = reduced(crop, READ)
        return {
            name: EMOTIONS[int(predict(model, shown)[0])] for name, model in self.readers.items()
        }


def as_image(pixels: Pixels) -> ByteImages:
    """(h, w, c) as (1, c, h, w)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def facts(face: Face) -> dict[str, Any]:
    """A face as JSON has it."""
    found: dict[str, Any] = {"box": list(face.box)}
    if face.is_protected:
        found |= {
            "before": face.before, "after": face.after, "ssim": round(face.ssim, 6),
            "linf": round(face.linf, 6),
        }  # fmt: skip
    return {**found, "note": face.note} if face.note else found
