import collections
import pathlib

import pytest

from experiments.running.command_line import BadInput
from experiments.studies import config as study_config
from experiments.studies.data import data_settings, prepare_sets
from experiments.studies.record import settings_of

ROOT = pathlib.Path(__file__).parents[3]
FULL, QUICK = "configs/study/full.gin", "configs/study/quick.gin"
FIVE_SEEDS = "configs/study/five_seeds.gin"  # with ablations


def test_another_data_set_has_settings_of_its_own():
    study = study_config.parse(["configs/study/tuxpaint.gin"], [])
    assert (study.dataset, study.two_pass) == ("tuxpaint", ("two_pass",))
    options = {"languages": ["fr"], "symbols": True}  # as JSON has them, without the folder
    assert data_settings(study) == {"dataset": "tuxpaint", "options": options, "set": "1.0.0", "vocabulary_seed": 1}
    synthetic = data_settings(study_config.parse([FIVE_SEEDS], []))
    assert synthetic == {
        "train_clips": 1440, "validation_clips": 144, "test_clips": 240, "set": "1.0.0", "vocabulary_seed": 1,
    }  # fmt: skip


def test_settings_that_a_data_set_lacks_are_refused_before_anything_is_prepared(tmp_path):
    study = study_config.parse([FIVE_SEEDS], ["study.dataset_options = {'language': 'fr'}"])
    with pytest.raises(BadInput, match=r"`study.dataset_options` should be some of .*Found language\."):
        prepare_sets(study, str(tmp_path), print, study.points("vatt"))
    for wrong in ("study.dataset = 'folder'", "study.two_pass = ('twice',)"):
        with pytest.raises(BadInput, match=f"`{wrong.split()[0]}` should"):
            study_config.parse([FIVE_SEEDS], [wrong])


@pytest.mark.parametrize("path, points", [(FIVE_SEEDS, 7 * 3 * 5 + 9 * 5), (QUICK, 8 * 2 * 2 + 2 + 2 * 2)])
def test_the_shipped_studies_can_be_configured(path, points):
    study = study_config.parse([path], [])
    settings = {variant: study.pretraining(variant) for variant in study.variants}
    assert sum(len(study.points(variant)) for variant in study.variants) == points
    assert study.baseline == "vatt" and list(study.methods) == [
        "vatt",
        "rw_va",
        "rw_vt",
        "gr",
        "cl",
        "both",
        "cl_sample",
        *(["similarity_sample"] if path == QUICK else []),
    ]
    assert (ROOT / path).read_text().startswith("# Purpose: ")
    # No two variants are the same by mistake.
    assert (
        len({repr((each.scope, each.all_reduce, each.granularity, each.clip_softness)) for each in settings.values()})
        > 2
    )
    assert settings["cl_dot"].build_harmonizer()._indicator == "dot"
    assert settings["cl_sample_soft"].clip_softness == 0.1 and settings["cl_sample_soft"].granularity == "sample"


def test_the_confirmation_asks_with_new_seeds_and_a_control_that_trains_as_long():
    path = "configs/study/confirmation.gin"
    study, full = study_config.parse([path], []), study_config.parse([FULL], [])
    assert (ROOT / path).read_text().startswith("# Purpose: ")
    assert not set(study.seeds) & set(full.seeds) and set(study.noise) < set(full.noise)
    assert [len(study.points(variant)) for variant in study.variants] == [72, 72, 36]
    settings = {variant: study.pretraining(variant) for variant in study.variants}
    assert settings["twice_as_long"].steps == 2 * settings["two_pass"].steps == 2 * settings["vatt"].steps
    assert settings_of(study, "vatt")["config"] == settings_of(full, "vatt")["config"] and study.two_pass == (
        "two_pass",
    )


def test_the_study_of_length_doubles_the_steps_of_plain_vatt_alone():
    path = "configs/study/length.gin"
    study, full, asked_again = (
        study_config.parse([each], []) for each in (path, FULL, "configs/study/confirmation.gin")
    )
    assert (ROOT / path).read_text().startswith("# Purpose: ")
    settings = {variant: study.pretraining(variant) for variant in study.variants}
    steps = sorted(found.steps for found in settings.values())
    assert steps[0] == full.pretraining("vatt").steps and steps[1:] == [2 * shorter for shorter in steps[:-1]]
    configs = [settings_of(full, "vatt")["config"], *(settings_of(study, variant)["config"] for variant in settings)]
    assert len({tuple(line for line in text.splitlines() if "STEPS" not in line) for text in configs}) == 1
    assert not set(study.seeds) & {*full.seeds, *asked_again.seeds}
    assert {len(study.points(variant)) for variant in study.variants} == {4}


