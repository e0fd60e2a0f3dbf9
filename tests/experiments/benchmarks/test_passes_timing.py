"""The table of `experiments.benchmarks.passes`."""

from experiments.benchmarks.passes_timing import DIRECT, METHODS, PASSES, table


def test_a_batch_is_compared_with_as_many_steps_as_it_has_passes():
    times = (DIRECT, [0.5, 0.8]), (PASSES, [10.0, 16.0])
    seconds = {f"{method}, {what}": value for method in METHODS for what, value in times}
    peaks = {f"{method}, {what}": value for method in METHODS for what, value in ((DIRECT, 2e6), (PASSES, 3e6))}
    head, *lines = table(seconds, peaks, passes=16)
    assert head.startswith("16 passes") and [line.split()[0] for line in lines] == ["plain", "harmonized"]
    assert [float(cell) for cell in lines[0].split()[1:]] == [0.5, 10.0, 1.25, 0.8, 16.0, 1.25, 2.0, 3.0, 1.5]
