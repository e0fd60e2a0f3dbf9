"""Every number that gin can set, out of its range: refused at the door with a message that names it."""

import math
import re
import typing

import pytest
import tensorflow as tf

import data
import harmonization
import vatt
from data import ClipSpec
from experiments.classifiers import config as classify_config
from experiments.classifiers import encoders
from experiments.classifiers.gradient_blending import GradientBlending
from experiments.classifiers.run import build_model as build_classifier
from experiments.finetuning import config as finetune_config
from experiments.finetuning.config import Finetune
from experiments.finetuning.run import build_run as build_finetune
from experiments.pretraining import assembly
from experiments.pretraining import config as pretrain_config
from experiments.pretraining.program import repeated_clips
from experiments.running import gin_config
from experiments.running.command_line import BadInput
from experiments.studies.config import Study

INT32, FLOAT32 = 2**31 - 1, 3.4e38
TINY = vatt.Size(layers=1, width=8, heads=1, feed_forward=8)
CONSTRUCTORS = {
    **pretrain_config._constructors(),
    "finetune": Finetune, "classify": classify_config.Classify, "study": Study, "ResNet18": encoders.ResNet18,
    "Spectrogram": encoders.Spectrogram, "VATTEncoder": encoders.VATTEncoder, "GradientBlending": GradientBlending,
}  # fmt: skip
# What a constructor cannot do without; small enough to be made a hundred times.
NEEDED = {
    "pretrain": dict(model=vatt.VATT),
    "finetune": dict(modality="video", dataset="d", model=vatt.VATT),
    "classify": dict(method="dgl", dataset="d"),
    "study": dict(methods={"gr": "configs/methods/gr.gin"}, ablation_noise=(0.0, 0.0), noise=((0.0, 0.0),)),
    "VATT": dict(preset="ut_tiny"),
    "ClipWeights": dict(path="clips.csv"),
    "Tower": dict(kind="vit"),
    "Size": dict(layers=1, width=8, heads=1, feed_forward=8),
    "ResNet18": dict(modality="video", clips=ClipSpec()),
    "VATTEncoder": dict(modality="video", clips=ClipSpec(), preset="ut_tiny"),
    "Reweight": dict(weights=(1.0, 1.0)),
    "GradientCurriculum": dict(schedule=0.0), "Both": dict(schedule=0.0),
    "Significant": dict(method=harmonization.Sum()),
    "LinearSchedule": dict(steps=9), "CosineSchedule": dict(steps=9), "StepSchedule": dict(boundaries=(5,), values=(0.0, 0.1)),
}  # fmt: skip
# Least and greatest value, "(" for an end that does not belong to the range.
COUNT, SIZE, SHARE, NOT_NEGATIVE = (1, INT32), (1, 2**20), (0, 1), (0, FLOAT32)
POSITIVE, BELOW_1, FINITE, SEED = ("(", 0, FLOAT32), (0, 1, ")"), (-FLOAT32, FLOAT32), (0, 2**32 - 1)
RANGES = {
    "pretrain": dict(
        steps=COUNT, batch_size=SIZE, seed=SEED, shuffle_window=COUNT, clip_softness=NOT_NEGATIVE,
        measure_gradients_every=COUNT, temperature=POSITIVE, learning_rate=NOT_NEGATIVE, final_learning_rate=NOT_NEGATIVE,
        warmup_steps=NOT_NEGATIVE, steps_per_loop=COUNT, checkpoint_every_steps=COUNT, keep_checkpoints=COUNT,
        dataset_weights=POSITIVE, clips_per_pass=(4, INT32), gradient_parts=(4, INT32),
    ),
    "finetune": dict(
        shuffle_window=COUNT, steps=COUNT, batch_size=SIZE, seed=SEED, learning_rate=NOT_NEGATIVE, warmup_steps=NOT_NEGATIVE,
        momentum=SHARE, label_smoothing=BELOW_1, classifier_dropout=BELOW_1, drop_token_rate=BELOW_1, dropout=BELOW_1,
        backbone_clip_norm=POSITIVE, mixup_alpha=("(", 0.5, FLOAT32), evaluate_every_steps=COUNT, test_windows=(1, 1000),
        test_crops=(1, 1000), evaluation_batch_size=SIZE, steps_per_loop=COUNT, checkpoint_every_steps=COUNT,
        keep_checkpoints=COUNT,
    ),
    "classify": dict(
        encoder_scale=POSITIVE, shuffle_window=COUNT, epochs=COUNT, batch_size=SIZE, seed=SEED, learning_rate=NOT_NEGATIVE,
        decay_epochs=COUNT, decay_factor=NOT_NEGATIVE, momentum=SHARE, weight_decay=NOT_NEGATIVE, clip_norm=POSITIVE,
        steps_per_loop=COUNT, checkpoint_every_steps=COUNT, keep_checkpoints=COUNT,
    ),
    "study": dict(
        noise=SHARE, ablation_noise=SHARE, seeds=(0, INT32), ablation_seeds=COUNT, train_clips=COUNT, validation_clips=COUNT,
        test_clips=COUNT, watch_steps=COUNT, watched_clips=COUNT, cost_repeats=COUNT, margin_points=POSITIVE, noise_seeds=COUNT,
    ),
    "ClipSpec": dict(
        frames=COUNT, frames_per_second=("(", 0, 1e6, ")"), image_size=COUNT, sample_rate_hz=(1, 10**6), candidates=COUNT,
        words=COUNT, sparse_seconds=("(", 0, 1e6, ")"),
    ),
    "SimilarityGate": dict(
        threshold=BELOW_1, start=(0, INT32), informative=("(", 0.5, 1, ")"), memory_steps=COUNT, clip_slots=(0, 2**26),
    ),
    "ClipWeights": dict(drop_share=BELOW_1, drop_below=FINITE, softness=NOT_NEGATIVE),
    "Augmentation": dict(
        crop_area=("(", 0, 1), crop_aspect=("(", 0, 100), flip_probability=SHARE, jitter_probability=SHARE, brightness=SHARE,
        saturation=SHARE, contrast=SHARE, hue=(0, 0.5), audio_noise=SHARE,
    ),
    "VATT": dict(
        frames=COUNT, image_size=(1, 2**16), waveform_samples=COUNT, sample_rate_hz=COUNT, vocabulary_size=COUNT,
        words=(0, 2**16), layers=(1, 1000), width=SIZE, heads=SIZE, head_dim=SIZE, feed_forward=SIZE, word_dim=SIZE,
        feature_dim=SIZE, video_audio_dim=SIZE, video_text_dim=SIZE, video_patch=SIZE, waveform_patch=SIZE,
        spectrogram_patch=SIZE, mel_bands=SIZE, drop_token_rate=BELOW_1, dropout=BELOW_1, position_dropout=BELOW_1,
    ),
    "VATTEncoder": dict(
        layers=(1, 1000), width=SIZE, heads=SIZE, feed_forward=SIZE, feature_dim=SIZE, video_patch=SIZE, waveform_patch=SIZE,
        drop_token_rate=BELOW_1, dropout=BELOW_1,
    ),
    "Size": dict(layers=(1, 1000), width=SIZE, heads=SIZE, feed_forward=SIZE, head_dim=SIZE),
    "ResNet18": dict(depth_multiplier=(1 / 64, 64)),
    "Spectrogram": dict(window_samples=COUNT, hop_samples=COUNT, floor=POSITIVE),
    "GradientBlending": dict(super_epoch=COUNT),
    "Reweight": dict(weights=NOT_NEGATIVE),
    "GradientCurriculum": dict(schedule=(-1, 1, ")")), "Both": dict(schedule=(-1, 1, ")")),
    "PCGrad": dict(seed=SEED), "GradVac": dict(beta=SHARE, initial_target=(-1, 1), seed=SEED),
    "CAGrad": dict(c=NOT_NEGATIVE), "NashMTL": dict(max_norm=POSITIVE), "RandomWeights": dict(seed=SEED, total=POSITIVE),
    "FAMO": dict(learning_rate=NOT_NEGATIVE, weight_decay=NOT_NEGATIVE, lower_bounds=FINITE, epsilon=POSITIVE),
    "GradNorm": dict(alpha=NOT_NEGATIVE, learning_rate=NOT_NEGATIVE), "MMPareto": dict(gamma=POSITIVE),
    "DGL": dict(multimodal=(0, INT32), alpha=POSITIVE),
    "Significant": dict(level=("(", 0, 1, ")")),
    "FairGrad": dict(alpha=(0.25, 4)), "PCD": dict(tau=NOT_NEGATIVE, decay=BELOW_1), "CRMOGM": dict(momentum=BELOW_1),
    "SDMGrad": dict(toward_mean=NOT_NEGATIVE, learning_rate=POSITIVE, inner_steps=COUNT),
    "UncertaintyWeights": dict(learning_rate=NOT_NEGATIVE), "IMTLL": dict(learning_rate=NOT_NEGATIVE),
    "DWA": dict(period=COUNT, temperature=POSITIVE), "STCH": dict(mu=POSITIVE, preferences=POSITIVE, ideal=FINITE),
    "OGMGE": dict(alpha=POSITIVE, noise_steps=(0, INT32), modulation_steps=(0, INT32), seed=SEED),
    "LinearSchedule": dict(steps=COUNT, start=FINITE, end=FINITE),
    "CosineSchedule": dict(steps=COUNT, start=FINITE, end=FINITE),
    "StepSchedule": dict(boundaries=COUNT, values=FINITE),
}  # fmt: skip


