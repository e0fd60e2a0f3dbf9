import pathlib

import pytest

import harmonization
from experiments.pretraining import config
from experiments.running.command_line import BadInput

pytestmark = pytest.mark.every_python


@pytest.mark.parametrize(
    "binding, message",
    [
        ("pretrain.stepps = 3", r"Did you mean `pretrain\.steps`\?"),
        ("VATT.presett = 'ut_tiny'", r"Did you mean `VATT\.preset`\?"),
        ("pretrain.model = @VAT", r"Did you mean `VATT`\?"),
        ("pretrain.steps = 'five'", r"`pretrain\.steps` should be of type int\. Found 'five' of type str\."),
        ("pretrain.steps = True", r"`pretrain\.steps` should be of type int\. Found True"),
        ("pretrain.learning_rate = '1e-4'", r"`pretrain\.learning_rate` should be of type float"),
        ("ClipSpec.frames = 1.5", r"`ClipSpec\.frames` should be of type int"),
        ("pretrain.steps = 0", r"`pretrain\.steps` should be at least 1"),
        ("pretrain.warmup_steps = 40", r"less than `pretrain\.steps` = 40"),
        ("pretrain.final_learning_rate = 1.0", r"`pretrain\.final_learning_rate` should lie between"),
        ("pretrain.precision = 'float16'", r"should be one of float32, mixed_bfloat16"),
        ("pretrain.all_reduce = 'never'", r"should be one of after, before"),
        ("pretrain.gram = 'sketch'", r"`pretrain\.gram` should be one of exact, features, top_block\. Found 'sketch'"),
        ("pretrain.measure_gradients_every = 0", r"`pretrain\.measure_gradients_every` should be at least 1"),
        ("pretrain.clips_per_pass = 6", r"`pretrain\.clips_per_pass` should be a multiple of 4\. Found 6"),
        ("pretrain.clips_per_pass = 0", r"`pretrain\.clips_per_pass` should be a multiple of 4\. Found 0"),
        ("pretrain.clips_per_pass = '8'", r"`pretrain\.clips_per_pass` should be of type int"),
        ("pretrain.gradient_parts = 5", r"`pretrain\.gradient_parts` should be an even number of at least 4\. Found 5"),
        ("pretrain.gradient_parts = 2", r"`pretrain\.gradient_parts` should be an even number of at least 4\. Found 2"),
        ("pretrain.granularity = 'clip'", r"should be one of batch, sample"),
        ("pretrain.clip_softness = 0.1", r"be used with `pretrain\.granularity = 'sample'`"),
        ("pretrain.harmonizer = 'grr'", r"Unknown method 'grr'\. Known are .*; the nearest is 'gr'"),
        ("pretrain.datasets = ()", r"should name at least one"),
        ("ClipSpec.image_size = 0", r"ClipSpec\.image_size should be a whole number"),
        ("pretrain.steps = ", r"the configuration cannot be used"),
    ],
)
def test_a_wrong_binding_is_explained(tiny_run, binding, message):
    with pytest.raises(BadInput, match=message):
        config.parse([], [*tiny_run, binding])


@pytest.mark.parametrize("steps, warmup", [(500_000, 10_000), (1_000_000, 10_000), (3_000, 60), (40, 0)])
def test_the_warm_up_is_a_share_of_the_steps(tiny_run, steps, warmup):
    bindings = [binding for binding in tiny_run if "warmup" not in binding]
    assert config.parse([], [*bindings, f"pretrain.steps = {steps}"]).warmup_steps == warmup
    assert config.parse([], [*bindings, f"pretrain.steps = {steps}"], ["pretrain.warmup_steps = 7"]).warmup_steps == 7
    assert config.parse([], [*bindings, "pretrain.warmup_steps = 3"], ["pretrain.warmup_steps = 7"]).warmup_steps == 3


@pytest.mark.parametrize("steps, every", [(40, 1), (1_999, 1), (5_000, 5), (500_000, 20)])
def test_short_runs_are_measured_in_every_step(tiny_run, steps, every):
    assert config.parse([], [*tiny_run, f"pretrain.steps = {steps}"]).measure_gradients_every == every
    assert config.parse([], [*tiny_run, "pretrain.measure_gradients_every = 7"]).measure_gradients_every == 7


def test_a_cheaper_gram_matrix_is_one_of_the_global_batch(tiny_run):
    with pytest.raises(BadInput, match=r"`pretrain\.gram = 'features'` should be used with .*all_reduce = 'after'"):
        config.parse([], [*tiny_run, "pretrain.gram = 'features'", "pretrain.all_reduce = 'before'"])


