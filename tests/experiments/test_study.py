"""A study of two tiny points, killed and resumed; then its page."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import data
from experiments.pretraining.assembly import build_run, random_batch
from experiments.studies import config as study_config
from experiments.studies import points as study_points
from experiments.studies import step_cost
from experiments.studies.data import open_set, prepare_sets, vocabulary_path
from experiments.studies.directory import StudyDirectory
from experiments.studies.record import Record, settings_of
from experiments.studies.training import ReusableRun

pytestmark = pytest.mark.slow

GIN_FILE = "configs/study/full.gin"
TINY = [
    "VATT.layers = 1", "VATT.width = 16", "VATT.heads = 2", "VATT.head_dim = 8", "VATT.feed_forward = 16",
    "VATT.word_dim = 8", "VATT.feature_dim = 16", "VATT.video_audio_dim = 12", "VATT.video_text_dim = 8",
    "VATT.waveform_patch = 1600", "VATT.drop_token_rate = 0.5", "STEPS = 3", "pretrain.warmup_steps = 1",
    "pretrain.batch_size = 4", "ClipSpec.frames = 4",
]  # fmt: skip
BINDINGS = [
    f"study.bindings = {tuple(TINY)!r}", "study.oracle = False", "study.noise_seeds = {}",
    "study.methods = {'cl': 'configs/methods/cl.gin'}", "study.two_pass = ()", "study.ablations = {}",
    "study.noise = ((0.0, 0.0), (0.5, 0.3))", "study.seeds = (4,)", "study.ablation_seeds = 1",
    "study.train_clips = 16", "study.validation_clips = 16", "study.test_clips = 12",
    "study.watched = ('cl',)", "study.watch_steps = (3,)", "study.watched_clips = 12", "study.cost_repeats = 1",
]  # fmt: skip


class Killed(BaseException):
    """Stands in for a kill: nothing that the program could still do is done."""


@contextlib.contextmanager
def functions_eagerly(eagerly: bool):
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(eagerly)
    yield
    tf.config.run_functions_eagerly(before)


@pytest.fixture(scope="module")
def eagerly():
    """Runs functions without tracing them, which takes longer than the few steps of a test."""
    with functions_eagerly(True):
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory, eagerly):
    """The study, its directories, and what the second point gave in the run that was killed before it was kept."""
    root = tmp_path_factory.mktemp("study")
    study = study_config.parse([GIN_FILE], BINDINGS)
    data_dir, directory, record = str(root / "data"), StudyDirectory(root / "runs"), Record(root / "page")
    record.start(study, {"cl": settings_of(study, "cl")}, directory)
    clean, noisy = study.points("cl")
    prepare_sets(study, data_dir, lambda _: None, [clean, noisy])
    lost = {}

    def keep_the_first(self, point, result):
        if point == noisy:
            lost.update(result)
            raise Killed
        write(self, point, result)

    write = StudyDirectory.write_point
    strategy = tf.distribute.get_strategy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudyDirectory, "write_point", keep_the_first)
        with pytest.raises(Killed):
            study_points.run_variant(study, "cl", strategy, data_dir, directory, record)
    assert directory.has_point(clean) and not directory.has_point(noisy)
    first = directory.read_points(study)
    assert record.read() == first  # each point as soon as it is finished
    study_points.run_variant(study, "cl", strategy, data_dir, directory, record)
    assert directory.read_points(study)[:1] == first and record.read() == directory.read_points(study)
    return study, data_dir, directory, lost


def measured(result: dict) -> dict:
    return json.loads(json.dumps({name: value for name, value in result.items() if name not in ("seconds", "origin")}))


def test_a_point_is_the_same_in_a_reused_and_a_fresh_run(ran):
    study, _, directory, lost = ran
    clean, noisy = directory.read_points(study)
    assert noisy["point"] == {"variant": "cl", "text_noise": 0.5, "audio_noise": 0.3, "seed": 4}
    assert measured(noisy) == measured(lost)  # the second of its run, and the first of the resumed run
    assert noisy["training"] != clean["training"]


def test_a_point_holds_what_was_measured(ran):
    study, _, directory, _ = ran
    clean, noisy = directory.read_points(study)
    for result in (clean, noisy):
        retrieved = result["retrieval"]["text_to_video"]
        assert retrieved["gallery"] == 12 and 0 <= retrieved["r1"] <= retrieved["r10"] <= 1
        assert result["linear_probe"]["video"]["train_clips"] == 16
        assert result["training"]["steps"] == 3 and -1 <= result["training"]["cosine"] <= 1
    assert clean["watched"] == []
    (watched,) = noisy["watched"]
    assert watched["step"] == 3 and watched["clips"]["all"] == 12
    values = watched["values"]
    assert sum(values["text_aligned"]) < 12 and len(values["feature_gradient_cosine"]) == 12


def test_the_variants_directory_says_how_it_was_made(ran):
    study, _, directory, _ = ran
    files = directory.variant("cl")
    assert "GradientCurriculum.schedule" in files.config.read_text()
    assert json.loads((files.path / "environment.json").read_text())["packages"]["tensorflow"] == tf.__version__
    assert [path.name for path in files.path.rglob(".*")] == []  # nothing half-written


def test_another_configuration_is_refused(ran):
    study, data_dir, directory, _ = ran
    changed = [binding.replace("'STEPS = 3'", "'STEPS = 4'") for binding in BINDINGS]
    with pytest.raises(study_config.BadInput, match="holds a run with another configuration"):
        study = study_config.parse([GIN_FILE], changed)
        study_points.run_variant(study, "cl", tf.distribute.get_strategy(), data_dir, directory)


@pytest.fixture
def run_study(only_flags_of, run_here):
    """A function (*bindings, **flags) -> exit code and what `experiments.study` printed, in this process."""
    return run_here("study", [])


def test_a_finished_study_is_written_up_and_nothing_runs_again(ran, run_study, tmp_path):
    study, data_dir, directory, _ = ran
    directory.cost.parent.mkdir(exist_ok=True)
    directory.cost.write_text(json.dumps({"one gradient": 0.1, "cl": 0.15}))
    before = {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}
    code, output, errors = run_study(
        gin_file=[GIN_FILE],
        gin_bindings=BINDINGS,
        data_dir=data_dir,
        study_dir=str(directory.path),
        output_dir=str(tmp_path),
    )
    assert code == 0, errors
    assert "[1/1] cl: finished before" in output and "(2 points, 0 missing)" in output
    assert before == {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}
    text = (tmp_path / "README.md").read_text()
    assert "| cl | 150.0 | 1.50 |" in text and "--gin_file=configs/study/full.gin" in text
    assert (tmp_path / "cosines.png").stat().st_size > 1000


def test_a_study_resumes_from_its_page_without_the_runs(ran, run_study, tmp_path):
    study, _, directory, _ = ran
    page = Record(directory.path.parent / "page")
    page.cost.write_text(json.dumps({"one gradient": 0.1, "cl": 0.15}))
    places = dict(gin_file=[GIN_FILE], gin_bindings=BINDINGS, output_dir=str(page.path))
    before = page.results.read_text()
    code, output, errors = run_study(data_dir=str(tmp_path / "none"), study_dir=str(tmp_path / "runs"), **places)
    assert code == 0, errors
    assert "2 finished points are taken from" in output and "[1/1] cl: finished before" in output
    assert "data set" not in output and page.results.read_text() == before
    text = (page.path / "README.md").read_text()
    (page.path / "README.md").unlink()
    code, output, errors = run_study(page_only=True, data_dir="", study_dir="", **places)
    assert code == 0 and "(2 points, 0 missing)" in output, errors
    again = (page.path / "README.md").read_text()
    assert again.partition("## To make it again")[0] == text.partition("## To make it again")[0]


def first_steps(study, variant, noise, data_dir):
    """A variant's first weights, its batches, and what its first step logs, of a run with seed 4."""
    tokenizer = data.WordPieceTokenizer(vocabulary_path(study, data_dir), 12)
    runs = ReusableRun(study.pretraining(variant), tf.distribute.get_strategy(), tokenizer.vocabulary_size)
    runs.restart(4)
    weights = [variable.numpy() for variable in runs.run.model.trainable_variables]
    trainer, batches = runs.run.trainer, []
    take_step = trainer.train_on_batch

    def recorded(batch, waited_seconds):
        batches.append({name: value.numpy() for name, value in batch.items()})
        if len(batches) == 1:
            take_step(batch, waited_seconds)

    trainer.train_on_batch = recorded
    prepared = open_set(study, noise, 4, data_dir)
    logged = runs.train(prepared, tokenizer, lambda step: None, only_aligned=study.is_oracle(variant))
    return weights, batches, logged


