"""A protected photo as a file, and what is left of its protection once it is saved as JPEG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from priemo_bench.photos.carrying import quality
from priemo_bench.photos.faces import Pixels
from priemo_bench.photos.photo import Photo
from priemo_bench.photos.png import png
from priemo_bench.photos.protector import Protected, Protector, as_image, facts


def encoded(found: Protected, protector: Protector) -> tuple[bytes, list[dict[str, Any]]]:
    """The file, and what is known of each face; of a JPEG also what is left after saving.

    Returns:
        The bytes; and per face `facts`, for JPEG with `saved` (what the classifiers predict for the
        file), `saved_ssim`, `saved_linf`, and `jpeg_ssim`, what the compression alone costs.
    """
    s, photo = protector.settings, found.photo
    faces = [facts(face) for face in found.faces]
    if s.jpeg is None:
        return _png(photo, found.pixels, s.keep_metadata), faces
    data = _jpeg(photo, found.pixels, s.jpeg, s.keep_metadata)
    saved, alone = _decoded(data, photo), _decoded(_jpeg(photo, photo.pixels, s.jpeg, False), photo)
    for face, known in zip(found.faces, faces, strict=True):
        if face.is_protected:
            before, after, plain = (as_image(face.box.of(p)) for p in (photo.seen, saved, alone))
            ssim, linf = quality(before, after)
            known["saved"] = protector.predicted(after)
            known["saved_ssim"], known["saved_linf"] = round(ssim, 6), round(linf, 6)
            known["jpeg_ssim"] = round(quality(before, plain)[0], 6)
    return data, faces


def _png(photo: Photo, pixels: Pixels, keep_metadata: bool) -> bytes:
    if photo.alpha is not None:
        pixels = np.concatenate([pixels, photo.alpha[..., None]], 2)
    kept = (photo.exif, photo.xmp) if keep_metadata else (None, None)
    return png(pixels, photo.profile, *kept)


def _jpeg(photo: Photo, pixels: Pixels, quality: int, keep_metadata: bool) -> bytes:
    """On white where it is transparent."""
    file, flat = io.BytesIO(), photo.on_white(pixels)
    picture = Image.fromarray(flat[..., 0] if flat.shape[2] == 1 else flat)
    more: dict[str, Any] = {"icc_profile": photo.profile} if photo.profile else {}
    if keep_metadata and photo.exif:
        more["exif"] = photo.exif
    picture.save(file, "JPEG", quality=quality, **more)
    return file.getvalue()


def _decoded(data: bytes, photo: Photo) -> Pixels:
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.array(picture)
    return pixels.reshape(photo.pixels.shape)
