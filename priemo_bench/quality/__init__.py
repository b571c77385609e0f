"""Image quality: SSIM, PSNR and linf; the budget, and how a perturbation is matched to it."""

from priemo_bench.quality.budget import Budget, match_budget
from priemo_bench.quality.pixel import linf, psnr
from priemo_bench.quality.structural import ssim

__all__ = ["Budget", "linf", "match_budget", "psnr", "ssim"]