def test_the_study_of_long_training_has_the_length_that_the_one_before_found():
    path = "configs/study/trained_long.gin"
    study, before = (study_config.parse([each], []) for each in (path, "configs/study/length.gin"))
    assert (ROOT / path).read_text().startswith("# Purpose: ")
    settings = {variant: study.pretraining(variant) for variant in study.variants}
    assert {name: found.steps for name, found in settings.items()} == {
        "vatt": 1800, "two_pass": 1800, "oracle": 1800, "twice_as_long": 3600,
    }  # fmt: skip
    assert before.pretraining("steps_1800").steps == settings["vatt"].steps
    assert not set(study.seeds) & set(before.seeds) and study.has_two_passes("two_pass")


def test_the_full_study_has_more_seeds_where_it_matters():
    study = study_config.parse([FULL], [])
    counts = collections.Counter(
        (point.variant, point.noise) for name in study.variants for point in study.points(name)
    )
    for method in study.methods:
        assert [counts[method, tuple(noise)] for noise in study.noise] == [8, 24, 24, 8]
    assert [counts["oracle", tuple(noise)] for noise in study.noise] == [0, 24, 24, 8]
    assert tuple(study.noise[-1]) == (0.0, 0.5)  # in the sound alone
    assert sum(counts.values()) == 752 and "752 points" in (ROOT / FULL).read_text()


@pytest.mark.parametrize("path", [FULL, QUICK])
def test_methods_differ_in_nothing_that_a_seed_determines(path):
    study = study_config.parse([path], [])
    names = (
        "clips",
        "augmentation",
        "batch_size",
        "shuffle_window",
        "steps",
        "learning_rate",
        "warmup_steps",
        "temperature",
    )
    shared = [repr([getattr(study.pretraining(name), field) for field in names]) for name in study.trained]
    assert len(set(shared)) == 1
    models = [
        study.pretraining(name).model(words=12, vocabulary_size=50).get_config() for name in ("vatt", "oracle", "both")
    ]
    assert models[0] == models[1] == models[2]


def test_what_the_ablations_change():
    study = study_config.parse([FIVE_SEEDS], [])
    gamma = {name: study.pretraining(name) for name in ("cl", "cl_gamma_0", "cl_gamma_cosine")}
    values = {
        name: [float(each.build_harmonizer()._schedule(step)) for step in (0, 90, 450)] for name, each in gamma.items()
    }
    assert values["cl"] == pytest.approx([-0.3, -0.24, 0.0]) and values["cl_gamma_0"] == [0.0] * 3
    assert values["cl_gamma_cosine"] == pytest.approx([-0.3, -0.27135, 0.0], abs=1e-4)
    assert study.pretraining("gr_encoder").scope == study.pretraining("both_encoder").scope == "encoder"
    assert study.pretraining("both_before_all_reduce").all_reduce == "before"
    assert type(study.pretraining("both_sample").build_harmonizer()).__name__ == "GradientRealignment"


@pytest.mark.parametrize(
    "binding, message",
    [
        ("study.methods = {}", "at least one method"),
        ("study.methods = {'a b': 'configs/methods/gr.gin'}", "letters, digits"),
        ("study.ablations = {'x': ('unknown', 'y = 1')}", "begin with the name of a method"),
        ("study.noise = ((0.0, 1.5),)", "shares in"),
        ("study.noise_seeds = {(0.1, 0.1): 2}", "some of `study.noise`"),
        ("study.noise_seeds = {(0.0, 0.0): 0}", "at least 1"),
        ("study.noise_seeds = {(0.0, 0.0): 1.5}", "noise_seeds.*type"),
        ("study.margin_points = 0.0", "above 0"),
        ("study.methods = {'oracle': 'configs/methods/vatt.gin'}", "called oracle"),
        ("study.seeds = (1, 1)", "different whole numbers"),
        ("study.ablation_noise = (0.9, 0.5)", "one of `study.noise`"),
        ("study.ablation_seeds = 25", "at most the number of seeds"),
        ("study.watched = ('nothing',)", "some of the methods"),
        ("study.watch_steps = (20, 10)", "increasing steps"),
        ("study.watched_clips = 1000", "validation_clips"),
        ("study.sedes = (1,)", "Did you mean `study.seeds`"),
    ],
)
def test_what_cannot_be_a_study_is_refused(binding, message):
    with pytest.raises(BadInput, match=message):
        study_config.parse([FULL], [binding])


def test_a_variant_that_cannot_be_configured_is_named():
    study = study_config.parse([FULL], ["study.bindings = ('pretrain.stesp = 3',)"])
    with pytest.raises(BadInput, match="(?s)the variant gr: .*Did you mean `pretrain.steps`"):
        study.pretraining("gr")
    with pytest.raises(BadInput, match="at most 20, the last step"):
        study_config.parse([FULL], ["study.bindings = ('STEPS = 20', 'pretrain.warmup_steps = 2')"]).pretraining("gr")
    with pytest.raises(BadInput, match="--gin_file is needed"):
        study_config.parse([], [])
