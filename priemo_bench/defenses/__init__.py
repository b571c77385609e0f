"""The bundled defenses: a file for each family, an entry point for each strength.

Pillow, scipy and scikit-image do the work, and ART's preprocessors where they are exact: on a scale
of 0 to 255 they neither truncate nor lose precision.
"""

from priemo_bench.defenses.chain import Chain, jpeg90_75, screenshot, upload
from priemo_bench.defenses.compression import Jpeg, WebP
from priemo_bench.defenses.denoising import NonLocalMeans, TotalVariation, Wavelet
from priemo_bench.defenses.diffusion import Diffusion
from priemo_bench.defenses.geometry import Crop, Turn
from priemo_bench.defenses.identity import Nothing
from priemo_bench.defenses.noise import NoisySmoothing
from priemo_bench.defenses.photometric import CLAHE, Equalise, Gamma
from priemo_bench.defenses.residual import Denoiser
from priemo_bench.defenses.resizing import Resize, Scale
from priemo_bench.defenses.smoothing import Bilateral, Blur, Median, Wiener
from priemo_bench.defenses.squeezing import Bits

__all__ = [
    "CLAHE", "Bilateral", "Bits", "Blur", "Chain", "Crop", "Denoiser", "Diffusion", "Equalise",
    "Gamma", "Jpeg", "Median", "NoisySmoothing", "NonLocalMeans", "Nothing", "Resize", "Scale",
    "TotalVariation", "Turn", "Wavelet", "WebP", "Wiener", "jpeg90_75", "screenshot", "upload",
]  # fmt: skip

none = Nothing()

jpeg95 = Jpeg(95)
jpeg90 = Jpeg(90)
jpeg75 = Jpeg(75)
jpeg50 = Jpeg(50)
jpeg30 = Jpeg(30)
webp90 = WebP(90)
webp75 = WebP(75)
webp50 = WebP(50)

x75_area = Resize(0.75, "area", "bilinear")
x50_area = Resize(0.5, "area", "bilinear")
x25_area = Resize(0.25, "area", "bilinear")
x75_bicubic = Resize(0.75, "bicubic", "bicubic")
x50_bicubic = Resize(0.5, "bicubic", "bicubic")
x25_bicubic = Resize(0.25, "bicubic", "bicubic")
x75_lanczos = Resize(0.75, "lanczos", "lanczos")
x50_lanczos = Resize(0.5, "lanczos", "lanczos")
x25_lanczos = Resize(0.25, "lanczos", "lanczos")
crop95 = Crop(0.95)
crop90 = Crop(0.9)
turn5 = Turn(5)

blur05 = Blur(0.5)
blur = Blur(0.8)
blur10 = Blur(1)
blur15 = Blur(1.5)
median3 = Median(3)
median5 = Median(5)
bilateral = Bilateral(5, 0.1, 1.5)
wiener3 = Wiener(3)
bits6 = Bits(6)
bits5 = Bits(5)
bits4 = Bits(4)
bits3 = Bits(3)
noise8_median3 = NoisySmoothing(8, Median(3))
noise8_blur = NoisySmoothing(8, Blur(0.8))
tv003 = TotalVariation(0.03)
tv010 = TotalVariation(0.1)
nlm = NonLocalMeans(0.8)
wavelet = Wavelet()

gamma07 = Gamma(0.7)
gamma14 = Gamma(1.4)
clahe = CLAHE(0.01)
equalise = Equalise()

denoiser = Denoiser()
diffusion25 = Diffusion(25)
diffusion50 = Diffusion(50)
diffusion100 = Diffusion(100)
diffusion150 = Diffusion(150)
