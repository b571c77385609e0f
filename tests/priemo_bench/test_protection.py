"""Rates against hand-made examples, the intervals against scipy's and closed forms."""

import numpy as np
import pytest
from scipy.stats import binomtest

from priemo_bench import protection as p

LABEL = np.array([0, 0, 1, 1, 3, 3])
CLEAN = np.array([0, 2, 1, 1, 3, 3])  # the second is read wrongly when clean
AFTER = np.array([3, 0, 1, 3, 3, 0])
PERSONS = np.array(list("aabbcc"))


@pytest.mark.parametrize("n", [1, 2, 20, 1000])
@pytest.mark.parametrize("part", [0, 0.05, 0.5, 0.97, 1])
def test_wilson_equals_scipy(n: int, part: float) -> None:
    k = round(part * n)
    truth = binomtest(k, n).proportion_ci(method="wilson")
    assert p.wilson(k, n) == pytest.approx((truth.low, truth.high), abs=1e-12)


def test_wilson_of_nothing_is_everything() -> None:
    assert p.wilson(0, 0) == (0, 1)


def test_protection_counts_only_correctly_read_faces() -> None:
    rate = p.protection_rate(LABEL, CLEAN, AFTER, PERSONS)
    assert (rate.value, rate.n, rate.persons) == (3 / 5, 5, 3)
    assert (rate.low, rate.high) == p.wilson(3 * 3 / 5, 3)


def test_protection_of_a_targeted_row_leaves_out_faces_of_the_target() -> None:
    rate = p.protection_rate(LABEL, CLEAN, AFTER, PERSONS, target=np.full(6, 3))
    assert (rate.value, rate.n) == (2 / 3, 3)


def test_targeted_leaves_out_faces_labelled_or_read_as_target() -> None:
    clean = np.array([0, 3, 1, 1, 3, 3])
    rate = p.targeted_rate(LABEL, clean, AFTER, np.full(6, 3), PERSONS)
    assert (rate.value, rate.n) == (2 / 3, 3)


def test_flip_counts_every_image() -> None:
    assert p.flip_rate(CLEAN, AFTER, PERSONS).value == 4 / 6


def test_empty_denominator_is_nan() -> None:
    rate = p.protection_rate(LABEL, LABEL + 1, AFTER, PERSONS)
    assert np.isnan(rate.value)
    assert (rate.low, rate.high, rate.n) == (0, 1, 0)


def test_seeds_are_averaged_per_image_and_do_not_narrow_the_interval() -> None:
    """Image x counts once though it stands in three rows."""
    label = np.zeros(4, int)
    after = np.array([1, 1, 0, 0])
    images = np.array(["x", "x", "x", "y"])
    rate = p.protection_rate(label, label, after, persons=images, images=images)
    assert rate.value == pytest.approx((2 / 3 + 0) / 2)
    assert (rate.n, rate.persons) == (2, 2)


def test_macro_weighs_emotions_equally_and_names_the_rest() -> None:
    label = np.array([0] * 20 + [3] * 60 + [6] * 19)
    after = np.array([1] * 20 + [3] * 30 + [0] * 30 + [6] * 19)
    rate, left_out = p.macro_protection_rate(label, label, after)
    assert rate == pytest.approx((1 + 0.5) / 2)
    assert left_out == ("disgust", "fear", "sad", "surprise", "neutral")


def test_collapsed_prediction_scores_one_minus_share_and_macro_six_sevenths() -> None:
    """DESIGN section 5: what a delta that pushes every face into `happy` gets."""
    label = np.repeat(np.arange(7), [30, 20, 40, 90, 50, 40, 60])
    after = np.full(len(label), 3)
    persons = np.arange(len(label))
    assert p.protection_rate(label, label, after, persons).value == pytest.approx(1 - 90 / 330)
    assert p.macro_protection_rate(label, label, after)[0] == pytest.approx(6 / 7)
    assert p.collapse(after) == ("happy", 1.0)


def test_macro_counts_images_not_rows() -> None:
    label = np.zeros(30, int)
    images = np.arange(30) % 15
    rate, left_out = p.macro_protection_rate(label, label, label, images=images)
    assert np.isnan(rate)
    assert "angry" in left_out


def test_bootstrap_of_equal_methods_is_zero() -> None:
    a = np.random.default_rng(1).random(50)
    result = p.paired_bootstrap(a, a, np.arange(50))
    assert (result.value, result.low, result.high) == (0, 0, 0)
    assert result.tied


def test_bootstrap_interval_is_the_normal_one_for_many_images() -> None:
    """Central limit: half width 1.96 * sd(a - b) / sqrt(n)."""
    rng = np.random.default_rng(2)
    a, b = rng.random(4000), rng.random(4000)
    result = p.paired_bootstrap(a, b, np.arange(4000), draws=1000)
    half = 1.96 * (a - b).std() / np.sqrt(4000)
    assert result.value == pytest.approx((a - b).mean())
    assert (result.high - result.low) / 2 == pytest.approx(half, rel=0.08)


def test_bootstrap_draws_whole_persons() -> None:
    """Ten equal images a person widen the interval by sqrt(10)."""
    rng = np.random.default_rng(3)
    a, b = np.repeat(rng.random(200), 10), np.repeat(rng.random(200), 10)
    by_person = p.paired_bootstrap(a, b, np.repeat(np.arange(200), 10))
    by_image = p.paired_bootstrap(a, b, np.arange(2000))
    ratio = (by_person.high - by_person.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.1)


def test_bootstrap_leaves_out_nan_and_repeats_itself() -> None:
    a, b = np.array([1, np.nan, 1, 0.0]), np.array([0, np.nan, 1, 0.0])
    first = p.paired_bootstrap(a, b, np.arange(4))
    assert first.value == pytest.approx(1 / 3)
    assert first == p.paired_bootstrap(a, b, np.arange(4))
