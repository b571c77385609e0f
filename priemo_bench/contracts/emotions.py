"""Words by which data sets and classifiers name the seven emotions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

SYNONYMS = {
    "angry": ("anger", "an", "ang"),
    "disgust": ("disgusted", "di", "dis"),
    "fear": ("fearful", "afraid", "scared", "fe", "fea"),
    "happy": ("happiness", "joy", "joyful", "ha", "hap"),
    "sad": ("sadness", "sa"),
    "surprise": ("surprised", "su", "sur"),
    "neutral": ("neutrality", "ne", "neu"),
}
EMOTION_WORDS = {word: name for name in EMOTIONS for word in (name, *SYNONYMS[name])}
"""Lower-case word to the name in EMOTIONS."""


def emotion_of(word: str) -> str | None:
    """The name in EMOTIONS that `word` stands for, in any case; None for any other word.

    Example:
        >>> emotion_of("Happiness"), emotion_of("contempt")
        ('happy', None)
    """
    return EMOTION_WORDS.get(word.strip().casefold())


OTHERS = ("other", "contempt", "contemptuous", "calm", "unknown", "uncertain", "none", "no-face",
          "nf", "valence", "arousal")  # fmt: skip
"""Labels of outputs that are none of the seven emotions; these outputs are left out."""


def outputs_of_emotions(labels: Sequence[str]) -> list[int]:
    """Index of the output of each of EMOTIONS, of a classifier whose outputs have these labels.

    Raises:
        PriemoError: a label that is neither an emotion nor one of OTHERS, or an emotion that is not
            there exactly once.

    Example:
        >>> outputs_of_emotions(["neutral", "joy", "surprise", "sad", "anger", "disgust", "fear"])
        [4, 5, 6, 1, 3, 2, 0]
    """
    emotions = [_emotion(label) for label in labels]
    for name in EMOTIONS:
        if emotions.count(name) != 1:
            times = "twice" if name in emotions else "not at all"
            raise PriemoError(f"labels name {name!r} {times}; each emotion must be there once")
    return [emotions.index(name) for name in EMOTIONS]


def _emotion(label: str) -> str | None:
    """The emotion of a label, None for one of OTHERS; PriemoError for an unknown word."""
    emotion = emotion_of(label)
    if emotion is None and re.sub(r"[ _]", "-", label.strip().casefold()) not in OTHERS:
        known = [*EMOTION_WORDS, *OTHERS]
        raise PriemoError(f'labels: {unknown("emotions", label, known)} (or write "other")')
    return emotion
