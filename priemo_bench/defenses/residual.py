"""A denoiser learnt from clean faces with Gaussian noise (Zhang et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from priemo_bench.contracts.image import ByteImages, FloatImages
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.learned import one_by_one, trained

if TYPE_CHECKING:
    from torch import Tensor, nn

    from priemo_bench.defenses.unet import UNet

SHA256 = "1bc9b5de9ae0f6409e30e51e42f9ded58ba692c41ecaaa8f94bd54f47b384f4e"
"""Of weights/denoiser.safetensors."""
WIDTHS = (32, 64)
LARGEST_SIGMA = 16 / 255
"""Of the noise in training, in pixels of [0, 1]."""


def network() -> UNet:
    """The untrained network: one channel, without biases."""
    from priemo_bench.defenses.unet import UNet

    return UNet(1, WIDTHS, bias=False)


def denoised(net: nn.Module, x: Tensor) -> Tensor:
    """Images less the noise that the network finds in each channel.

    It sees each channel less its mean. So a flat image stays flat, and brightness and contrast
    make no difference: it commutes with a x + b (Mohan et al. 2020, arXiv:1906.05478).

    Args:
        net: of one channel, without biases.
        x: (n, c, h, w) floats.

    Returns:
        (n, c, h, w), not clipped.
    """
    planes = x.flatten(0, 1)[:, None]
    noise: Tensor = net(planes - planes.mean((2, 3), keepdim=True))
    return x - noise.reshape(x.shape)


@dataclass(frozen=True)
class Denoiser(Described):
    """Residual U-Net learnt from clean faces with Gaussian noise, blind to its strength.

    Every channel on its own, at any size. Trained on the train split of FER2013 and of the
    rendered faces; it has seen no protected image.
    """

    does = "residual U-Net, learnt from clean faces with noise of sigma 0 to 16/255"
    kind = "denoiser"
    source = "Zhang et al. 2017, arXiv:1608.03981; weights of this project"

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return one_by_one(self.smooth, x)

    def smooth(self, x: Tensor) -> Tensor:
        """The same."""
        net = trained("denoiser", SHA256, network, x.dtype, x.device)
        return denoised(net, x).clamp(0, 1)
