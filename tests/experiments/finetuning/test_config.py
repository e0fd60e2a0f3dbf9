"""The configuration of fine-tuning, and every gin file that is shipped for it."""

import pathlib

import pytest
import tensorflow as tf

from experiments.finetuning import config as finetune_config
from experiments.finetuning.run import build_run, random_batch
from experiments.running.command_line import BadInput

pytestmark = pytest.mark.slow

CONFIGS = pathlib.Path(__file__).parents[3] / "configs" / "finetune"
FILES = sorted(CONFIGS.glob("*.gin"))
SHRUNK = [
    "finetune.model = @VATT", "VATT.preset = 'ut_tiny'", "VATT.layers = 1", "VATT.width = 16", "VATT.heads = 2",
    "VATT.feed_forward = 32", "VATT.feature_dim = 16", "finetune.batch_size = 4", "ClipSpec.image_size = 32",
    "ClipSpec.sample_rate_hz = 2000",
]  # fmt: skip
MULTI_LABEL = {"audioset"}
name = lambda path: path.stem  # noqa: E731


@pytest.mark.usefixtures("quick_graphs")
@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_runs_one_shrunken_step(path, last_row):
    config = finetune_config.parse([str(path)], SHRUNK)
    multi_label = path.stem in MULTI_LABEL
    run = build_run(config, tf.distribute.get_strategy(), classes=5, multi_label=multi_label)
    before = [weight.numpy() for weight in run.trainer.weights]
    run.trainer.global_step.assign(config.warmup_steps)
    run.trainer.train_on_batch(random_batch(config, 4, 5, multi_label), tf.constant(0.0))
    assert int(run.trainer.global_step) == config.warmup_steps + 1 and last_row(run.trainer)["finite"] == 1
    changed = [(old != new.numpy()).any() for old, new in zip(before, run.trainer.weights, strict=True)]
    # Keys have a bias that no output depends on.
    assert sum(changed) >= len(changed) - 1


@pytest.mark.parametrize("path", FILES, ids=name)
def test_headers_say_what_they_are_for(path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for start in ("# Purpose:", "# Command:", "# Hardware and time:", "# Result:"):
        assert any(line.startswith(start) for line in header), start


def test_the_papers_recipes():
    video = finetune_config.parse([str(CONFIGS / "kinetics400.gin")], [], checkpoint="a/run")
    assert video.checkpoint == "a/run" and video.clip_shape == (32, 320, 320, 3)
    assert (video.learning_rate, video.warmup_steps, video.steps, video.batch_size) == (0.005, 2_500, 100_000, 64)
    assert (video.clips.clip_seconds, video.test_windows, video.test_crops, video.momentum) == (2.56, 4, 3, 0.9)
    assert (video.drop_token_rate, video.backbone_clip_norm, video.mixup_alpha) == (0.0, None, None)
    audio = finetune_config.parse([str(CONFIGS / "audioset.gin")], [], checkpoint="a/run")
    assert audio.clip_shape == (153_600,) and audio.clips.clip_seconds == 6.4
    assert (audio.learning_rate, audio.warmup_steps, audio.steps, audio.batch_size) == (0.2, 5_000, 50_000, 1024)
    assert (audio.mixup_alpha, audio.balance_classes, audio.classifier_dropout) == (5.0, True, 0.0)


BASE = ["finetune.modality = 'video'", "finetune.dataset = 'x'"]


@pytest.mark.parametrize(
    "binding, message",
    [
        ("finetune.modality = 'text'", "`finetune.modality` should be one of video, audio. Found 'text'"),
        ("finetune.dropout = 1.0", "`finetune.dropout` should be at least 0 and below 1. Found 1.0"),
        ("finetune.mixup_alpha = 0.5", "`finetune.mixup_alpha` should be None or above 0.5. Found 0.5"),
        ("finetune.backbone_clip_norm = 0.0", "should be None or above 0. Found 0.0"),
        ("finetune.test_crops = 0", "`finetune.test_crops` should be at least 1. Found 0"),
        (
            "finetune.warmup_steps = 100000",
            "`finetune.warmup_steps` should be below `finetune.steps`, 100000. Found 100000",
        ),
        ("finetune.warmup_steps = True", r"`finetune\.warmup_steps` should be of type .*Found True"),
        ("finetune.step = 3", r"Did you mean `finetune\.steps`\?"),
        ("finetune.frozen = 1", "`finetune.frozen` should be of type bool"),
    ],
)
def test_a_wrong_binding_is_explained(binding, message):
    with pytest.raises(BadInput, match=message):
        finetune_config.parse([], [*BASE, binding], checkpoint="run")


@pytest.mark.parametrize("steps, warmup", [(100_000, 2_500), (200_000, 2_500), (500, 12)])
def test_the_warm_up_is_a_share_of_the_steps(steps, warmup):
    bindings = [*BASE, f"finetune.steps = {steps}"]
    assert finetune_config.parse([], bindings, checkpoint="run").warmup_steps == warmup
    assert finetune_config.parse([], bindings, "run", ["finetune.warmup_steps = 7"]).warmup_steps == 7


def test_there_must_be_a_model():
    with pytest.raises(BadInput, match="Give --checkpoint=RUN; or, to start from scratch, `finetune.model = @VATT`"):
        finetune_config.parse([], BASE)
    with pytest.raises(BadInput, match="without quotes"):
        finetune_config.parse([], BASE, checkpoint="it's")