def hints(name: str) -> dict[str, object]:
    return {
        parameter: hint
        for parameter, hint in typing.get_type_hints(CONSTRUCTORS[name].__init__).items()
        if re.search(r"\b(int|float)\b", str(hint))
    }


NUMBERS = [(name, parameter) for name in CONSTRUCTORS for parameter in hints(name)]


def test_the_table_has_a_range_for_every_number_that_gin_can_set():
    assert {(name, parameter) for name, ranges in RANGES.items() for parameter in ranges} == set(NUMBERS)


def ends(given) -> tuple[float, bool, float, bool]:
    """Least value, whether it belongs to the range, greatest value, whether it does."""
    least, most = (part for part in given if not isinstance(part, str))
    return least, given[0] != "(", most, given[-1] != ")"


def outside(name: str, parameter: str) -> list[int | float]:
    least, with_least, most, with_most = ends(RANGES[name][parameter])
    whole = not re.search(r"\bfloat\b", str(hints(name)[parameter]))
    step = 1 if whole else 0.25
    near = {
        least - step: least - step < least,
        least: not with_least,
        most: not with_most,
        most + step: most + step > most,
    }
    far = [-(2**70), 2**70] if whole else [math.nan, math.inf, -math.inf, -1e39, 1e39]
    kind = int if whole else float
    return [kind(value) for value, wrong in near.items() if wrong] + far


