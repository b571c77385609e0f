"""Image quality of the published images of a row, and how much of its budget they use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.budgets import CONVENTIONAL, Bounds
from priemo_bench.contracts.image import FLOOR_SLACK
from priemo_bench.contracts.outcomes import FloatArray
from priemo_bench.judge.statistics import mean

ON_FLOOR = 0.02
"""An image is on its floor when it leaves at most this part of the allowed loss unused."""


def quality_summary(
    images: Mapping[str, FloatArray], budget: str, bounds: Bounds, metrics: Iterable[str] = ()
) -> dict[str, object]:
    """Means and extremes over published images, those of each seed counted; NaN without any.

    PSNR is the mean over images that changed, inf where none did. Further metrics are means over
    the images that have one.

    Args:
        images: (n,) ssim, ssim_full, psnr, linf and further `metrics` of each.
        budget: name of the row's budget. bounds: what it allows.
    """
    if not len(images["ssim"]):
        return {"within_budget": False}
    ssim, psnr, linf = images["ssim"], images["psnr"], images["linf"]
    used, limit = budget_used(images, bounds), _limit(bounds)
    capped = bounds.eps is None or linf.max() <= bounds.eps + 1e-9
    equal = used if budget != CONVENTIONAL else None
    unchanged = not np.isfinite(psnr).any() and not np.isnan(psnr).any()
    return {
        "ssim": mean(ssim),
        "ssim_drop": 1 - mean(ssim),
        "ssim_p05": np.quantile(ssim, 0.05),
        "ssim_worst": ssim.min(),
        "ssim_full_worst": images["ssim_full"].min(),
        "psnr": np.inf if unchanged else mean(psnr[np.isfinite(psnr)]),
        "linf": linf.max(),
        "within_budget": bool(capped and (used is None or (used <= limit).all())),
        "budget_used": mean(equal) if equal is not None else np.nan,
        "on_floor": _on_floor(equal, limit).mean() if equal is not None else np.nan,
        "untouched": float((linf == 0).mean()),
        **{name: mean(images[name]) for name in metrics},
    }


def budget_used(images: Mapping[str, FloatArray], bounds: Bounds) -> FloatArray | None:
    """Each image's part of the allowed SSIM drop, or mean squared error; None without a floor."""
    if bounds.ssim_floor is not None:
        worst = np.minimum(images["ssim"], images["ssim_full"])
        return np.asarray((1 - worst) / (1 - bounds.ssim_floor), float)
    if bounds.psnr_floor is not None:
        return np.asarray(10 ** ((bounds.psnr_floor - images["psnr"]) / 10), float)
    return None


def _on_floor(used: FloatArray, limit: float) -> npt.NDArray[np.bool_]:
    return (used >= 1 - ON_FLOOR) & (used <= limit)


def _limit(bounds: Bounds) -> float:
    """The largest part that still keeps the budget: 1 and float noise."""
    floor = bounds.ssim_floor
    return 1 + 1e-7 if floor is None else 1 + FLOOR_SLACK / (1 - floor)
