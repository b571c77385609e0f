import numpy as np
import pytest
from skimage.transform import downscale_local_mean

from priemo_bench.data.near_copies import (
    LIMIT,
    block_means,
    groups,
    highest_correlation,
    thumbnails,
)


def test_block_means_equal_scikit_image(patterns):
    x = patterns(3)
    truth = np.stack([downscale_local_mean(image[0].astype(float), (3, 3)) for image in x])
    np.testing.assert_allclose(block_means(x, 16), truth, atol=1e-4)


def test_block_means_of_any_size_keep_the_mean(patterns):
    x = patterns(2, size=50)
    np.testing.assert_allclose(block_means(x, 16).mean((1, 2)), x.mean((1, 2, 3)), rtol=1e-5)
    assert block_means(patterns(1, size=10), 16).shape == (1, 16, 16)


def test_colour_is_read_as_luma():
    x = np.zeros((1, 3, 48, 48), np.uint8)
    x[:, 1] = 100
    np.testing.assert_allclose(block_means(x, 16), 58.7, atol=1e-3)


def test_highest_correlation_equals_numpy_correlation(patterns):
    a, b = patterns(5), patterns(4, seed=1)
    both = np.concatenate([a, b])
    small = np.stack([downscale_local_mean(x[0].astype(float), (3, 3)).ravel() for x in both])
    truth = np.corrcoef(small)[:5, 5:].max(1)
    np.testing.assert_allclose(highest_correlation(a, b), truth, atol=1e-5)


def test_copies_survive_brightness_contrast_and_size(patterns):
    x, large = patterns(20), patterns(20, size=96)
    assert (highest_correlation((x * 0.5 + 40).astype(np.uint8), x) > LIMIT).all()
    assert (highest_correlation(large, x) > LIMIT).all()
    assert (highest_correlation(patterns(20, seed=1), x) < LIMIT).all()


def test_constant_images_are_copies_of_each_other_only(patterns):
    x = patterns(3)
    x[0], x[2] = 0, 7
    together = thumbnails(x) @ thumbnails(x).T
    assert together[0, 2] == 1
    assert together[0, 1] == together[2, 1] == 0


@pytest.mark.parametrize("block", [2, 5, 2048])
def test_groups_join_chains_of_copies(patterns, monkeypatch, block):
    monkeypatch.setattr("priemo_bench.data.near_copies._BLOCK", block)
    x = patterns(6)
    x[4] = x[1] // 2
    x[5] = x[4] + 20
    found = groups(x)
    assert found[1] == found[4] == found[5]
    assert len(set(found.tolist())) == 4
