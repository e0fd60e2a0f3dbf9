"""The table of compile times: medians of steps in turn, over those of one of them."""

from experiments.benchmarks import compile_timing
from experiments.benchmarks.compile_timing import Compilation, median_compilations, table
from experiments.running.command_line import BadInput


def test_steps_take_turns_and_those_that_cannot_be_built_are_named(monkeypatch):
    asked, seconds = [], iter([3.0, 1.0, 2.0])

    def compiled(files, bindings):
        asked.append(bindings[0])
        if bindings == ["odd"]:
            raise BadInput("not so\nbut so")
        tracing = next(seconds) if bindings == ["sum"] else 4.0
        return Compilation(tracing, 10.0, 20.0, 100)

    monkeypatch.setattr(compile_timing, "_compile", compiled)
    found, refused = median_compilations([], {"sum": ["sum"], "odd": ["odd"], "gr": ["gr"]}, repeats=3)
    assert asked == ["sum", "odd", "gr"] * 3 and refused == {"odd": "not so"}
    assert found["sum"] == (2.0, 10.0, 20.0, 100)
    _, first, last = table(found, reference="sum")
    assert first.split() == ["sum", "100", "2.00", "10.00", "12.00", "1.00", "20.00"]
    assert last.split()[-2] == f"{14 / 12:.2f}"
