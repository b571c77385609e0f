from priemo_bench.contracts.emotions import EMOTION_WORDS, SYNONYMS, emotion_of
from priemo_bench.contracts.image import EMOTIONS


def test_each_word_has_one_emotion_in_any_case() -> None:
    assert tuple(SYNONYMS) == EMOTIONS
    assert len(EMOTION_WORDS) == len(EMOTIONS) + sum(map(len, SYNONYMS.values()))
    assert [emotion_of(name) for name in EMOTIONS] == list(EMOTIONS)
    assert [emotion_of(word) for word in ("Anger", " HAPPINESS ", "Sur")] == [
        "angry",
        "happy",
        "surprise",
    ]
    assert emotion_of("contempt") is None
