"""A function that predicts, as a victim: judged, and never looked into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from priemo_bench.contracts.emotions import emotion_of, outputs_of_emotions
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.network_victim import SIZES, Layout, Order, logits_of, refuse_gradient
from priemo_bench.contracts.probe import are_probabilities, probe_images, probe_outputs, reason
from priemo_bench.contracts.victim import Victim
from priemo_bench.errors import PriemoError

SURE = 10.0
"""Logit of the class that a black box names, where it gives no scores; the others have 0."""
SHOWN = 3
"""Images that a black box is tried with: it may be slow, or cost money."""


class BlackBox(Victim):
    """A function that predicts, as a victim that is judged and never looked into.

    The function is given images as defenses and metrics are, uint8 (n, c, h, w), RGB or grey. It
    answers with a label for each image (a word or its index in `labels`), or with scores
    (n, labels), probabilities or logits.

    Args:
        function: images to answers.
        what: the victim in words, for sentences.
        mean, std: where given, the function gets float32, normalised by them, not uint8.
        layout: of the images that it gets.
    """

    differentiable = False
    published_only = False
    """Whether it knows published images alone, and not what a filter makes of them."""
    labels_only = False
    """Whether it has answered with labels and no scores: its probabilities mean nothing then."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        labels: Sequence[str],
        what: str,
        *,
        size: int = 0,
        channels: int = 0,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        order: Order = "rgb",
        layout: Layout = "nchw",
        identity: str = "",
    ) -> None:
        super().__init__(size, channels, mean or (0.0,), std or (1.0,))
        self.function, self.labels, self.what, self.identity = function, labels, what, identity
        self.emotions = outputs_of_emotions(labels)
        self.order, self.layout, self.bytes = order, layout, mean is None and std is None

    def features(self, x: Tensor) -> Tensor:
        """PriemoError: nobody looks into a black box."""
        raise PriemoError(
            f"{self.what} is a black box without gradients, for evaluation only; name other "
            "surrogates"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7) in the order of EMOTIONS.

        Raises:
            PriemoError: a gradient is asked for; the function fails, or its answer is none.
        """
        refuse_gradient(x)
        shown = self.prepare(x.detach()).cpu()
        if self.order == "bgr":
            shown = shown.flip(1)
        if self.layout == "nhwc":
            shown = shown.permute(0, 2, 3, 1)
        images = shown.contiguous().numpy()
        if self.bytes:
            images = np.rint(images * 255).astype(np.uint8)
        try:
            answers = self.function(images)
        except PriemoError:
            raise
        except Exception as error:  # any that a stranger's function may raise
            raise PriemoError(
                f"{self.what} fails on {images.dtype} images of shape {images.shape}: "
                f"{type(error).__name__}: {reason(error)}"
            ) from error
        return self._logits(answers, len(x)).to(x.device)

    def _logits(self, answers: Any, n: int) -> Tensor:
        if isinstance(answers, Tensor):
            answers = answers.detach().cpu().numpy()
        try:
            found = np.asarray(answers)
        except ValueError:  # rows of different lengths
            found = np.zeros(0)
        if found.shape == (n,) and found.dtype.kind in "iuUSO":
            return self._of_labels(found.tolist())
        if found.shape == (n, len(self.labels)) and found.dtype.kind in "iuf":
            scores = torch.from_numpy(found.astype(np.float32))
            if not scores.isfinite().all():
                raise PriemoError(f"{self.what} gives scores that are NaN or infinite")
            return logits_of(scores, are_probabilities(scores))[:, self.emotions]
        raise PriemoError(
            f"{self.what} gives {found.dtype} of shape {found.shape} for {n} images; it must give "
            f"{n} labels, or scores of shape ({n}, {len(self.labels)})"
        )

    def _of_labels(self, answers: list[Any]) -> Tensor:
        self.labels_only = True
        logits = torch.zeros(len(answers), len(EMOTIONS))
        for row, answer in enumerate(answers):
            if isinstance(answer, bytes):
                answer = answer.decode(errors="replace")
            word = answer
            if isinstance(answer, int) and 0 <= answer < len(self.labels):
                word = self.labels[answer]
            emotion = emotion_of(word) if isinstance(word, str) else None
            if emotion is None:
                raise PriemoError(
                    f"{self.what} answers {answer!r}; it must be one of {', '.join(EMOTIONS)}, or "
                    f"its index in labels, 0 to {len(self.labels) - 1}"
                )
            logits[row, EMOTIONS.index(emotion)] = SURE
        return logits

    def probe(self) -> None:
        """Ask for a few images, twice and alone; PriemoError where an answer is wrong."""
        x = probe_images(self.channels or 3, self.size or SIZES[0], SHOWN)
        probe_outputs(self, x, len(EMOTIONS), self.what)
