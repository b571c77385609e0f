"""Which emotion is read as which, before and after protection, and the rate of each emotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.outcomes import FloatArray, IntArray
from priemo_bench.judge.leaderboard import Tables


@dataclass(frozen=True)
class Confusion:
    """What becomes of the faces of each emotion, over the victims that judge some rows.

    Attributes:
        before, after: (label, read) shares from 0 to 1 of the faces labelled so that are read as
            an emotion when clean, and once published; a row is NaN without such a face.
        faces: (label,) how many different faces there are.
        protection: (label, 3) protection rate of its faces, and its 95 % interval; NaN without a
            face that counts.
    """

    before: FloatArray
    after: FloatArray
    faces: IntArray
    protection: FloatArray


def confusion(tables: Tables, rows: list[int]) -> Confusion:
    """Of pooled rows, without a defense; the mean over rows of the mean over judging victims."""
    k = len(EMOTIONS)
    before, after, total = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, 1))
    faces: list[set[int]] = [set() for _ in EMOTIONS]
    pairs = tables.rates.judging(rows)
    for (row, victim), weight in pairs.items():
        own = tables.predictions.arrays[row, "none", victim]
        there = np.bincount(own.label, minlength=k)[:, None] > 0
        before += weight * _shares(own.label, own.clean)
        after += weight * np.mean([_shares(own.label, seed) for seed in own.prediction], 0)
        total += weight * there
        for emotion in range(k):
            faces[emotion].update(own.images[own.label == emotion].tolist())
    total[total == 0] = np.nan
    return Confusion(
        before / total, after / total, np.array([len(own) for own in faces]),
        np.array([_protection(tables, rows, emotion) for emotion in range(k)]),
    )  # fmt: skip


def _shares(label: IntArray, read: IntArray) -> FloatArray:
    """(label, read): the share of the faces of a label that are read so; zeros without a face."""
    k = len(EMOTIONS)
    counts = np.bincount(label * k + read.astype(np.int64), minlength=k * k).reshape(k, k)
    shares: FloatArray = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return shares


def _protection(tables: Tables, rows: list[int], emotion: int) -> tuple[float, float, float]:
    rate = tables.rates.estimate(tables.rates.judging(rows), emotions=[emotion])
    return (rate.value, *rate.interval) if rate.images else (np.nan,) * 3
