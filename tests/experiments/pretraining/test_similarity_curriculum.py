"""The curriculum on similarity: what it gates, each loss on its own, and from when on."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining import config
from experiments.pretraining.similarity_curriculum import SimilarityCurriculum, SimilarityGate
from experiments.pretraining.step import OBJECTIVES
from experiments.running.command_line import BadInput

CLIPS = 8
FALSE_TEXT, FALSE_SOUND, DOUBTFUL_TEXT = 2, 5, 6


@pytest.fixture
def batch():
    """Clips whose text and sound embeddings are those of their videos, but for a false text and sound and a doubtful text."""
    video = np.eye(CLIPS, dtype=np.float32)
    text, sound = video.copy(), video.copy()
    text[FALSE_TEXT], sound[FALSE_SOUND] = -video[FALSE_TEXT], -video[FALSE_SOUND]
    text[DOUBTFUL_TEXT] = 0.1 * video[DOUBTFUL_TEXT] + video[DOUBTFUL_TEXT + 1]
    outputs = {
        "video_audio": {"video": tf.constant(video), "audio": tf.constant(sound)},
        "video_text": {"video": tf.constant(video), "text": tf.constant(text[:, None])},
    }
    everything = tf.ones([CLIPS], tf.bool)
    return outputs, {"text": tf.ones([CLIPS, 1, 2], tf.int32), "has_text": everything, "has_audio": everything}


@pytest.fixture
def judge(batch):
    """A function (curriculum, step=0, **changes to the clips) -> `ClipTrust`."""

    def call(curriculum, step=0, **changes):
        outputs, clips = batch[0], batch[1] | changes
        terms = vatt.clip_losses(outputs, clips)
        return curriculum(None, outputs, clips, terms, tf.constant(step, tf.int64), {})

    return call


def curriculum(softness=0.0, **options):
    return SimilarityCurriculum(SimilarityGate(**options), OBJECTIVES, softness)


def all_but(clip):
    return np.float32(np.arange(CLIPS) != clip)


def test_a_false_text_is_gated_and_its_clip_keeps_its_sound(judge, batch):
    trust = judge(curriculum(start=0))
    np.testing.assert_array_equal(trust.weights["video_text"], all_but(FALSE_TEXT))
    np.testing.assert_array_equal(trust.weights["video_audio"], all_but(FALSE_SOUND))
    report = {name: float(value) for name, value in trust.report.items()}
    assert report["pair_weight_video_text"] == report["pair_weight_video_audio"] == pytest.approx(7 / 8)
    ranks = vatt.pair_ranks(*batch)
    assert report["pair_rank_video_text"] == pytest.approx(np.mean(ranks["video_text"][0]))
    assert trust.keep
    for name, (values, _) in vatt.clip_losses(*batch).items():  # of all clips, whatever they weigh
        assert float(trust.losses[name]) == pytest.approx(np.mean(values))


def test_soft_weights_are_one_half_at_the_threshold(judge, batch):
    ranks = np.asarray(vatt.pair_ranks(*batch)["video_text"][0])
    trust = judge(curriculum(0.1, start=0, threshold=float(ranks[DOUBTFUL_TEXT])))
    expected = 1 / (1 + np.exp((ranks[DOUBTFUL_TEXT] - ranks) / 0.1))
    np.testing.assert_allclose(trust.weights["video_text"], expected, atol=1e-5)
    assert float(trust.weights["video_text"][DOUBTFUL_TEXT]) == pytest.approx(0.5) and 0.5 < ranks[DOUBTFUL_TEXT] < 1


def test_a_fixed_start_and_a_schedule_count_steps(judge):
    late = curriculum(start=3, threshold=harmonization.StepSchedule((5,), (0.5, 0.95)))
    assert np.min(judge(late, 2).weights["video_text"]) == 1.0
    np.testing.assert_array_equal(judge(late, 3).weights["video_text"], all_but(FALSE_TEXT))
    assert np.sum(judge(late, 5).weights["video_text"]) < CLIPS - 1


def test_a_measured_start_waits_for_ranks_above_chance_in_its_own_space(judge, batch):
    measured = curriculum(memory_steps=2, informative=0.7)
    outputs = batch[0]
    outputs["video_audio"] = {name: tf.ones_like(values) for name, values in outputs["video_audio"].items()}
    began = [np.min(judge(measured).weights["video_text"]) == 0.0 for _ in range(4)]
    mean = float(np.mean(vatt.pair_ranks(*batch)["video_text"][0]))
    expected = [0.5 + (mean - 0.5) * (1 - 0.5**steps) > 0.7 for steps in range(1, 5)]
    assert began == expected and not began[0] and began[-1]
    np.testing.assert_array_equal(judge(measured).weights["video_audio"], np.ones(CLIPS))  # no space knows of the other
    nothing = tf.zeros([CLIPS], tf.bool)
    before = measured.mean_ranks.numpy()
    silent = judge(measured, has_text=nothing, has_audio=nothing)
    assert silent.keep and float(silent.report["pair_weight_video_text"]) == 1.0
    np.testing.assert_array_equal(measured.mean_ranks, before)


def test_a_step_without_a_trusted_pair_is_skipped(judge, batch):
    outputs = batch[0]
    for space, other in (("video_audio", "audio"), ("video_text", "text")):
        outputs[space][other] = -outputs[space][other]
        keep = [FALSE_SOUND if space == "video_audio" else FALSE_TEXT]
        signs = np.ones([CLIPS] + [1] * (outputs[space][other].shape.rank - 1), np.float32)
        signs[keep] = -1.0
        outputs[space][other] = outputs[space][other] * signs
    assert not judge(curriculum(start=0)).keep


def test_gin_builds_it_with_its_state(tiny_run):
    bindings = [
        "pretrain.granularity = 'sample'",
        "pretrain.clip_gate = @SimilarityGate()",
        "pretrain.clip_softness = 0.2",
    ]
    built = config.parse([], [*tiny_run, *bindings, "SimilarityGate.start = 7"]).build_clip_curriculum()
    assert isinstance(built, SimilarityCurriculum) and (built.softness, built.gate.start) == (0.2, 7)
    assert tf.train.Checkpoint(curriculum=built).save_counter is not None and len(built.variables) == 1
    settings = config.parse([], [*tiny_run, *bindings, "SimilarityGate.clip_slots = 9"])
    assert settings.clip_slots == 9 and settings.build_clip_curriculum().memory.means.shape == [9, 2]
    assert config.parse([], [*tiny_run, *bindings]).clip_slots == 0 == config.parse([], tiny_run).clip_slots
    for wrong in ("threshold = 1.0", "start = -1", "informative = 0.5", "memory_steps = 0", "clip_slots = -1"):
        with pytest.raises(BadInput, match=f"`SimilarityGate.{wrong.split()[0]}` should"):
            config.parse([], [*tiny_run, *bindings, f"SimilarityGate.{wrong}"])


@pytest.mark.parametrize("slots", [0, 5])
def test_replicas_judge_and_remember_alike(judge, batch, mirrored, slots):
    strategy, options = mirrored(2), dict(memory_steps=2, informative=0.7, clip_slots=slots)
    batch[1]["clip_slot"] = tf.range(CLIPS) * 3 % 5
    with strategy.scope():
        several = curriculum(**options)
    spread = strategy.experimental_distribute_values_from_function
    half = lambda context, values: values[CLIPS // 2 * context.replica_id_in_sync_group :][: CLIPS // 2]  # noqa: E731
    shared = [tf.nest.map_structure(lambda each: spread(lambda context: half(context, each)), part) for part in batch]

    def step(outputs, clips):
        trust = several(None, outputs, clips, vatt.clip_losses(outputs, clips), tf.constant(0, tf.int64), {})
        return dict(trust.weights), dict(trust.report)

    run = tf.function(lambda: strategy.run(step, args=tuple(shared)))
    alone = curriculum(**options)
    for _ in range(2):
        expected, (weights, report) = judge(alone), run()
        for name in OBJECTIVES:
            found = tf.concat(strategy.experimental_local_results(weights[name]), 0)
            np.testing.assert_array_equal(found, expected.weights[name])
        for name, value in expected.report.items():
            for copy in strategy.experimental_local_results(report[name]):
                assert float(copy) == pytest.approx(float(value))
    assert np.min(expected.weights["video_text"]) == 0.0
    for copy in strategy.experimental_local_results(several.mean_ranks):
        np.testing.assert_allclose(copy, alone.mean_ranks, rtol=1e-6)
    for variable, expected in zip(several.variables, alone.variables, strict=True):
        for copy in strategy.experimental_local_results(variable):
            np.testing.assert_allclose(copy, expected, rtol=1e-6)


def test_a_clip_is_judged_by_its_average_rank(judge):
    remembering = curriculum(start=0, clip_slots=CLIPS)
    slots = tf.range(CLIPS)
    first = judge(remembering, clip_slot=slots).weights["video_text"]
    np.testing.assert_array_equal(first, all_but(FALSE_TEXT))
    remembering.memory.means.assign(0.9 - remembering.memory.means)
    assert not np.any(judge(remembering, clip_slot=slots).weights["video_text"])  # each averages 0.45
