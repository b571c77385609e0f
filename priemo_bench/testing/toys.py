"""Toy faces and a toy victim that classifies them: small, seeded, nothing to download."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import zoom
from torch import Tensor, nn

from priemo_bench.contracts.card import Card
from priemo_bench.contracts.image import EMOTIONS, FloatImages, Labels
from priemo_bench.contracts.victim import Victim, as_art, freeze

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

_SIDE = 8


def _patterns() -> npt.NDArray[np.float64]:
    """(7, 8, 8) orthogonal patterns of mean 0 and standard deviation 1, one for each emotion."""
    noise = np.random.default_rng(7).normal(size=(_SIDE**2, len(EMOTIONS)))
    basis, _ = np.linalg.qr(noise - noise.mean(0))
    return basis.T.reshape(-1, _SIDE, _SIDE) * _SIDE


def toy_faces(
    n: int = 14, channels: int = 1, size: int = 32, seed: int = 0
) -> tuple[FloatImages, Labels]:
    """`n` images (n, channels, size, size) on the 8-bit grid in [0, 1], emotions in turn.

    Each shows the pattern of its emotion with random contrast, brightness and noise.

    Returns:
        float32 images and (n,) labels.

    Example:
        >>> x, y = toy_faces(7)
        >>> x.shape, y.tolist()
        ((7, 1, 32, 32), [0, 1, 2, 3, 4, 5, 6])
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(EMOTIONS)
    contrast = rng.uniform(0.08, 0.12, (n, 1, 1))
    coarse = rng.uniform(0.4, 0.6, (n, 1, 1)) + contrast * _patterns()[labels]
    images = zoom(coarse, (1, size / _SIDE, size / _SIDE), order=1, grid_mode=True, mode="nearest")
    images = images[:, None] + rng.normal(0, 0.02, (n, channels, size, size))
    return (np.rint(images.clip(0, 1) * 255) / 255).astype(np.float32), labels.astype(np.int64)


class ToyVictim(Victim):
    """Two linear layers with tanh between, on 8x8 grey: a random rotation, then nearest pattern."""

    def __init__(self, seed: int = 0, sharpness: float = 2.0) -> None:
        super().__init__(size=_SIDE, channels=1, mean=(0.5,), std=(0.1,))
        generator = torch.Generator().manual_seed(seed)
        rotation = torch.linalg.qr(torch.randn(_SIDE**2, _SIDE**2, generator=generator)).Q
        rotation = rotation - rotation.mean(1, keepdim=True)  # invariant to brightness
        patterns = torch.from_numpy(_patterns()).float().flatten(1)
        self.first = nn.Linear(_SIDE**2, _SIDE**2, bias=False)
        self.last = nn.Linear(_SIDE**2, len(EMOTIONS))
        with torch.no_grad():
            self.first.weight.copy_(rotation)
            prototypes = (patterns @ rotation.T).tanh()
            self.last.weight.copy_(sharpness * nn.functional.normalize(prototypes))
            self.last.bias.zero_()
        self.card = Card(
            name="toy",
            architecture="two linear layers",
            parameters=sum(p.numel() for p in self.parameters()),
            input="8x8 grey",
            training_data="none",
            licence="MIT",
            sha256="0" * 64,
        )
        freeze(self)

    def embed(self, x: Tensor) -> Tensor:
        features: Tensor = self.first(x.flatten(1)).tanh()
        return features

    def head(self, f: Tensor) -> Tensor:
        logits: Tensor = self.last(f)
        return logits


def toy_classifier(channels: int = 1, size: int = 32, seed: int = 0) -> PyTorchClassifier:
    """The toy victim as the ART classifier that attacks get.

    Example:
        >>> x, y = toy_faces()
        >>> bool((toy_classifier().predict(x).argmax(1) == y).all())
        True
    """
    return as_art(ToyVictim(seed), channels=channels, size=size)
