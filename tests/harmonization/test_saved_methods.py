import json

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization.methods import SAVED_METHODS, make_saved
from harmonization.saved_methods import method_config, method_from_config

pytestmark = pytest.mark.every_python


def _through_a_file(method):
    return json.loads(json.dumps(method_config(method, harmonization.METHODS)))


@pytest.mark.parametrize("name", harmonization.METHODS)
def test_every_method_can_be_written_down(name):
    options = harmonization.METHODS[name].example_options(3)
    config = _through_a_file(harmonization.get(name, **options))
    made = method_from_config(config, harmonization.get)
    assert type(made) is harmonization.METHODS[name] and config["method"] == name
    assert _through_a_file(made) == config and set(config["options"]) == set(options)


def test_options_come_back():
    for schedule in (
        harmonization.LinearSchedule(9, end=0.5),
        harmonization.CosineSchedule(9),
        harmonization.StepSchedule([3, 5], values=(-0.5, 0.0, 0.25)),
        0.25,
    ):
        config = _through_a_file(harmonization.GradientCurriculum(schedule, indicator="dot"))
        assert config["options"].keys() == {"schedule", "indicator"}
        made = method_from_config(config, harmonization.get)
        for step in (0, 4, 20):
            np.testing.assert_array_equal(
                made._threshold(step), harmonization.GradientCurriculum(schedule)._threshold(step)
            )
    config = _through_a_file(harmonization.Reweight(weights=np.array([1.0, 2.0]).tolist()))
    assert config["options"] == {"weights": [1.0, 2.0]}
    inner = _through_a_file(harmonization.CRMOGM(harmonization.CAGrad(c=0.25), 0.5))
    assert inner["options"]["method"] == {"method": "cagrad", "options": {"c": 0.25}}
    assert _through_a_file(method_from_config(inner, harmonization.get)) == inner
    assert _through_a_file(harmonization.CAGrad(np.float32(0.5)))["options"] == {"c": 0.5}
    for numbers in (np.array([1.0, 2.0]), tf.constant([1.0, 2.0])):
        for method, option in (("reweight", "weights"), ("stch", "preferences"), ("famo", "lower_bounds")):
            config = _through_a_file(harmonization.get(method, **{option: numbers}))
            assert config == {"method": method, "options": {option: [1.0, 2.0]}}


def test_a_file_may_name_the_wrapper_that_is_no_method():
    method = harmonization.Significant(harmonization.CRMOGM(harmonization.MGDA()), otherwise=harmonization.Mean())
    config = json.loads(json.dumps(method_config(method, SAVED_METHODS)))
    made = method_from_config(config, make_saved)
    assert type(made) is harmonization.Significant and method_config(made, SAVED_METHODS) == config
    with pytest.raises(ValueError, match="Unknown method 'significant'"):
        harmonization.get("significant", method=method)


def test_what_cannot_be_written_down_says_so():
    class Own(harmonization.Sum):
        pass

    class OwnSchedule(harmonization.ConstantSchedule):
        pass

    assert _through_a_file(Own()) == {"method": None, "class": "Own", "option": None}
    config = _through_a_file(harmonization.CRMOGM(harmonization.GradientCurriculum(OwnSchedule(0.1))))
    assert config == {"method": None, "class": "CRMOGM", "option": "method.schedule"}
    with pytest.raises(ValueError, match=r"'CRMOGM', whose option 'method\.schedule' no file can hold"):
        method_from_config(config, harmonization.get)
    with pytest.raises(ValueError, match="'Own', which is not among `harmonization.METHODS`"):
        method_from_config({"method": None, "class": "Own"}, harmonization.get)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"method": "print", "options": {}}, "Unknown method 'print'"),
        ({"method": ["sum"], "options": {}}, "should be a name and options"),
        ({"method": "sum", "options": {"weights": [1]}}, "Method 'sum' is Sum"),
        ({"method": "sum", "options": "x"}, "The saved options should be a dict. Found 'x'"),
        ({"method": "cl", "options": {"schedule": {"schedule": "eval", "options": {}}}}, "should be a plain value"),
        ({"method": "cl", "options": {"schedule": {"class_name": "Lambda", "config": {}}}}, "should be a plain value"),
        ("sum", "The saved method should be a name and options. Found 'sum'"),
    ],
)
def test_refuses_what_is_no_method(config, message):
    with pytest.raises(ValueError, match=message):
        method_from_config(config, harmonization.get)
