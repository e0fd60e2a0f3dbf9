import pytest
import tensorflow as tf

import harmonization
from experiments.pretraining import assembly
from experiments.pretraining.config import Pretrain
from experiments.running.command_line import BadInput

REFUSED = {
    "dgl": "fusion",
    "ogm_ge": "scores",
    "famo": "should not need the losses after the step.*Found FAMO",
}


def _method(name):
    return harmonization.get(name, **harmonization.METHODS[name].example_options())


def _build(name, groups=("all",), strategy=None, **settings):
    config = Pretrain(model=lambda **_: None, warmup_steps=0, **settings)
    method = _method(name)
    assembly.build_harmonizer(method, groups, config, strategy or tf.distribute.get_strategy())
    return method


@pytest.mark.parametrize("name", [name for name in harmonization.METHODS if name not in REFUSED])
@pytest.mark.parametrize("group", ["all", "encoder"])
def test_a_method_is_built_and_tried(name, group):
    method, untried = _build(name, (group,)), _method(name)
    untried.build(2, (group,))
    assert method.variables or name not in ("gradvac", "gradnorm")
    assert all((value == start).numpy().all() for value, start in zip(method.variables, untried.variables, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_what_pre_training_cannot_serve_is_refused(name):
    with pytest.raises(BadInput, match=REFUSED[name]):
        _build(name)


def test_a_method_that_needs_every_variables_gram_matrix_is_refused_a_cheaper_one():
    with pytest.raises(BadInput, match="MMPareto with scope='tensor' needs the Gram matrix of every variable"):
        _build("mmpareto", gram="features")
    _build("gr", gram="features")


def test_weights_for_other_objectives_are_refused():
    with pytest.raises(BadInput, match=r"one entry per objective \(2\)"):
        method = harmonization.Reweight((1, 2, 3))
        assembly.build_harmonizer(method, ("all",), None, tf.distribute.get_strategy())


def test_a_method_that_needs_parts_is_tried_with_them():
    config = Pretrain(model=lambda **_: None, gradient_parts=4)
    method = harmonization.Significant(harmonization.GradVac())
    assembly.build_harmonizer(method, ("all",), config, tf.distribute.get_strategy())


@pytest.mark.parametrize(
    "replicas, settings, pattern",
    [
        (2, dict(batch_size=96, gradient_parts=6), "an even number for each of 2 replicas"),
        (1, dict(batch_size=24, gradient_parts=4), "multiple of 4 clips of the batch of 24. Found 4"),
        (
            1,
            dict(batch_size=96, gradient_parts=4, clips_per_pass=16),
            "the clips of each part, 96 over 4 = 24. Found 16",
        ),
        (2, dict(batch_size=96, gradient_parts=4, clips_per_pass=24), None),
        (1, dict(batch_size=96, gradient_parts=4, clips_per_pass=48), None),
        (2, dict(batch_size=96, gradient_parts=4, clips_per_pass=8), None),
    ],
)
def test_parts_are_whole_passes(replicas, settings, pattern):
    config = Pretrain(model=lambda **_: None, **settings)
    if pattern is None:
        return assembly.check_passes(config, replicas)
    with pytest.raises(BadInput, match=pattern):
        assembly.check_passes(config, replicas)


def test_state_and_harmonizing_on_every_replica_do_not_go_together(mirrored):
    with pytest.raises(BadInput, match="a method without state.*Found GradVac"):
        _build("gradvac", strategy=mirrored(2), all_reduce="before")
    _build("gr", strategy=mirrored(2), all_reduce="before")
    _build("gradvac", all_reduce="before")
