"""What the published images of a row lost, and how much of its budget they used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.contracts.image import FLOOR_SLACK

ON_FLOOR = 0.02
"""An image is on its floor when it leaves at most this share of what the floor allows."""


def quality_summary(
    images: pd.DataFrame, budget: str, facts: Mapping[str, Any], metrics: Iterable[str] = ()
) -> dict[str, Any]:
    """Means and extremes over published images, each seed's counted.

    PSNR is the mean over images that changed: it is infinite where none did, and of the others
    nothing is said by an image that has no error.

    Args:
        images: ssim, ssim_full, psnr, linf and further `metrics` of each.
        budget: name of the row's budget; facts: ssim_floor, psnr_floor and eps of the run.
    """
    largest, eps = images["linf"].max(), facts["eps"]
    spent = share_spent(images, budget, facts)
    finite = images["psnr"][np.isfinite(images["psnr"])]
    equal = spent is not None and budget != "conventional"
    most = _most(budget, facts)
    capped = eps is None or largest <= eps + 1e-9
    return {
        "ssim": images["ssim"].mean(),
        "ssim_drop": 1 - images["ssim"].mean(),
        "ssim_p05": images["ssim"].quantile(0.05),
        "ssim_worst": images["ssim"].min(),
        "ssim_full_worst": images["ssim_full"].min(),
        "psnr": finite.mean() if len(finite) else np.inf,
        "linf": largest,
        "within_budget": bool(capped and (spent is None or (spent <= most).all())),
        "budget_used": spent.mean() if spent is not None and equal else np.nan,
        "on_floor": _near(spent, most).mean() if spent is not None and equal else np.nan,
        "untouched": float((images["linf"] == 0).mean()),
        **{name: images[name].mean() for name in metrics},
    }


def share_spent(
    images: pd.DataFrame, budget: str, facts: Mapping[str, Any]
) -> npt.NDArray[np.float64] | None:
    """Share of the allowed SSIM drop, or mean squared error, of each image; None without a floor.

    Conventional settings are held against the SSIM floor.
    """
    ssim_floor, psnr_floor = facts["ssim_floor"], facts.get("psnr_floor")
    if psnr_floor is not None and (budget == "equal-psnr" or ssim_floor is None):
        return np.asarray(10 ** ((psnr_floor - images["psnr"]) / 10), np.float64)
    if ssim_floor is None:
        return None
    worst = np.minimum(images["ssim"], images["ssim_full"])
    return np.asarray((1 - worst) / (1 - ssim_floor), np.float64)


def _near(spent: npt.NDArray[np.float64], most: float) -> npt.NDArray[np.bool_]:
    return (spent >= 1 - ON_FLOOR) & (spent <= most)


def _most(budget: str, facts: Mapping[str, Any]) -> float:
    """The share that still keeps the budget, for float noise."""
    floor = facts["ssim_floor"]
    return 1 + 1e-7 if budget == "equal-psnr" or floor is None else 1 + FLOOR_SLACK / (1 - floor)
