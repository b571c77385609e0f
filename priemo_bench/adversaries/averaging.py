"""Average published images, subtract the average of public faces: what remains is the perturbation.

An adversary who knows that images share a perturbation averages n of them. Faces cancel, and what
they have in common stays: the mean face, which public clean faces also have, and the perturbation.
Independent faces of standard deviation s leave an error of s / sqrt(n) a pixel in it, as the
averaged residuals do by which a camera is known from its photos (Lukas, Fridrich & Goljan, "Digital
camera identification from sensor pattern noise", IEEE TIFS 1(2), 2006).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from priemo_bench.adversaries.cases import Case, Finding, similarity
from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, to_float
from priemo_bench.errors import PriemoError

Estimates = npt.NDArray[np.float64]
METHODS = ("plain", "Wiener")


def mean_difference(published: ByteImages, clean: ByteImages) -> Estimates:
    """(c, h, w) mean of published images less the mean of clean faces, in [-1, 1].

    Args:
        published: (n, c, h, w), of one perturbation. clean: (m, c, h, w), other faces.

    Raises:
        PriemoError: images of different shapes.
    """
    if published.shape[1:] != clean.shape[1:]:
        raise PriemoError(
            f"published images are {published.shape[1:]} and clean faces {clean.shape[1:]}; "
            "they must have one shape"
        )
    mean: Estimates = (published.mean(0, np.float64) - clean.mean(0, np.float64)) / 255
    return mean


def expected_error(spread: float, n: int, m: int) -> float:
    """RMS error of `mean_difference` over independent faces whose pixels have this deviation.

    The variance of a difference of two means, sqrt(spread^2 (1 / n + 1 / m)).

    Example:
        >>> expected_error(60, 100, 10**9).__round__(3), expected_error(60, 400, 10**9).__round__(3)
        (6.0, 3.0)
    """
    return float(spread * np.sqrt(1 / n + 1 / m))


def wiener(difference: Estimates, clean: ByteImages, n: int) -> Estimates:
    """A mean difference with each spatial frequency shrunk by how much of it is noise.

    The gain is 1 - noise / power, at least 0: the Wiener filter with the power of the difference
    itself for that of signal and noise (spectral subtraction: Boll, IEEE TASSP 27(2), 1979). The
    noise is that of faces: their variance in each frequency, times 1 / n + 1 / m.

    Args:
        difference: (c, h, w) of n published images. clean: (m, c, h, w), m >= 2.
    """
    spectra = np.fft.fft2(clean / 255.0, norm="ortho")
    noise = spectra.var(0, ddof=1) * (1 / n + 1 / len(clean))
    own = np.fft.fft2(difference, norm="ortho")
    gain = np.clip(1 - noise / np.maximum(np.abs(own) ** 2, 1e-20), 0, 1)
    return np.asarray(np.fft.ifft2(gain * own, norm="ortho").real, np.float64)


def subtract(images: ByteImages, estimates: Estimates, groups: Labels) -> FloatImages:
    """(n, c, h, w) images less the estimate (groups, c, h, w) of the group of each, in [0, 1]."""
    restored = to_float(images) - estimates[groups]
    return np.clip(restored, 0, 1).astype(np.float32)


def estimates_of(
    published: ByteImages,
    groups: Labels,
    clean: ByteImages,
    clean_groups: Labels,
    n: int,
    method: str,
) -> Estimates:
    """(k, c, h, w) estimates for each of k groups, from the first n published images of each.

    A group with too few clean faces is compared with all of them; one of which no published image
    was seen has an estimate of 0.
    """
    count = int(max(groups.max(), clean_groups.max())) + 1
    found = np.zeros((count, *published.shape[1:]))
    for group in range(count):
        own, faces = published[groups == group][:n], clean[clean_groups == group]
        faces = faces if len(faces) > 1 else clean
        if not len(own):
            continue
        found[group] = mean_difference(own, faces)
        if method == "Wiener":
            found[group] = wiener(found[group], faces, len(own))
    return found


def findings(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """The adversary by number of images and method, on each victim of the study.

    Where there is one perturbation for each emotion he groups published images, those to restore
    and public faces by what the victim predicts for them, whether it is fooled or not: he has no
    labels. "labels known" gives him the emotions of all published images, as their owners chose
    the perturbation by them: a bound of what grouping by other means could reach.
    """
    own = case.study.averaging.amounts
    public = case.faces("fit", None).images
    per_class = case.traits.scope == "class"
    for victim in case.study.victims:
        read = case.predict(victim, case.test.images)
        for known in (False, True) if per_class else (False,):
            seen, test, clean = _groups(case, victim, public, per_class, known)
            for method in METHODS:
                for n in own:
                    begun = time.process_time()
                    estimates = estimates_of(case.seen_published, seen, public, clean, n, method)
                    restored = subtract(case.test_published, estimates, test)
                    seconds = time.process_time() - begun
                    # unprotected faces suffer too: he cannot tell them from protected ones
                    clean_test = test if known or not per_class else read
                    facts = {
                        "ssim": similarity(case.test.images, restored),
                        "error": _error(case, estimates, test),
                        "seconds": seconds,
                    }
                    yield case.finding(
                        victim, restored, subtract(case.test.images, estimates, clean_test),
                        adversary=f"average, {method}" + (", labels known" if known else ""),
                        threat="informed" if known else "aware", strength=float(n), facts=facts,
                        given=f"{n} published images" + (" of each emotion" if per_class else ""),
                    )  # fmt: skip


def _groups(
    case: Case, victim: str, public: ByteImages, per_class: bool, known: bool
) -> tuple[Labels, Labels, Labels]:
    """Groups of seen images, of test images and of public faces."""
    if not per_class:
        return tuple(
            np.zeros(len(x), np.int64) for x in (case.seen_published, case.test_published, public)
        )  # type: ignore[return-value]
    clean = case.predict(victim, public)
    if not known:
        seen = case.predict(victim, case.seen_published)
        return seen, case.predict(victim, case.test_published), clean
    context, names = case.place.context, case.request.surrogates
    return context.predictions(names, case.seen), context.predictions(names, case.test), clean


def _error(case: Case, estimates: Estimates, groups: Labels) -> float:
    """RMS in grey levels of the estimates, over test faces, to their mean perturbation."""
    change = case.test_published.astype(np.float64) - case.test.images
    errors = [
        255 * estimates[group] - change[groups == group].mean(0) for group in np.unique(groups)
    ]
    weights = [int((groups == group).sum()) for group in np.unique(groups)]
    squares = [float((error**2).mean()) for error in errors]
    return float(np.sqrt(np.average(squares, weights=weights)))
