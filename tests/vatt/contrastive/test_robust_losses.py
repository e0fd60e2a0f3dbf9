"""The forms of the losses that reckon with false pairs, against NumPy, clip by clip, in float64."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import norm

import vatt
from vatt.contrastive.losses import contrastive_clip_losses

pytestmark = pytest.mark.slow

CLIPS, DIM, TEMPERATURE = 8, 6, 0.3
FORMS = ("nce_or_none", "robust_xid")


def draw(candidates, seed=0):
    """Embeddings of noise; one clip has no candidates, some have fewer than others, and the third pair is false."""
    random = np.random.default_rng(seed)
    video = random.normal(size=(CLIPS, DIM))
    other = 0.7 * video[:, None] + random.normal(size=(CLIPS, candidates, DIM))
    other[2] = -other[2]
    mask = random.random((CLIPS, candidates)) < 0.8
    mask[:, 0], mask[5] = True, False
    return video.astype(np.float32), other.astype(np.float32), mask


class Reference:
    """The formulas in float64; what is constant is computed once, so that finite differences leave it alone."""

    def __init__(self, form, video, other, mask):
        self.form, self.mask, self.clips = form, mask, np.flatnonzero(mask.any(axis=1))
        sums, best = self.scores(video, other, TEMPERATURE), self.similarities(video, other)
        own = [sums[clip, clip] for clip in self.clips]
        self.none = sorted(own)[int(0.3 * len(own))]
        self.soft = self.scores(video, other, 0.02)
        similar = np.array([best[clip] for clip in self.clips])
        weights = 0.25 + 0.75 * norm.cdf(similar, similar.mean(), np.sqrt(0.5) * similar.std())
        self.weights = dict(zip(self.clips, weights / weights.mean(), strict=True))

    def cosines(self, video, other):
        unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
        return np.einsum("id,jcd->ijc", unit(video.astype(np.float64)), unit(other.astype(np.float64)))

    def scores(self, video, other, temperature):
        """[video, clip of the candidates]: log of the sum of exponentials, minus infinity for a clip without any."""
        cosines = np.where(self.mask[None], self.cosines(video, other) / temperature, -np.inf)
        return logsumexp(cosines, axis=2)

    def similarities(self, video, other):
        return np.where(self.mask, np.einsum("iic->ic", self.cosines(video, other)), -np.inf).max(axis=1)

    def losses(self, video, other):
        scores = self.scores(video, other, TEMPERATURE)
        found = np.zeros(CLIPS)
        for clip in self.clips:
            found[clip] = getattr(self, self.form)(scores, clip)
        return found

    def nce_or_none(self, scores, clip):
        chosen = np.logaddexp(scores[clip, clip], self.none)
        negatives = [
            each for other in range(CLIPS) if other != clip for each in (scores[clip, other], scores[other, clip])
        ]
        return logsumexp([chosen, *negatives]) - chosen

    def robust_xid(self, scores, clip):
        total = 0.0
        for mine, theirs in (((scores[clip]), self.soft[:, clip]), (scores[:, clip], self.soft[clip])):
            soft = np.zeros(CLIPS)
            soft[self.clips] = np.exp(theirs[self.clips] - logsumexp(theirs[self.clips]))
            target = 0.5 * np.eye(CLIPS)[clip] + 0.5 * soft
            shares = mine - logsumexp(mine)
            total -= sum(target[each] * shares[each] for each in self.clips)
        return self.weights[clip] * total


def compute(form, jit_compile=False):
    """A function of the embeddings and the mask: the clips' losses and the gradients of their sum."""

    @tf.function(jit_compile=jit_compile, autograph=False)
    def losses(video, other, mask):
        with tf.GradientTape() as tape:
            tape.watch([video, other])
            terms, valid = contrastive_clip_losses(video, other, mask, TEMPERATURE, form)
            total = tf.reduce_sum(terms)
        return terms, valid, tape.gradient(total, [video, other])

    return losses


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("candidates, jit_compile", [(1, False), (3, True)])
def test_equals_its_formula_and_its_derivatives_also_under_xla(form, candidates, jit_compile):
    video, other, mask = draw(candidates)
    reference, random = Reference(form, video, other, mask), np.random.default_rng(1)
    terms, valid, gradients = compute(form, jit_compile)(*map(tf.constant, (video, other, mask)))
    np.testing.assert_allclose(terms, reference.losses(video, other), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(valid, mask.any(axis=1))
    for _ in range(5):
        directions = [random.normal(size=each.shape) for each in (video, other)]
        ends = [
            reference.losses(*(each + step * along for each, along in zip((video, other), directions, strict=True)))
            for step in (1e-6, -1e-6)
        ]
        slope = (ends[0].sum() - ends[1].sum()) / 2e-6
        found = sum(np.sum(each * along) for each, along in zip(gradients, directions, strict=True))
        assert found == pytest.approx(slope, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_false_text_is_pulled_less_than_under_nce(form):
    video = np.eye(CLIPS, dtype=np.float32)
    other = video[:, None].copy()
    other[2] = other[3]  # the text of another clip
    everything = np.ones([CLIPS, 1], bool)
    pulls = {}
    for name in (form, "symmetric_nce"):
        gradient = compute(name)(*map(tf.constant, (video, other, everything)))[2][1]
        pulls[name] = -float(gradient[2, 0, 2])  # toward its video
    assert 0 < pulls[form] < 0.3 * pulls["symmetric_nce"]


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_learn_from_gives_zeros(form):
    video, other, mask = map(tf.constant, draw(2))
    terms, valid, gradients = compute(form)(video, other, tf.zeros_like(mask))
    assert not np.any(terms) and not np.any(valid) and not any(np.any(gradient) for gradient in gradients)
    one = tf.range(CLIPS) == 3
    terms, valid, gradients = compute(form)(video, other, mask & one[:, None])
    assert np.flatnonzero(valid).tolist() == [3] and all(np.all(np.isfinite(gradient)) for gradient in gradients)


def test_sgd_gives_the_same_weights_on_1_2_and_4_replicas(mirrored):
    batch = draw(2)
    expected, *found = [train(mirrored(replicas), *batch) for replicas in (1, 2, 4)]
    for form in FORMS:
        assert max(np.abs(weights - np.eye(DIM)).max() for weights in expected[form]) > 0.05
        for weights in found:
            for several, one in zip(weights[form], expected[form], strict=True):
                np.testing.assert_allclose(several, one, rtol=1e-5, atol=1e-6, err_msg=form)


def train(strategy, video, other, mask):
    """Three steps of SGD, with each form, on a linear map before each of the embeddings; returns the maps by form."""
    with strategy.scope():
        maps = {form: [tf.Variable(tf.eye(DIM)) for _ in range(2)] for form in FORMS}
    share = CLIPS // strategy.num_replicas_in_sync

    def step():
        replica = tf.distribute.get_replica_context()
        start = replica.replica_id_in_sync_group * share
        own_video, own_other, own_mask = (tf.constant(each)[start : start + share] for each in (video, other, mask))
        for form, pair in maps.items():
            with tf.GradientTape() as tape:
                embeddings = own_video @ pair[0], tf.einsum("bcd,de->bce", own_other, pair[1])
                loss = vatt.contrastive_loss(*embeddings, own_mask, TEMPERATURE, form)
            for each, gradient in zip(pair, replica.all_reduce("SUM", tape.gradient(loss, pair)), strict=True):
                each.assign_sub(0.2 * gradient)

    run = tf.function(lambda: strategy.run(step), autograph=False)
    for _ in range(3):
        run()
    return tf.nest.map_structure(lambda each: strategy.experimental_local_results(each)[-1].numpy(), maps)
