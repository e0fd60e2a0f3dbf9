"""A study of two tiny points, killed and resumed; then its page."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from experiments.pretraining.assembly import build_run, random_batch
from experiments.studies import config as study_config
from experiments.studies import points as study_points
from experiments.studies import step_cost
from experiments.studies.data import prepare_sets
from experiments.studies.directory import StudyDirectory
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
    f"study.bindings = {tuple(TINY)!r}", "study.methods = {'cl': 'configs/methods/cl.gin'}", "study.ablations = {}",
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
    data_dir, directory = str(root / "data"), StudyDirectory(root / "runs")
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
            study_points.run_variant(study, "cl", strategy, data_dir, directory)
    assert directory.has_point(clean) and not directory.has_point(noisy)
    first = directory.read_points(study)
    study_points.run_variant(study, "cl", strategy, data_dir, directory)
    assert directory.read_points(study)[:1] == first
    return study, data_dir, directory, lost


def measured(result: dict) -> dict:
    return json.loads(json.dumps({name: value for name, value in result.items() if name != "seconds"}))


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


def test_what_is_missing_or_wrong_is_told(run_study, is_one_message, tmp_path):
    is_one_message(
        run_study(gin_file=[GIN_FILE], study_dir=str(tmp_path)), "--data_dir, --study_dir and --output_dir are needed"
    )
    places = dict(study_dir=str(tmp_path), output_dir=str(tmp_path))
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
