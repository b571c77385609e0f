"""An embedded victim whose training starts from a face-recognition network.

The others start from random weights or from ImageNet; this one from a network that has learned to
tell persons apart, dlib's (King 2017), which the metric `same_person` reads too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.victim import Victim
from priemo_bench.contracts.weights.face_api import MEAN
from priemo_bench.contracts.weights.face_recognition import ARCHIVE, FaceRecognition, load
from priemo_bench.victims.zoo import EmbeddedVictim

FEATURES = 256


class RecognitionVictim(Victim):
    """dlib's residual network of 29 convolutions without batch norm, and a linear layer.

    Args:
        size: side of the input in pixels, 112 or more.
        dropout: probability of a feature in training.
        mirrored: features are the mean over a face and its mirror image (in evaluation mode only).
        bfloat16: the network is trained in bfloat16, which is faster on processors with matrix
            instructions for it; weights, and predictions in evaluation mode, are float32.
    """

    def __init__(
        self, size: int, dropout: float = 0.0, mirrored: bool = False, bfloat16: bool = False
    ) -> None:
        super().__init__(size, 3, MEAN, (1.0, 1.0, 1.0))
        self.architecture = "dlib face recognition ResNet (29 convolutions)"
        self.net = FaceRecognition()
        self.net.last = nn.Linear(FEATURES, len(EMOTIONS))
        self.dropout = nn.Dropout(dropout)
        self.mirrored, self.mixed = mirrored, bfloat16

    def embed(self, x: Tensor) -> Tensor:
        """Network input (n, 3, size, size) to features (n, 256)."""
        with torch.autocast(x.device.type, torch.bfloat16, self.training and self.mixed):
            features = self.net.features(x).float()
        if self.mirrored and not self.training:
            features = (features + self.net.features(x.flip(-1))) / 2
        return features

    def head(self, f: Tensor) -> Tensor:
        """Features (n, 256) to logits (n, 7)."""
        logits: Tensor = self.net.last(self.dropout(f))
        return logits


@dataclass(frozen=True, repr=False)
class FromRecognition(EmbeddedVictim):
    """Entry point of an embedded victim that starts from dlib's face-recognition network."""

    def build(self) -> RecognitionVictim:  # type: ignore[override]  # a Victim, no timm network
        """The network with random weights, in float32."""
        return RecognitionVictim(**self.spec.model)

    def initial(self) -> RecognitionVictim:  # type: ignore[override]
        """The network as its training starts: all but the last layer from the face-api package.

        Raises:
            PriemoError: the weights of the metric `same_person` are not installed.
        """
        victim = self.build()
        pretrained = load(ARCHIVE.checked())
        pretrained.last = victim.net.last
        victim.net = pretrained
        return victim

    def install(self, archive: Path | None = None) -> Path:
        """Download the face-recognition network; see `Archive.install`."""
        return ARCHIVE.install(archive)


dlib_resnet = FromRecognition("dlib-resnet")
