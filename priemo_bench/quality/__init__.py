"""Image quality: SSIM, PSNR and linf; the budget, and how an image is brought to it."""
