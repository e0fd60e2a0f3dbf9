import numpy as np
import pytest
import tensorflow as tf

from vatt import randomness
from vatt.drop_token import choose_tokens, kept_tokens
from vatt.embedding import ModalityEmbedding
from vatt.patches import Patches
from vatt.positions import AxialPositions

KEY = tf.constant([1], tf.uint64)


@pytest.mark.parametrize(
    "tokens, rate, kept", [(1568, 0.5, 784), (1200, 0.5, 600), (5, 0.5, 2), (100, 0.9, 10), (1, 0.9, 1)]
)
def test_number_of_kept_tokens_is_rounded_down(tokens, rate, kept):
    assert kept_tokens(tokens, rate) == kept


def test_subsets_are_distinct_uniform_and_differ_between_clips():
    chosen = choose_tokens(2000, 10, 4, KEY, shared=False).numpy()
    assert all(len(set(row)) == 4 and list(row) == sorted(row) for row in chosen)
    shares = np.bincount(chosen.ravel(), minlength=10) / len(chosen)
    np.testing.assert_allclose(shares, 0.4, atol=0.05)
    assert len(np.unique(chosen, axis=0)) > 100


def test_shared_subset_is_one_for_the_batch():
    chosen = choose_tokens(5, 10, 4, KEY, shared=True).numpy()
    assert (chosen == chosen[0]).all()


def test_dropping_before_embedding_equals_dropping_after_the_positions():
    """The tokens that stay are the same as the full sequence's at the chosen places."""
    layer = ModalityEmbedding(Patches(8, (4,)), positions=AxialPositions(8, (12,)), drop_token_rate=0.5, dropout=0.0)
    sound = tf.random.stateless_uniform([3, 48], [0, 0])
    full, kept = layer(sound).numpy(), layer(sound, keys=randomness.ModalityKeys(drop_token=KEY)).numpy()
    assert kept.shape == (3, 7, 8)
    for clip in range(3):
        places = [np.abs(full[clip] - token).sum(axis=1).argmin() for token in kept[clip]]
        assert places[0] == 0 and places == sorted(set(places))
        np.testing.assert_allclose(kept[clip], full[clip][places], atol=1e-6)
