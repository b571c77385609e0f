import io

import numpy as np
import pytest
from PIL import Image

from priemo_bench.data.fer2013_split import (
    FILE,
    PARTS,
    SEED,
    RowList,
    difference_hash,
    split_groups,
)

HELD_OUT = {"choice": 14, "fit": 21}


@pytest.fixture
def training(patterns):
    return patterns(140), np.tile(np.arange(7), 20)


def as_jpeg(x, quality):
    def encode(image):
        buffer = io.BytesIO()
        Image.fromarray(image[0]).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return np.stack([encode(image) for image in x])[:, None]


def test_hash_says_which_neighbour_is_brighter():
    ramp = np.repeat(np.arange(0, 240, 30, dtype=np.uint8), 6)
    bits = np.unpackbits(difference_hash(np.tile(ramp, (48, 1))[None, None])).reshape(2, 8, 8)
    assert bits[0, :, 1:].all()  # brighter than the block to the left ...
    assert not bits[0, :, 0].any()  # ... but not around the edge
    assert not bits[1].any()  # no change from row to row


def test_hash_ignores_brightness_contrast_and_size(patterns):
    x = patterns(10)
    half = x // 2
    np.testing.assert_array_equal(difference_hash(half), difference_hash(half * 2))
    np.testing.assert_array_equal(difference_hash(half), difference_hash(half + 100))
    large = difference_hash(patterns(10, size=96))
    assert np.unpackbits(large ^ difference_hash(x), axis=1).sum(1).max() <= 6


def test_the_split_is_stratified_and_exact(training):
    parts = split_groups(training[1], np.arange(140), HELD_OUT)
    for part, each in (("choice", 2), ("fit", 3), ("train", 15)):
        assert np.bincount(training[1][parts == PARTS.index(part)]).tolist() == [each] * 7


def test_the_split_keeps_copies_together_and_depends_on_the_seed(training):
    group = np.arange(140) // 4
    parts = split_groups(training[1], group, HELD_OUT)
    assert all(len(set(parts[group == g])) == 1 for g in range(35))
    assert (parts != split_groups(training[1], group, HELD_OUT, seed=SEED + 1)).any()


def test_faces_are_found_again_in_any_order_and_compression(training, tmp_path):
    images, labels = training
    RowList.make(images, labels, HELD_OUT).save(tmp_path / "rows.npz")
    rows = RowList.load(tmp_path / "rows.npz")
    parts = rows.find(images)
    assert np.bincount(parts).tolist() == [105, 14, 21]
    np.testing.assert_array_equal(rows.find(images[::-1]), parts[::-1])
    np.testing.assert_array_equal(rows.find(as_jpeg(images, 75)), parts)


def test_unlisted_faces_are_not_found(training, patterns):
    assert (RowList.make(*training, HELD_OUT).find(patterns(50, seed=1)) == -1).all()


def test_the_committed_list_has_the_sizes_of_the_challenge():
    rows = RowList.load()
    assert rows.keys.shape == (28709, 16)
    assert np.bincount(rows.parts).tolist() == [23709, 2500, 2500]
    assert FILE.stat().st_size < 1_000_000
