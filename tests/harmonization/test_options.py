import copy
import inspect

import pytest
import tensorflow as tf

import harmonization


def test_methods_and_schedules_remember_what_they_were_made_with():
    schedule = harmonization.LinearSchedule(9, end=0.5)
    assert schedule.options == {"steps": 9, "end": 0.5}
    assert harmonization.Both(schedule).options == {"schedule": schedule}
    assert harmonization.Sum().options == {}
    assert copy.deepcopy(harmonization.CAGrad(c=0.25)).options == {"c": 0.25}


def test_signatures_stay_those_of_the_constructors():
    assert list(inspect.signature(harmonization.CAGrad).parameters) == ["c", "rescale", "name"]
    assert inspect.getfullargspec(harmonization.CAGrad.__init__).args == ["self", "c", "rescale", "name"]
    assert list(inspect.signature(harmonization.Sum).parameters) == ["name"]
    assert tf.function(harmonization.LinearSchedule(10, start=-1.0))(tf.constant(5)) == -0.5


def test_a_wrong_argument_is_refused_as_ever():
    with pytest.raises(TypeError, match="unexpected keyword argument 'd'"):
        harmonization.CAGrad(d=1.0)
