"""A timm network as a victim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import timm
from timm.layers.classifier import ClassifierHead
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from timm.models.vgg import VGG
from torch import Tensor, nn

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.victim import Victim

MEAN, STD = 0.508, 0.255
"""Of the pixels of FER2013, in [0, 1]."""


def vgg(num_classes: int, in_chans: int, layers: list[int | str]) -> VGG:
    """timm's VGG with batch norm, any `layers` (widths, "M" for pooling) and one linear layer."""
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
    """timm's ByobNet with a stem of a 3x3 convolution of stride 2 and a max pooling.

    Args:
        block: timm's name of a block ("rep", "edge" ...), or one per stage.
        widths, depths: channels and blocks of each stage; stages after the first have stride 2.
        stem: channels of the stem.
        ratio: channels inside a bottleneck, relative to its output.
        img_size: side of the input in pixels, which attention needs.
        options: further fields of timm's ByoModelCfg.
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
"""Networks of which `timm.create_model` has no small variants."""


class TimmVictim(Victim):
    """A timm classifier; features are the input of its last linear layer.

    Weights have torch's default initialisation. With timm's (residual branches at zero, heads near
    zero), which is meant for long trainings, short ones converge several times slower.

    Args:
        architecture: a name in BUILDERS, or timm's name of the network.
        size: side of the input in pixels. channels: 1 (grey) or 3.
        options: further keyword arguments of the builder, or of `timm.create_model`.
        strides: path of a convolution to its stride, for networks made for larger images.
        mirrored: test-time augmentation: features are the mean over a face and its mirror image
            (in evaluation mode only).
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
        self.net: Any  # timm's methods have no type
        if architecture in BUILDERS:
            self.net = BUILDERS[architecture](**arguments)
        else:
            self.net = timm.create_model(architecture, **arguments)
        self.mirrored = mirrored
        settings = [f"{name} {_words(value)}" for name, value in (options or {}).items()]
        settings += ["reads the mirror image too"] if mirrored else []  # as on the cards
        self.architecture = (
            f"timm {type(self.net).__name__} ({', '.join([architecture, *settings])})"
        )
        for path, stride in (strides or {}).items():
            self.net.get_submodule(path).stride = (stride, stride)
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


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
