"""The price of the harmonization on a TPU: which steps are compiled, and what the table says of them."""

import pathlib

import pytest

from experiments.benchmarks import harmonize_pricing
from experiments.running.command_line import BadInput

PROGRAM = pathlib.Path(__file__).parents[1] / "tpu_compiling" / "programs" / "optimized.hlo"
NUMBERS = 4 * 3 + 5


def test_each_way_is_lowered_and_priced(monkeypatch, capsys):
    programs = []

    def compiled(lowered, topology):
        programs.append(lowered)
        memory = dict(argument=0, temp=4 * NUMBERS, generated_code=0, output=0, alias=0)
        return dict(matrix_products=[], flops=0.0, bytes_accessed=2e9, memory=memory), PROGRAM.read_text()

    monkeypatch.setattr(harmonize_pricing, "shapes_of", lambda parameters: [[4, 3], [5]])
    monkeypatch.setattr(harmonize_pricing, "compile_program", compiled)
    monkeypatch.setattr(harmonize_pricing, "check_compiler", lambda topology: None)
    monkeypatch.setattr(harmonize_pricing.environment, "installed_versions", dict)
    harmonize_pricing.report("v3:2x2", [NUMBERS], [2], ["gr"])
    rows = [line.rsplit(maxsplit=5) for line in capsys.readouterr().out.splitlines()[3:]]
    assert [row[0] for row in rows] == ["sum", "gr", "sum, then Adam", "gr, then Adam"]
    assert {(row[2], row[3], row[5]) for row in rows} == {("1.00", "2.00", "1.00")}
    assert harmonize_pricing._ways(["gr"], 2) == {"sum": 3, "gr": 5, "sum, then Adam": 8, "gr, then Adam": 10}
    nodes = [each.nodes for each in programs]
    assert nodes[0] < nodes[1] < nodes[3] and nodes[0] < nodes[2]


@pytest.mark.parametrize("topology, method, message", [("v9:1", "gr", "--topology"), ("v3:2x2", "flat", "`--ways`")])
def test_unknown_topologies_and_methods_are_bad_input(monkeypatch, topology, method, message):
    monkeypatch.setattr(harmonize_pricing.environment, "installed_versions", dict)
    with pytest.raises(BadInput, match=f"{message} should"):
        harmonize_pricing.report(topology, [NUMBERS], [2], [method])
