"""Words by which data sets and classifiers name the seven emotions."""

from __future__ import annotations

from priemo_bench.contracts.image import EMOTIONS

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
