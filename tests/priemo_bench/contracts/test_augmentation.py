import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from priemo_bench.contracts.augmentation import Augmentation, augment, equalised, jpeg

NOTHING = Augmentation(
    equalised=0,
    rotation=0,
    scale=0,
    shift=0,
    contrast=0,
    brightness=0,
    gamma=0,
    colour=0,
    blurred=0,
    noisy=0,
    erased=0,
)


def test_equalisation_is_that_of_pillow() -> None:
    rng = np.random.default_rng(0)
    images = (rng.normal(90, 20, (5, 1, 48, 48))).clip(0, 255).astype(np.uint8)
    theirs = [np.asarray(ImageOps.equalize(Image.fromarray(x[0]))) for x in images]
    off = np.abs(equalised(images)[:, 0].astype(int) - np.stack(theirs))
    fullest = max(np.bincount(x.ravel()).max() for x in images) / images[0].size
    assert off.max() <= 255 * fullest + 2  # Pillow's curve lags by part of a bin, and is coarser


def test_an_image_of_one_grey_stays_defined() -> None:
    assert equalised(np.full((1, 3, 8, 8), 77, np.uint8)).shape == (1, 3, 8, 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_strength_only_the_flip_is_left(channels: int) -> None:
    torch.manual_seed(0)
    x = torch.rand(16, channels, 12, 12) * 0.9 + 0.05
    y = augment(x.clone(), NOTHING)
    same = (y - x).abs().amax((1, 2, 3)) < 1e-5
    mirrored = (y - x.flip(3)).abs().amax((1, 2, 3)) < 1e-5
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_range_shape_and_seed() -> None:
    strong = Augmentation(equalised=1, blurred=1, noisy=1, erased=1, contrast=0.9, brightness=0.5)
    x = torch.rand(8, 3, 20, 20)
    torch.manual_seed(1)
    y = augment(x.clone(), strong)
    torch.manual_seed(1)
    again = augment(x.clone(), strong)
    assert y.shape == x.shape
    assert y.min() >= 0
    assert y.max() <= 1
    assert torch.equal(y, again)


def test_erasing_leaves_most_of_the_image() -> None:
    torch.manual_seed(0)
    x = torch.full((64, 1, 40, 40), 0.5)
    erased = (augment(x, NOTHING.model_copy(update={"erased": 1.0})) - 0.5).abs() > 1e-3
    shares = erased.float().mean((1, 2, 3))
    assert shares.max() <= 0.45**2 + 0.03
    assert shares.median() > 0.02


@pytest.mark.parametrize("channels", [1, 3])
def test_compression_is_jpeg_and_changes_little_at_high_quality(channels: int) -> None:
    ramp = torch.linspace(0.2, 0.8, 48).expand(channels, 48, 48)
    noisy = ramp + 0.05 * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0))
    high, low = jpeg(noisy, 95), jpeg(noisy, 30)
    assert high.shape == noisy.shape
    assert torch.equal((high * 255).round() / 255, high)
    assert 1 / 255 < (high - noisy).abs().mean() < (low - noisy).abs().mean() < 0.05
