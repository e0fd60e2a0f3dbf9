"""Whether a step fits, and how many clips would."""

import dataclasses

import pytest

from experiments.tpu_compiling.batch_search import search_most_clips
from experiments.tpu_compiling.generations import GIB
from experiments.tpu_compiling.memory import Memory, estimated_most_clips, memory_of, refused
from experiments.tpu_compiling.result import Compiled

SIZES = {"argument": 2 * GIB, "output": 3 * GIB, "alias": 2 * GIB, "temp": 8 * GIB, "generated_code": GIB // 2}


def test_results_that_take_the_place_of_arguments_need_no_memory():
    memory = memory_of(SIZES, 16 * GIB)
    assert memory.needed == 11.5 * GIB and memory.fits
    assert not memory_of(SIZES | {"temp": 13 * GIB}, 16 * GIB).fits


def test_a_refused_step_does_not_fit():
    memory = refused(24.25 * GIB, 15.48 * GIB, 16 * GIB)
    assert memory.temporaries == 24.25 * GIB and not memory.fits
    assert not refused(15.5 * GIB, 15.48 * GIB, 16 * GIB).fits


@pytest.mark.parametrize("temporaries, clips, most", [(10, 8, 12), (14, 8, 8), (26, 8, 4)])
def test_the_largest_batch_is_estimated_from_what_grows(temporaries, clips, most):
    """Of the temporaries 2 GiB do not grow, and 2 GiB are arguments."""
    memory = Memory(2 * GIB, temporaries * GIB, 0, 16 * GIB)
    assert estimated_most_clips(memory, clips, clip_bytes=0.0, weight_bytes=2 * GIB / 3) == most


def test_the_clips_themselves_are_all_that_grows_with_passes():
    memory = Memory(2 * GIB, 10 * GIB, 0, 16 * GIB)
    assert estimated_most_clips(memory, 32, GIB / 16, 2 * GIB / 3, clips_per_pass=8) == 96
    assert estimated_most_clips(memory, 32, GIB / 15, 2 * GIB / 3, clips_per_pass=8) == 88, "whole passes"


class Machine:
    """Compiles nothing: a step needs 2 GiB and some more per clip."""

    def __init__(self, gib_per_clip: float, wrong_by: float = 1.0):
        self.per_clip, self.wrong_by, self.tried = gib_per_clip, wrong_by, []

    def __call__(self, clips: int) -> Compiled:
        self.tried.append(clips)
        memory = Memory(2 * GIB, self.per_clip * clips * GIB, 0, 16 * GIB)
        most = int(14 / self.per_clip * self.wrong_by)
        compiled = Compiled(clips, memory, None, most, 0, 0, 0, 0.0, 0.0)
        return _Priced(**{field.name: getattr(compiled, field.name) for field in dataclasses.fields(compiled)})


class _Priced(Compiled):
    @property
    def fits(self) -> bool:
        return self.memory.fits


@pytest.mark.parametrize("per_clip, wrong_by", [(1.0, 1.0), (1.0, 1.4), (0.3, 0.7), (3.0, 2.0)])
def test_the_search_closes_in_on_the_largest_batch(per_clip, wrong_by):
    machine = Machine(per_clip, wrong_by)
    trials = search_most_clips(machine, machine(8), trials=12)
    fitting = max(trial.clips for trial in trials if trial.fits)
    assert fitting == int(14 / per_clip)
    assert any(trial.clips == fitting + 1 and not trial.fits for trial in trials)
    assert len(machine.tried) == len(set(machine.tried)), "nothing is compiled twice"


def test_the_search_keeps_to_its_trials():
    machine = Machine(0.001, 0.5)
    assert len(search_most_clips(machine, machine(8), trials=2)) == 3
    assert search_most_clips(machine, machine(8), trials=0) == ()