def made(name: str, parameter: str, value: object) -> object:
    """What gin would make of a value, also inside a tuple, a pair, or a tuple of pairs, as the parameter wants it."""
    gin_config.register(CONSTRUCTORS)
    given = NEEDED.get(name, {}) | {parameter: shaped(name, parameter, value)}
    built = gin_config._REGISTERED[name](**given)
    if name == "Size":
        gin_config._REGISTERED["Tower"](kind="vit", size=built)
    return built


def shaped(name: str, parameter: str, value: object) -> object:
    hint = str(hints(name)[parameter])
    if parameter == "noise":
        return ((value, 0.0),)
    if parameter == "noise_seeds":
        return {(0.0, 0.0): value}
    if "tuple" in hint:
        return (value,) * hint.split("tuple")[1].split("]")[0].count(re.search("int|float", hint)[0])
    several = "Sequence" in hint and parameter not in ("lower_bounds",)
    pairs = parameter in ("ablation_noise", "values")
    return (0.0, value) if pairs else (value,) if several else value


@pytest.mark.parametrize("name, parameter", NUMBERS, ids=lambda part: part)
def test_a_number_out_of_its_range_is_refused(name, parameter):
    for value in outside(name, parameter):
        with pytest.raises((ValueError, TypeError, BadInput)) as refusal:
            made(name, parameter, value)
        assert parameter in str(refusal.value) or str(value) in str(refusal.value), (value, refusal.value)


@pytest.mark.parametrize(
    "binding", ["VATT.layers = 0", "VATT.width = -1", "VATT.video_patch = (0, 16, 16)", "VATT.dropout = 1.0"]
)
def test_a_model_out_of_range_is_refused_by_every_program_that_builds_one(tiny_run, binding):
    parameter = re.search(r"\.(\w+)", binding)[1]
    one = tf.distribute.get_strategy()
    with pytest.raises(BadInput, match=parameter):
        assembly.make_model(pretrain_config.parse([], [*tiny_run, binding]), 50)
    finetune = ["finetune.modality = 'video'", "finetune.dataset = 'd'", "finetune.model = @VATT"]
    if "dropout" not in binding:  # a fine-tuning has a dropout of its own
        with pytest.raises(BadInput, match=parameter):
            build_finetune(finetune_config.parse([], [*finetune, binding]), one, 5, False, None)
    classify = ["classify.method = 'dgl'", "classify.dataset = 'd'", "classify.encoder = @VATTEncoder"]
    with pytest.raises(BadInput, match=parameter):
        build_classifier(classify_config.parse([], [*classify, binding.replace("VATT.", "VATTEncoder.")]), 5)


def test_a_batch_of_one_clip_has_no_negatives(tiny_run):
    settings = pretrain_config.parse([], [*tiny_run, "pretrain.batch_size = 1"])  # earlier runs stay open
    with pytest.raises(BadInput, match=r"`pretrain\.batch_size` should be at least 2: .* Found 1"):
        assembly.build_run(settings, tf.distribute.get_strategy(), 50)


def test_a_batch_larger_than_the_data_set_is_noted(tiny_run, tiny_data):
    prepared = data.open_dataset("synthetic", tiny_data)

    def notes(size: int, *bindings: str) -> list[str]:
        settings = pretrain_config.parse([], [*tiny_run, f"pretrain.batch_size = {size}", *bindings])
        return repeated_clips(settings, [prepared] * len(settings.datasets))

    assert notes(24) == []
    assert notes(25)[0].startswith("Note: a batch takes 25 clips of synthetic, which has 24 to train on.")
    two = ("pretrain.datasets = ('a', 'b')", "pretrain.dataset_weights = (3, 1)")
    assert notes(32, *two) == [] and len(notes(36, *two)) == 1 and "27 clips of a" in notes(36, *two)[0]
