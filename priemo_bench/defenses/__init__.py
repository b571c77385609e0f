"""The bundled defenses: a file for each family, an entry point for each strength.

ART's preprocessors are used where possible, on a scale of 0 to 255, on which they neither truncate
nor lose precision.
"""

from priemo_bench.defenses.compression import Jpeg
from priemo_bench.defenses.identity import Nothing
from priemo_bench.defenses.smoothing import Blur, Median
from priemo_bench.defenses.squeezing import Bits

__all__ = ["Bits", "Blur", "Jpeg", "Median", "Nothing"]

none = Nothing()
jpeg75 = Jpeg(75)
jpeg50 = Jpeg(50)
median3 = Median(3)
bits4 = Bits(4)
blur = Blur(0.8)
