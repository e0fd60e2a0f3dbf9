"""The configuration of classifiers, and every gin file that is shipped for them."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from experiments.classifiers import config as classifier_config
from experiments.classifiers.gradient_blending import GradientBlending
from experiments.classifiers.recipes import RECIPES
from experiments.classifiers.run import build_run, clip_specs, random_batch
from experiments.running.command_line import BadInput

pytestmark = pytest.mark.slow

CONFIGS = pathlib.Path(__file__).parents[3] / "configs" / "classify"
DATASETS = sorted(CONFIGS.glob("*.gin"))
HARMONIZERS = {
    "mmpareto": harmonization.MMPareto, "dgl": harmonization.DGL, "ogm_ge": harmonization.OGMGE,
    "gradient_blending": GradientBlending,
}  # fmt: skip
name = lambda path: path.stem  # noqa: E731


def method_file(method):
    return str(CONFIGS / "methods" / f"{method}.gin")


@pytest.mark.parametrize("method", RECIPES)
def test_every_method_has_a_file_that_chooses_it(method):
    config = classifier_config.parse([str(CONFIGS / "imbalanced.gin"), method_file(method)], [])
    assert config.method == method
    assert type(config.build_harmonizer()) is HARMONIZERS.get(method, harmonization.Sum)
    assert config.clip_norm == (40.0 if method == "dgl" else None)


def test_there_is_no_file_without_a_method():
    assert {path.stem for path in (CONFIGS / "methods").glob("*.gin")} == set(RECIPES)


@pytest.mark.parametrize("path", DATASETS, ids=name)
def test_every_data_set_s_file_makes_a_run(path):
    config = classifier_config.parse([str(path), method_file("mmpareto")], ["ResNet18.depth_multiplier = 0.0625"])
    assert config.dataset == path.stem and config.clips.frames == 2
    assert (config.momentum, config.weight_decay) == (0.9, 1e-4)
    if path.stem not in ("imbalanced", "tuxpaint"):  # the others' settings are published
        assert (config.learning_rate, config.epochs, config.clips.image_size) == (0.002, 50, 224)
        assert config.batch_size == 64
    run = build_run(config, tf.distribute.get_strategy(), classes=31, train_clips=1000)
    assert run.steps == round(1000 / config.batch_size) * config.epochs and list(run.trainer.groups) == list(
        run.model.parts()
    )
    windows = run.model.encoders["audio"].spectrogram(tf.zeros([1, *clip_specs(config.clips)["waveform"].shape[1:]]))
    assert min(windows.shape[1:]) >= 32  # ResNet halves them five times


TINY_VATT = [
    "classify.encoder = @VATTEncoder", "VATTEncoder.preset = 'ut_tiny'", "VATTEncoder.layers = 1", "VATTEncoder.width = 16",
    "VATTEncoder.heads = 2", "VATTEncoder.feed_forward = 32", "VATTEncoder.feature_dim = 8", "VATTEncoder.waveform_patch = 1280",
]  # fmt: skip
SMALL_RESNET = ["ResNet18.depth_multiplier = 0.0625"]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "files, encoders",
    [([str(path), method_file("uniform")], SMALL_RESNET) for path in DATASETS]
    + [([str(CONFIGS / "imbalanced.gin"), method_file(method)], TINY_VATT) for method in RECIPES],
    ids=lambda value: "-".join(pathlib.Path(part).stem for part in value if "gin" in part) or "encoders",
)
def test_every_file_runs_one_shrunken_step(files, encoders):
    config = classifier_config.parse(files, [*encoders, "ClipSpec.image_size = 32", "classify.batch_size = 4"])
    run = build_run(config, tf.distribute.get_strategy(), classes=5, train_clips=8)
    before = [weight.numpy() for weight in run.trainer.weights]
    run.trainer.train_step(iter([random_batch(config.clips, 4, 5)]))
    assert int(run.trainer.global_step) == 1
    assert all(np.isfinite(values).all() for values in run.trainer.train_loop_end().values())
    moved = [(new.numpy() != old).any() for new, old in zip(run.trainer.weights, before, strict=True)]
    assert sum(moved) > len(moved) // 2


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.gin")), ids=name)
def test_headers_say_what_they_are_for(path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    wanted = ["# Purpose:", "# Command:", *(["# Hardware and time:", "# Result:"] if path in DATASETS else [])]
    for start in wanted:
        assert any(line.startswith(start) for line in header), start


def test_another_harmonizer_takes_the_place_of_the_method_s():
    bindings = ["classify.method = 'uniform'", "classify.dataset = 'x'", "classify.harmonizer = @PCGrad()"]
    assert isinstance(classifier_config.parse([], bindings).build_harmonizer(), harmonization.PCGrad)


@pytest.mark.parametrize(
    "binding, message",
    [
        ("classify.fusion = 'film'", "should be one of concatenation, sum, gated, bilinear. Found 'film'"),
        ("classify.learning_rate = -1.0", "`classify.learning_rate` should be at least 0"),
        ("classify.clip_norm = 0.0", "`classify.clip_norm` should be None or above 0"),
        ("classify.decay_epochs = (3, 3)", "should be increasing numbers of at least 1"),
        ("ResNet18.depth = 3", r"doesn't have a parameter named 'depth'"),
        ("classify.harmonizer = @FAMO()", "should not need the losses after the step. Found FAMO"),
    ],
)
def test_a_wrong_binding_is_explained(binding, message):
    with pytest.raises(BadInput, match=message):
        classifier_config.parse([], ["classify.method = 'joint'", "classify.dataset = 'x'", binding])


def test_the_encoders_scale_can_be_another_s():
    files = [str(CONFIGS / "imbalanced.gin"), method_file("uniform")]
    assert classifier_config.parse(files, []).recipe is RECIPES["uniform"]
    assert classifier_config.parse(files, ["classify.encoder_scale = 4.0"]).recipe.encoder_scale == 4.0
    assert RECIPES["uniform"].encoder_scale == 1.0
    with pytest.raises(BadInput, match="`classify.encoder_scale` should be None or above 0. Found 0.0"):
        classifier_config.parse(files, ["classify.encoder_scale = 0.0"])
