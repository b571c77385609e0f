"""SSIM against scikit-image, landing against the evaluations it needs, and the memory of both.

    pytest -m slow -s -n 0 tests/benchmarks/test_quality_speed.py

prints the figures (a minute or two): ratios within one run, in seconds of one thread. Others on the
same cores and caches make them worse.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from priemo_bench.contracts.image import ByteImages
from priemo_bench.data.rendered import Rendered
from priemo_bench.quality import budget as budgets
from priemo_bench.quality import structural
from priemo_bench.quality.budget import Budget, match_budget_tensor
from priemo_bench.quality.structural import blur, drops, ssim_means, unblur

pytestmark = pytest.mark.slow
TURNS = 7
MEMORY = """
import sys, numpy as np, torch
from priemo_bench.quality.budget import Budget, match_budget
from priemo_bench.quality.structural import ssim_means
x = np.random.default_rng(0).integers(0, 256, (int(sys.argv[1]), 1, 48, 48), np.uint8)
y = np.full(x.shape, .5, np.float32)
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
begun = peak()
ssim_means(x, match_budget(x, y, Budget(.99, 8 / 255), dither=True))
print(peak() - begun)
"""


@pytest.fixture(scope="module")
def pairs() -> tuple[ByteImages, ByteImages]:
    """1,000 RGB faces 112x112, and the same with noise of 3 levels."""
    x = Rendered().split("test").images
    x = np.concatenate([x] * (1000 // len(x) + 1))[:1000]
    assert x.shape == (1000, 3, 112, 112)
    noise = np.random.default_rng(0).integers(-3, 4, x.shape)
    return x, (x + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seconds(calls: Sequence[Callable[[], object]], turns: int = TURNS) -> list[float]:
    """The fastest of a few turns for each call, taken in turn."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(turns):
        for call, own in zip(calls, taken, strict=True):
            begun = time.thread_time()
            call()
            own.append(time.thread_time() - begun)
    return [min(own) for own in taken]


def scikit_image(x: ByteImages, y: ByteImages) -> np.ndarray:
    """(2, n) both means, by a loop."""
    means = []
    for original, published in zip(x, y, strict=True):
        inner, full = structural_similarity(
            original / 255, published / 255, channel_axis=0, data_range=1, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False, full=True,
        )  # fmt: skip
        means.append((inner, full.mean()))
    return np.array(means).T


def test_ssim_of_many_pairs_is_faster_than_scikit_image(
    pairs: tuple[ByteImages, ByteImages],
) -> None:
    expected = scikit_image(*pairs)
    for dtype in (torch.float64, torch.float32):
        assert np.abs(np.array(ssim_means(*pairs, dtype=dtype)) - expected).max() < 1e-6
    some = pairs[0][:200], pairs[1][:200]
    loop, double, single = seconds(
        [
            lambda: scikit_image(*some),
            lambda: ssim_means(*some),
            lambda: ssim_means(*some, dtype=torch.float32),
        ]
    )
    print(
        f"\nscikit-image {loop / 0.2:.2f} ms a pair; double {loop / double:.1f}, "
        f"single {loop / single:.1f} times as fast"
    )
    assert loop / double >= 2.5
    assert loop / single >= 5


def change_of(kind: str, x: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    if kind == "sign":
        return 8 * noise.sign()
    return noise * 0.3 if kind == "weak" else 3 * blur(noise) / blur(noise).std()


@pytest.mark.parametrize("kind", ["sign", "weak", "smooth"])
def test_landing_takes_little_more_than_its_evaluations(
    kind: str, pairs: tuple[ByteImages, ByteImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their time is measured where they happen, so that both have the same disturbances."""
    x = torch.from_numpy(pairs[0])
    change, budget = change_of(kind, x), Budget(0.997, 8 / 255)
    evaluated, evaluating = 0, 0.0

    def clocked(x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        nonlocal evaluated, evaluating
        begun = time.thread_time()
        found = drops(x, y, dtype)
        evaluated, evaluating = evaluated + len(x), evaluating + time.thread_time() - begun
        return found

    match_budget_tensor(x[:9], change[:9], budget, dither=True)
    with monkeypatch.context() as patched:
        patched.setattr(budgets, "drops", clocked)
        begun = time.thread_time()
        y = match_budget_tensor(x, change, budget, dither=True)
        landing = time.thread_time() - begun
    used = drops(x, y, torch.float64).amax(0) / 0.003
    print(
        f"\n{kind}: {evaluated / len(x):.2f} evaluations an image, {landing / evaluating:.2f} "
        f"times their time; {landing:.2f} ms an image; {used.mean():.4f} of the floor used"
    )
    assert budget.holds(x.numpy(), y.numpy()).all()
    assert used.median() > 1 - budgets.TOLERANCE - budgets.SINGLE_PRECISION
    assert evaluated / len(x) <= 5.5
    assert landing / evaluating <= 1.2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blurs_in_bands_are_faster_than_whole_products(dtype: torch.dtype) -> None:
    x = torch.rand(64, 3, 112, 112, dtype=dtype)
    window = structural._window(112, dtype, x.device)
    whole, there, back = seconds(
        [lambda: window @ x @ window.T, lambda: blur(x), lambda: unblur(x)], turns=20
    )
    print(f"\n{dtype}: {whole * 1e3:.1f} ms; blur {there * 1e3:.1f}, unblur {back * 1e3:.1f}")
    assert max(there, back) < whole


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")
def test_memory_does_not_grow_with_the_images() -> None:
    """Beyond the images, those published, and as many bytes of scalars as there are images."""

    def megabytes(n: int) -> float:
        command = [sys.executable, "-c", MEMORY, str(n)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    few, many = megabytes(1000), megabytes(20_000)
    published = 19_000 * 48 * 48 / 2**20
    print(f"\n1,000 images {few:.0f} MB, 20,000 images {many:.0f} MB, {published:.0f} published")
    assert many - few < published + 20
