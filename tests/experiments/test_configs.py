"""Every shipped gin file of pre-training parses and builds; every complete one also runs a step, shrunk."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining import config
from experiments.pretraining.assembly import build_run, make_model, random_batch

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
OTHERS = {"classify", "finetune", "study", "sweeps"}  # see the tests of their own configurations
FILES = [path for path in sorted(CONFIGS.rglob("*.gin")) if not OTHERS & set(path.parts)]
PAPER = sorted((CONFIGS / "paper").glob("*.gin"))
COMPLETE = [*sorted(CONFIGS.glob("*.gin")), *PAPER]
PARTS = [path for path in FILES if path not in COMPLETE]
METHODS = {
    "vatt": harmonization.Sum,
    "rw_va": harmonization.Reweight,
    "rw_vt": harmonization.Reweight,
    "gr": harmonization.GradientRealignment,
    "cl": harmonization.GradientCurriculum,
    "both": harmonization.Both,
    "cl_sample": harmonization.Sum,  # the gate judges clips
    "both_sample": harmonization.GradientRealignment,
    "similarity_sample": harmonization.Sum,  # the gate judges pairs
    "gr_significant": harmonization.Significant,
    "cl_significant": harmonization.Significant,
    "both_cr_mogm": harmonization.CRMOGM,
    "nce_or_none": harmonization.Sum,  # another form of the losses
    "robust_xid": harmonization.Sum,  # likewise
}
SHRUNK = [
    "VATT.layers = 1", "VATT.width = 16", "VATT.heads = 2", "VATT.head_dim = 8", "VATT.feed_forward = 32",
    "VATT.word_dim = 8", "VATT.feature_dim = 16", "VATT.video_audio_dim = 12", "VATT.video_text_dim = 8",
    "ClipSpec.frames = 8", "ClipSpec.image_size = 32", "ClipSpec.sample_rate_hz = 2000", "pretrain.batch_size = 4",
]  # fmt: skip
name = lambda path: str(path.relative_to(CONFIGS))  # noqa: E731


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("path", COMPLETE, ids=name)
def test_a_complete_configuration_runs_one_shrunken_step(path):
    in_passes = path.stem.endswith("_one_host")
    passes = ["pretrain.batch_size = 8", "pretrain.clips_per_pass = 4"] if in_passes else []
    settings = config.parse([str(path)], [*SHRUNK, *passes])
    run = build_run(settings, tf.distribute.get_strategy(), vocabulary_size=50)
    run.trainer.train_on_batch(random_batch(settings.clips, settings.batch_size, 50), tf.constant(0.0))
    columns = run.trainer.train_loop_end()
    assert int(run.trainer.global_step) == 1 and columns["finite"].numpy().tolist() == [1.0]
    method = path.stem.removeprefix("ht100m_").removesuffix("_one_host") if path.parent.name == "paper" else "both"
    assert type(run.trainer.harmonizer) is METHODS[method]


@pytest.mark.parametrize("path", PAPER, ids=name)
@pytest.mark.parametrize("mix, sets", [("ht100m", 1), ("ht100m_audioset", 2), ("ht100m_audioset_yt8m", 3)])
def test_the_papers_recipe_and_mixes(path, mix, sets):
    settings = config.parse([str(path), str(CONFIGS / f"data/{mix}.gin")], [])
    assert len(settings.datasets) == sets and settings.datasets[0] == "howto100m"
    assert (settings.steps, settings.batch_size, settings.warmup_steps) == (500_000, 2048, 10_000)
    assert (settings.learning_rate, settings.final_learning_rate) == (1e-4, 5e-5)
    assert settings.clips_per_pass == (8 if path.stem.endswith("_one_host") else None)
    assert (settings.clips.frames, settings.clips.image_size, settings.clips.waveform_samples) == (32, 224, 153_600)


@pytest.mark.parametrize("path", PARTS, ids=name)
def test_a_part_goes_with_the_demo(path):
    settings = config.parse([str(CONFIGS / "demo.gin"), str(path)], [])
    assert type(settings.build_harmonizer()) is (
        METHODS[path.stem] if path.parent.name == "methods" else harmonization.Both
    )
    model = make_model(settings, vocabulary_size=50)  # in full size, without variables
    if path.parent.name == "models":
        name = path.stem if path.stem in vatt.PRESETS else f"ut_{path.stem}"
        expected = vatt.VATT(name)
        assert {modality: model.feature_dims[modality] for modality in model.modalities} == expected.feature_dims
        assert [len(model.encoders[name].blocks) for name in vatt.MODALITIES] == [
            len(expected.encoders[name].blocks) for name in vatt.MODALITIES
        ]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "options",
    [[], ["VATT.audio = 'spt_base'", "VATT.text = 'bert_small'", "VATT.head = 'joint'", "VATT.recompute = True"]],
    ids=["as published", "other towers"],
)
def test_modality_specific_models_train(options):
    # Two patches of spectrogram need 0.7 s of sound.
    clips = ["ClipSpec.frames = 32", "ClipSpec.sample_rate_hz = 8000", "VATT.video_patch = (16, 16, 16)"]
    settings = config.parse(
        [str(CONFIGS / "demo.gin"), str(CONFIGS / "models/mbs.gin")],
        [*SHRUNK, *clips, *options, "pretrain.scope = 'encoder'", "pretrain.harmonizer = 'gr'"],
    )
    run = build_run(settings, tf.distribute.get_strategy(), vocabulary_size=50)
    before = [weight.numpy() for weight in run.trainer.weights]
    for _ in range(2):  # the first learning rate is 0
        run.trainer.train_on_batch(random_batch(settings.clips, 4, 50), tf.constant(0.0))
    assert run.trainer.train_loop_end()["finite"].numpy().tolist() == [1.0, 1.0]
    assert {"video_block_0", "audio_block_0", "text_block_0"} <= set(run.trainer.layers)
    assert (
        sum(np.abs(new.numpy() - old).max() > 0 for new, old in zip(run.trainer.weights, before, strict=True))
        > len(before) // 2
    )
    video = {id(weight) for weight in run.model.encoders["video"].trainable_variables}
    assert {id(run.trainer.weights[index]) for index in run.trainer.groups["encoder"]} == video


@pytest.mark.parametrize("weights, path", [((1.5, 0.5), "rw_va"), ((0.5, 1.5), "rw_vt")])
def test_reweighting_favors_the_loss_it_is_named_after(weights, path):
    harmonizer = config.parse([str(CONFIGS / "demo.gin"), str(CONFIGS / f"methods/{path}.gin")], []).build_harmonizer()
    assert harmonizer.weights(tf.eye(2)).numpy().tolist() == list(weights)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_headers_say_what_they_are_for(path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    wanted = ["# Purpose:", "# Command:"]
    if path in COMPLETE:
        wanted += ["# Hardware and time:", "# Result:"]
    for start in wanted:
        assert any(line.startswith(start) for line in header), start
