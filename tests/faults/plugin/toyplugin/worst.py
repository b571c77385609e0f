"""A metric: the largest change of a pixel."""

from __future__ import annotations

import numpy as np

from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.metric import MetricValues
from toyplugin.log import log


def worst(x: ByteImages, y: ByteImages) -> MetricValues:
    log("metric toy-worst", len(x))
    return np.abs(x.astype(float) - y).max((1, 2, 3))
