"""Rules for metrics: each takes a `MetricCase` and raises `Broken` where it does not conform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from priemo_bench import registry
from priemo_bench.contracts.adapting import called
from priemo_bench.contracts.image import ByteImages, publish
from priemo_bench.contracts.metric import Metric
from priemo_bench.testing.arrays import alike
from priemo_bench.testing.rules import Rule, Verdict, check, raise_broken, rule, verdicts
from priemo_bench.testing.surroundings import stirred, watched
from priemo_bench.testing.toys import toy_faces


@dataclass(frozen=True)
class MetricCase:
    """A metric with originals and published images (n, 1 or 3, h, w) to check it on."""

    metric: Metric
    x: ByteImages
    y: ByteImages

    def __call__(self) -> Any:
        """Its values of copies of them."""
        return self.metric(self.x.copy(), self.y.copy())


@rule("return one number for each image: np.asarray(values, np.float64) of shape (n,)")
def gives_a_number_for_each_image(case: MetricCase) -> None:
    """Numbers of shape (n,), NaN where unknown, also where an image is published as it was."""
    for y in (case.y, case.x):
        values: Any = case.metric(case.x.copy(), y.copy())
        check(isinstance(values, np.ndarray), f"it gives a {type(values).__name__}, not an array")
        n = len(case.x)
        check(values.shape == (n,), f"it gives shape {values.shape} for {n} images")
        numbers = values.dtype.kind in "fiub"
        check(numbers, f"it gives {values.dtype}, which are no numbers")


@rule("copy before writing: x, y = x.copy(), y.copy()")
def does_not_modify_its_input(case: MetricCase) -> None:
    """Neither originals nor published images are modified: they are stored afterwards."""
    x, y = case.x.copy(), case.y.copy()
    case.metric(x, y)
    check(np.array_equal(x, case.x), "the originals were modified")
    check(np.array_equal(y, case.y), "the published images were modified")


@rule("draw from a generator of a fixed seed, or not at all")
def is_deterministic(case: MetricCase) -> None:
    """Equal images have equal values, whatever the state of the global generators."""
    first = case()
    with stirred(1):
        again = case()
    check(np.array_equal(first, again, equal_nan=True), "two calls with the same images differ")


@rule("compute each pair by itself: no statistic of the batch")
def is_independent_of_the_batch(case: MetricCase) -> None:
    """The value of an image does not depend on the others."""
    together = np.asarray(case(), float)
    pairs = zip(case.x, case.y, strict=True)
    alone = [case.metric(x[None].copy(), y[None].copy()) for x, y in pairs]
    close = np.allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-5, equal_nan=True)
    check(close, "values depend on the rest of the batch")


@rule("begin with x = priemo_bench.contracts.image.check_bytes(x), and the same for y")
def takes_any_array(case: MetricCase) -> None:
    """Mirrored, read-only, broadcast and other views are taken, and have the same values."""
    for (name, x, plain_x), (_, y, plain_y) in zip(alike(case.x), alike(case.y), strict=True):
        wanted = case.metric(plain_x.copy(), plain_y.copy())
        same = np.allclose(case.metric(x, y), wanted, rtol=1e-4, atol=1e-5, equal_nan=True)
        check(same, f"{name} has others")


@rule("seed generators of its own, and put back what it sets")
def leaves_global_state_alone(case: MetricCase) -> None:
    """Random generators, torch's grad mode and dtype, numpy's settings, and the folder stay."""
    with watched() as changed:
        case()
    check(not changed, f"it changes {' and '.join(changed)}")


METRIC_RULES: tuple[Rule[MetricCase], ...] = (
    gives_a_number_for_each_image,
    does_not_modify_its_input,
    is_deterministic,
    is_independent_of_the_batch,
    takes_any_array,
    leaves_global_state_alone,
)


def toy_metric_case(metric: Metric, channels: int = 1, size: int = 64) -> MetricCase:
    """A metric on three toy faces and what noise makes of them."""
    x = publish(toy_faces(3, channels, size)[0])
    noise = np.random.default_rng(0).integers(-9, 10, x.shape)
    return MetricCase(metric, x, (x + noise).clip(0, 255).astype(np.uint8))


def metric_verdicts(thing: Any) -> Iterator[Verdict]:
    """What comes of each of METRIC_RULES, for grey and RGB images; `thing` as for the check."""
    found = registry.get("metrics", thing) if isinstance(thing, str) else thing
    metric = called(found, "the metric")
    if hasattr(metric, "check"):
        metric.check()
    cases = [(w, toy_metric_case(metric, n)) for w, n in (("grey", 1), ("RGB", 3))]
    return verdicts(METRIC_RULES, cases)


def check_metric(thing: Any) -> None:
    """Check a metric against METRIC_RULES.

    Args:
        thing: a name, "module:thing" or "file.py:thing"; or a function, an object, or a class.

    Raises:
        Broken: a rule does not hold; a line for each that does not, with how to mend it.
        PriemoError: it cannot be imported, is not callable, or needs weights that are missing.

    Example:
        >>> check_metric("ssim")
        >>> check_metric(lambda x, y: abs(x - y).mean())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        priemo_bench.testing.rules.Broken: gives_a_number_for_each_image: ...
    """
    raise_broken(metric_verdicts(thing))
