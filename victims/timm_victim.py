"""A timm network as a victim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import timm
from timm.layers import ClassifierHead
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from timm.models.vgg import VGG
from torch import Tensor, nn

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.victim import Victim

MEAN, STD = 0.508, 0.255
"""Of FER2013's pixels."""


def vgg(num_classes: int, in_chans: int, layers: list[int | str]) -> VGG:
    """timm's VGG with batch norm and any `layers` (widths, "M" for pooling), one linear layer."""
    net = VGG(layers, num_classes, in_chans, norm_layer=nn.BatchNorm2d, mlp_ratio=1 / 4096)
    net.pre_logits = nn.Identity()  # type: ignore[assignment]
    net.head = ClassifierHead(net.num_features, num_classes)
    return net


def byob(
    num_classes: int,
    in_chans: int,
    block: str | list[str],
    widths: list[int],
    depths: list[int],
    stem: int,
    ratio: float = 1.0,
    img_size: int | None = None,
    **options: Any,
) -> ByobNet:
    """timm's ByobNet: stages of any of its blocks ("rep", "edge" ...), halving from stage 2 on.

    The stem is a 3x3 convolution of stride 2 and a pooling. `block` is one for all stages, or a
    list; `ratio` is the width inside a bottleneck; attention needs the `img_size`.
    """
    blocks = [block] * len(widths) if isinstance(block, str) else block
    stages = tuple(
        ByoBlockCfg(type=kind, d=depth, c=width, s=2 if i else 1, gs=0, br=ratio)
        for i, (kind, width, depth) in enumerate(zip(blocks, widths, depths, strict=True))
    )
    config = ByoModelCfg(
        blocks=stages, stem_type="3x3", stem_pool="maxpool", stem_chs=stem, **options
    )
    return ByobNet(config, num_classes=num_classes, in_chans=in_chans, img_size=img_size)


BUILDERS: dict[str, Callable[..., nn.Module]] = {"vgg": vgg, "byob": byob}
"""Networks that `timm.create_model` cannot make in small."""


class TimmVictim(Victim):
    """Any timm classifier; features are the input of its last linear layer.

    Weights start from torch's own initialisation: timm's are made for long trainings, and start
    several times slower here (residual branches at zero, heads near it).

    Args:
        architecture: a name in BUILDERS, or timm's name of the network.
        size: side in pixels it reads; channels: 1 (grey) or 3.
        options: further keyword arguments of the builder, or of `timm.create_model`.
        strides: path of a convolution to its stride, for networks made for larger images.
        mirrored: whether it reads a face and its mirror image, and takes the mean of both features
            (in evaluation mode; it is trained on single images).
    """

    def __init__(
        self,
        architecture: str,
        size: int,
        channels: int = 1,
        options: Mapping[str, Any] | None = None,
        strides: Mapping[str, int] | None = None,
        mirrored: bool = False,
    ) -> None:
        super().__init__(size, channels, (MEAN,) * channels, (STD,) * channels)
        arguments = {"num_classes": len(EMOTIONS), "in_chans": channels, **(options or {})}
        self.net: Any
        if architecture in BUILDERS:
            self.net = BUILDERS[architecture](**arguments)
        else:
            self.net = timm.create_model(architecture, **arguments)
        self.mirrored = mirrored
        said = [f"{name} {_told(value)}" for name, value in (options or {}).items()]
        said += ["reads the mirror image too"] if mirrored else []
        self.architecture = f"timm {type(self.net).__name__} ({', '.join([architecture, *said])})"
        for path, stride in (strides or {}).items():
            convolution: Any = self.net.get_submodule(path)
            convolution.stride = (stride, stride)
        for module in self.net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                module.reset_parameters()

    def embed(self, x: Tensor) -> Tensor:
        """Network input (n, channels, size, size) to features (n, d)."""
        if self.mirrored and not self.training:
            return (self._features(x) + self._features(x.flip(-1))) / 2
        return self._features(x)

    def _features(self, x: Tensor) -> Tensor:
        features: Tensor = self.net.forward_head(self.net.forward_features(x), pre_logits=True)
        return features

    def head(self, f: Tensor) -> Tensor:
        """Features (n, d) to logits (n, 7)."""
        logits: Tensor = self.net.get_classifier()(f)
        return logits


def _told(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
