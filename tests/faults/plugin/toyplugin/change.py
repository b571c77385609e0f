"""A metric: the mean change of a pixel."""

from __future__ import annotations

import numpy as np

from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.metric import MetricValues
from toyplugin.log import log

UNIT = 1.0


def change(x: ByteImages, y: ByteImages) -> MetricValues:
    log("metric toy-change", len(x))
    return np.abs(x.astype(float) - y).mean((1, 2, 3)) * UNIT
