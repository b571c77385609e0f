"""Whether a face-recognition network still recognises the person.

The network is dlib's (contracts/weights/face_recognition.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.contracts.weights.face_recognition import ARCHIVE, FaceRecognition, load
from priemo_bench.metrics.network_metric import NetworkMetric

THRESHOLD = 0.6
"""Distance of two embeddings below which they are one person's (dlib's; 99.4 % correct on LFW)."""


def is_same_person(net: FaceRecognition, x: Tensor, y: Tensor) -> Tensor:
    """(n,) 1 where the embeddings of both images are closer than THRESHOLD, else 0."""
    distance: Tensor = torch.linalg.vector_norm(net(x) - net(y), dim=1)
    return (distance < THRESHOLD).float()


same_person = NetworkMetric(ARCHIVE, load, is_same_person)
