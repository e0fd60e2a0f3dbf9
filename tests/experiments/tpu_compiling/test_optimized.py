"""Reading an optimized program."""

import collections

import pytest

from experiments.tpu_compiling.optimized import Array, parse_program


def test_every_line_of_the_entry_is_read(program):
    entry = {each.name: each for each in program.computations[program.entry]}
    fusion, reduced = entry["fusion.1"], entry["all-reduce.1"]
    assert (fusion.operation, fusion.operands, fusion.cycles) == ("fusion", ("copy.2", "XLA_Args.1"), 2000)
    assert fusion.source == "vatt/video/encoder/block_0/self_attention/Softmax"
    assert fusion.arrays == (Array("f32", (4, 300), (1, 0), (4, 128)),)
    assert [array.shape for array in reduced.arrays] == [(4, 100), (300,)] and reduced.bytes == 4 * 400 + 2 * 300
    assert entry["while.1"].trips == 5 and entry["conditional.1"].branches == ("kept.1", "skipped.1")
    assert entry["constant.3"].cycles is None and entry["constant.3"].arrays[0].shape == ()


def test_a_loop_runs_its_trips_and_a_conditional_its_longest_branch(program):
    times = collections.Counter({each.name: count for each, count in program.executed()})
    assert times["fusion.3"] == 5 and times["fusion.1"] == 1
    assert times["sqrt.1"] == 1 and "argument.2" not in times
    assert "multiply.3" not in times, "the fusion has the cycles"


def test_a_branch_that_is_seldom_taken_does_not_count(seldom_program):
    executed = {instruction.name for instruction, _ in seldom_program.executed()}
    assert "sqrt.1" not in executed and "conditional.1" in executed


def test_a_fusion_holds_what_is_fused(program):
    fusion = next(each for each in program.computations[program.entry] if each.name == "fusion.1")
    assert {each.operation for each in program.fused(fusion)} == {"parameter", "convolution", "exponential"}


@pytest.mark.parametrize(
    "array, size, padded",
    [
        (Array("bf16", (4, 785, 64), (2, 1, 0), (8, 128)), 2 * 4 * 785 * 64, 2 * 4 * 792 * 128),
        (Array("bf16", (4, 785, 64), (1, 2, 0), (8, 128)), 2 * 4 * 785 * 64, 2 * 4 * 896 * 64),
        (Array("f32", (300,), (0,), (1024,)), 1200, 4096),
        (Array("f32", (), (), (256,)), 4, 4),
        (Array("pred", (3, 5), (1, 0), ()), 15, 15),
        (Array("u64", (2,), (0,), (128,)), 16, 1024),
    ],
)
def test_an_array_is_padded_to_whole_tiles(array, size, padded):
    assert (array.bytes, array.padded_bytes) == (size, padded)


def test_a_text_without_an_entry_is_refused():
    with pytest.raises(ValueError, match="should have an ENTRY"):
        parse_program("HloModule empty\n")