def test_passes_cannot_be_decided_by_the_last_block(tiny_run):
    bindings = [*tiny_run, "pretrain.clips_per_pass = 4"]
    assert config.parse([], [*bindings, "pretrain.gram = 'features'"]).clips_per_pass == 4
    with pytest.raises(BadInput, match=r"`pretrain\.clips_per_pass` should be used with .*'features'` or 'exact'"):
        config.parse([], [*bindings, "pretrain.gram = 'top_block'"])


SIGNIFICANT = ["pretrain.harmonizer = @Significant()", "Significant.method = @GradientRealignment()"]


def test_a_method_that_needs_parts_is_refused_without(tiny_run):
    assert config.parse([], [*tiny_run, *SIGNIFICANT, "pretrain.gradient_parts = 4"]).build_harmonizer().needs_parts
    averaged = ["pretrain.harmonizer = @CRMOGM()", "CRMOGM.method = @Significant()", SIGNIFICANT[1]]
    for bindings in (SIGNIFICANT, averaged):
        with pytest.raises(BadInput, match=r"`pretrain\.gradient_parts` should say into how many parts"):
            config.parse([], [*tiny_run, *bindings])


@pytest.mark.parametrize("binding", ["pretrain.gram = 'features'", "pretrain.all_reduce = 'before'"])
def test_parts_are_of_the_whole_gradient_of_the_global_batch(tiny_run, binding):
    with pytest.raises(BadInput, match=r"`pretrain\.gradient_parts` should be used with `pretrain\.gram = 'exact'`"):
        config.parse([], [*tiny_run, "pretrain.gradient_parts = 4", binding])


def test_several_problems_are_told_at_once(tiny_run):
    with pytest.raises(BadInput, match=r"(?s)`pretrain\.precision`.*`pretrain\.batch_size`"):
        config.parse([], [*tiny_run, "pretrain.precision = 'int8'", "pretrain.batch_size = 0"])


def test_a_missing_file_and_a_missing_model_are_explained():
    with pytest.raises(BadInput, match=r"nowhere\.gin"):
        config.parse(["nowhere.gin"], [])
    with pytest.raises(BadInput, match="model"):
        config.parse([], ["pretrain.steps = 10"])


def test_a_named_method_gets_a_schedule_over_all_steps(tiny_run):
    settings = config.parse([], [*tiny_run, "pretrain.harmonizer = 'cl'"])
    assert settings.build_harmonizer()._schedule.steps == settings.steps


def test_the_gate_judges_clips_instead_of_steps(tiny_run):
    def curriculum(*bindings):
        settings = config.parse([], [*tiny_run, *bindings, "pretrain.granularity = 'sample'"])
        return settings.build_clip_curriculum(), type(settings.build_harmonizer())

    start = "LinearSchedule.start = -0.7"
    scheduled = ["LinearSchedule.steps = 9", start]
    own, rest = curriculum("pretrain.harmonizer = @Both()", "Both.schedule = @LinearSchedule()", *scheduled)
    assert rest is harmonization.GradientRealignment and own.gate._schedule.start == -0.7 and own.softness == 0
    named, rest = curriculum("pretrain.harmonizer = 'cl'", "pretrain.clip_softness = 0.2")
    assert rest is harmonization.Sum and named.gate._schedule.steps == 40 and named.softness == 0.2
    default, rest = curriculum("pretrain.harmonizer = 'mgda'")
    assert rest is harmonization.MGDA and default.gate._schedule.steps == 40
    given, rest = curriculum(
        "pretrain.harmonizer = 'gr'", "pretrain.clip_gate = @GradientCurriculum()", "GradientCurriculum.schedule = 0.1"
    )
    assert rest is harmonization.GradientRealignment and given.gate._schedule.start == pytest.approx(0.1)
    assert config.parse([], tiny_run).build_clip_curriculum() is None


@pytest.mark.parametrize(
    "method, rest", [("cl_sample", harmonization.Sum), ("both_sample", harmonization.GradientRealignment)]
)
def test_the_files_of_the_curriculum_per_clip(method, rest):
    configs = pathlib.Path(__file__).parents[3] / "configs"
    settings = config.parse([str(configs / "demo.gin"), str(configs / f"methods/{method}.gin")], [])
    schedule = settings.build_clip_curriculum().gate._schedule
    assert (schedule.start, schedule.end, schedule.steps) == (-0.3, 0.0, 600)
    assert type(settings.build_harmonizer()) is rest
