import pytest

from experiments import config
from experiments.command_line import BadInput


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
        ("pretrain.harmonizer = 'grr'", r"Unknown method 'grr'\. Known are .*; the nearest is 'gr'"),
        ("pretrain.datasets = ()", r"should name at least one"),
        ("ClipSpec.image_size = 0", r"ClipSpec\.image_size must be a whole number"),
        ("pretrain.steps = ", r"the configuration cannot be used"),
    ],
)
def test_a_wrong_binding_is_explained(tiny_run, binding, message):
    with pytest.raises(BadInput, match=message):
        config.parse([], [*tiny_run, binding])


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