def test_methods_are_paired_in_weights_clips_order_and_random_draws(ran, eagerly):
    methods = {name: f"configs/methods/{name}.gin" for name in ("vatt", "both", "cl_sample")}
    more = [f"study.methods = {methods!r}", "study.oracle = True", "study.watched = ()"]
    study, data_dir = study_config.parse([GIN_FILE], [*BINDINGS, *more]), ran[1]
    found = {name: first_steps(study, name, (0.5, 0.3), data_dir) for name in study.trained}
    weights, batches, logged = found["vatt"]
    for name in ("both", "cl_sample", "oracle"):
        for own, other in zip(weights, found[name][0], strict=True):
            np.testing.assert_array_equal(own, other)
        for own, other in zip(batches, found[name][1], strict=True):
            alike = own if name != "oracle" else ("video", "label")  # the oracle sees the same clips with less of them
            for field in alike:
                np.testing.assert_array_equal(own[field], other[field])
    for name in (
        "both",
        "cl_sample",
    ):  # the same weights, clips, dropped tokens: the same losses, then different updates
        for loss in ("loss_video_audio", "loss_video_text"):
            assert logged[loss][0] == pytest.approx(found[name][2][loss][0], rel=1e-5)
    assert logged["loss_video_text"][0] != pytest.approx(found["oracle"][2]["loss_video_text"][0], rel=1e-3)
    assert len({each["video"].tobytes() for each in batches}) == 3


