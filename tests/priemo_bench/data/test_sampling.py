import numpy as np
import pytest

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError


def faces(labels, persons=None):
    n = len(labels)
    ids = np.array([f"face{i}" for i in range(n)])
    persons = ids if persons is None else np.asarray(persons, str)
    return FaceSet("x", "test", np.zeros((n, 1, 8, 8), np.uint8), np.asarray(labels), ids, persons)


@pytest.fixture
def unbalanced():
    return faces(np.repeat(np.arange(7), [300, 20, 300, 500, 300, 200, 380]))


def test_all_of_the_rarest_emotion_are_kept(unbalanced):
    chosen = sample(unbalanced, 500)
    assert len(chosen) == 500
    assert chosen.counts["disgust"] == 20
    assert chosen.counts["happy"] == pytest.approx(480 * 500 / 1980, abs=40)


def test_the_rarest_emotion_does_not_fill_a_balanced_set():
    assert sample(faces(np.repeat(np.arange(7), 100)), 70).counts["angry"] <= 30


def test_order_is_kept_and_irrelevant(unbalanced):
    chosen = sample(unbalanced, 100)
    shuffled = unbalanced.take(np.random.default_rng(0).permutation(len(unbalanced)))
    assert chosen.ids.tolist() == [i for i in unbalanced.ids if i in set(chosen.ids)]
    assert set(sample(shuffled, 100).ids) == set(chosen.ids)


def test_a_smaller_sample_is_part_of_a_larger(unbalanced):
    assert set(sample(unbalanced, 200).ids) <= set(sample(unbalanced, 1000).ids)
    assert set(sample(sample(unbalanced, 1000), 200).ids) == set(sample(unbalanced, 200).ids)


def test_seeds_differ(unbalanced):
    assert set(sample(unbalanced, 100).ids) != set(sample(unbalanced, 100, seed=1).ids)


def test_persons_are_sampled_whole():
    everyone = faces(np.tile(np.arange(7), 30), np.repeat([f"p{i}" for i in range(30)], 7))
    chosen = sample(everyone, 140)
    assert chosen.counts == dict.fromkeys(chosen.counts, 20)
    assert len(set(chosen.persons)) == 20


def test_no_limit_and_a_high_one_keep_everything(unbalanced):
    assert sample(unbalanced, None) is unbalanced
    assert sample(unbalanced, 10_000) is unbalanced


def test_a_limit_of_nothing_is_refused(unbalanced):
    with pytest.raises(PriemoError, match="limit is 0"):
        sample(unbalanced, 0)