def test_the_second_pass_starts_anew_without_what_the_first_ranked_lowest(ran, eagerly, monkeypatch):
    more = ["study.methods = {'again': 'configs/methods/similarity_sample.gin'}", "study.two_pass = ('again',)"]
    study, data_dir = study_config.parse([GIN_FILE], [*BINDINGS, *more, "study.watched = ()"]), ran[1]
    tokenizer = data.WordPieceTokenizer(vocabulary_path(study, data_dir), 12)
    runs = ReusableRun(study.pretraining("again"), tf.distribute.get_strategy(), tokenizer.vocabulary_size)
    evaluation, train, passes = study_points.Evaluation(study, runs, tokenizer), ReusableRun.train, []
    evaluation.figures = lambda clean: {}

    def recorded(self, *args, **options):
        state = [*self.run.model.trainable_variables, self.run.trainer.curriculum.mean_ranks]
        passes.append(([variable.numpy() for variable in state], options.get("pair_weights")))
        return train(self, *args, **options)

    monkeypatch.setattr(ReusableRun, "train", recorded)
    found = study_points.run_point(study, runs, evaluation, study.points("again")[1], data_dir)["dropped"]
    (first, everything), (second, weights) = passes
    tf.nest.map_structure(np.testing.assert_array_equal, second, first)
    assert not np.array_equal(runs.run.trainer.curriculum.mean_ranks, first[-1])  # else the above would say little
    assert everything is None and len(weights.clip_ids) == 16
    assert [np.sum(each == 0.0) for each in (weights.text, weights.audio)] == [3, 3]  # a fifth, rounded down
    assert found["text"]["pairs"] == 16 and [found[name]["dropped"] for name in ("text", "audio")] == [3, 3]
    assert 0 < found["text"]["false"] < 16 and 0 <= found["text"]["dropped_false"] <= 3
    assert settings_of(study, "again")["data"]["two_pass"]


def test_noises_are_paired_in_all_but_the_noise(ran, eagerly):
    study, data_dir = ran[0], ran[1]
    options = dict(batch_size=16, seed=4)
    spec = study.pretraining("cl").clips
    tokenizer = data.WordPieceTokenizer(vocabulary_path(study, data_dir), spec.words)
    clean, noisy, kept = (
        next(
            iter(data.train_batches(open_set(study, noise, 4, data_dir), spec, tokenizer, only_aligned=only, **options))
        )
        for noise, only in (((0.0, 0.0), False), ((0.5, 0.3), False), ((0.5, 0.3), True))
    )
    np.testing.assert_array_equal(clean["label"], noisy["label"])
    np.testing.assert_array_equal(clean["video"], noisy["video"])
    for name, has in (("text", "has_text"), ("waveform", "has_audio")):
        aligned = kept[has].numpy()
        same = [np.array_equal(*pair) for pair in zip(clean[name], noisy[name], strict=True)]
        assert 0 < aligned.sum() < 16 and all(clean[has])
        np.testing.assert_array_equal(same, aligned)


def test_what_is_missing_or_wrong_is_told(run_study, is_one_message, tmp_path):
    is_one_message(
        run_study(gin_file=[GIN_FILE], study_dir=str(tmp_path)), "--data_dir, --study_dir and --output_dir are needed"
    )
    places = dict(study_dir=str(tmp_path), output_dir=str(tmp_path))
    file = tmp_path / "file"
    file.write_text("in the way")
    for name in places:
        wrong = run_study(gin_file=[GIN_FILE], data_dir=str(tmp_path), **places | {name: str(file)})
        is_one_message(wrong, "file should be a directory that can be made and written to")
    wrong = "study.bindings = ('pretrain.batch_size = 0',)"
    is_one_message(run_study(gin_file=[GIN_FILE], gin_bindings=[wrong], **places), "the variant vatt: .*batch_size")


def test_cost_times_every_method_beside_one_gradient(monkeypatch, eagerly):
    calls = {}
    monkeypatch.setattr(
        step_cost, "median_seconds", lambda found, repeats: calls.update(found) or dict.fromkeys(found, 0.1)
    )
    found = step_cost.step_seconds(study_config.parse([GIN_FILE], BINDINGS))
    assert list(found) == ["one gradient", "cl"]
    for call in calls.values():
        call()


def test_a_traced_run_takes_another_seed(quick_graphs):
    settings = study_config.parse([GIN_FILE], BINDINGS).pretraining("cl")
    strategy, batch = tf.distribute.get_strategy(), random_batch(settings.clips, 4, 50)
    runs = ReusableRun(settings, strategy, 50)
    with functions_eagerly(False):
        for seed in (1, 2):
            runs.restart(seed)
            for _ in range(2):
                runs.run.trainer.train_on_batch(batch, tf.constant(0.0))
    assert runs.run.trainer.train_on_batch.experimental_get_tracing_count() == 1
    own = build_run(dataclasses.replace(settings, seed=2), strategy, 50)
    with functions_eagerly(True):
        for _ in range(2):
            own.trainer.train_on_batch(batch, tf.constant(0.0))
    for one, other in zip(runs.run.model.variables, own.model.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4, err_msg=one.name)
