"""Tables, page and JSON of a compiled step."""

import dataclasses
import json

import pytest

from experiments.tpu_compiling import tables
from experiments.tpu_compiling.costs import price
from experiments.tpu_compiling.generations import GIB, parse_topology
from experiments.tpu_compiling.memory import Memory, refused
from experiments.tpu_compiling.mlir_text import MatrixProduct
from experiments.tpu_compiling.page import build_page
from experiments.tpu_compiling.result import Compiled, Result, Trial

PRODUCTS = [MatrixProduct("vatt/video/encoder/block_0/self_attention/MatMul", 1, 8, 128, 100)]


@pytest.fixture
def result(program) -> Result:
    """Two variants, of which the second is a little larger."""
    costs = price(program, PRODUCTS, 1e6, 2e6, parse_topology("v3:2x2"))
    one = Compiled(8, Memory(2 * GIB, 8 * GIB, 0.0, 16 * GIB), costs, 14, 1234, 5, 4, 3.0, 60.0)
    other = dataclasses.replace(one, memory=Memory(2 * GIB, 15 * GIB, 0.0, 16 * GIB), most_clips=7)
    return Result(
        "v3:2x2", 8, {"jax": "1.2"}, "pretrain.steps = <3>", None, {"configured": one, "plain": other},
        (Trial(7, GIB, True),),
    )  # fmt: skip


def test_a_model_cut_short_is_named(result):
    assert tables.summary(result)[0][0] == "v3:2x2, 8 replicas, 8 clips each"
    shortened = dataclasses.replace(result, blocks=2)
    assert tables.summary(shortened)[0][0] == "v3:2x2, 8 replicas, 8 clips each, 2 blocks of each encoder"


def test_a_variant_that_does_not_fit_is_told(result):
    assert [each.fits for each in result.variants.values()] == [True, False] and not result.fits
    rows = {row[0]: row[1:] for row in tables.summary(result)}
    assert rows["memory"] == ["fits", "does not fit"]
    assert rows["needed / there is, GiB"] == ["10.00 / 16", "17.00 / 16"]
    assert rows["random generators (the device's own)"] == ["5 (4)"] * 2


def test_parts_stand_next_to_each_other(result):
    head, *rows = tables.by_part(result, 0)
    assert head == ["part", "configured: ms", "share", "TFLOP", "of peak", "plain: ms", "share", "TFLOP", "of peak"]
    assert rows[0][0] == "norms" and rows[0][1:5] == rows[0][5:]
    products = next(row for row in rows if row[0] == "attention products")
    assert products[3] == "0.000" and products[4] == f"{204800 / (2050 / 940e6 * 61.6e12):.0%}"
    assert {len(row) for row in rows} == {9}
    assert [row[0] for row in tables.unpriced(result.variants)[1:3]] == ["configured", "configured"]


def test_the_page_has_everything_and_needs_nothing(result):
    page = build_page(result)
    assert page.count("<svg") == 3 and "http-equiv" not in page and "<script" not in page
    for text in ("does not fit", "norms", "rng-bit-generator", "pretrain.steps = &lt;3&gt;", "compiled", "v6e"):
        assert text in page


def test_a_step_that_the_compiler_refuses_has_a_page_too(result):
    short = dataclasses.replace(
        result.variants["plain"],
        memory=refused(24 * GIB, 15 * GIB, 16 * GIB),
        costs=None,
        generators=None,
        compile_seconds=None,
    )
    result = dataclasses.replace(result, variants={"plain": short}, trials=())
    page = build_page(result)
    assert tables.REFUSED in page and page.count("<svg") == 1 and "--batch_trials" in page
    assert json.loads(json.dumps(result.as_json()))["variants"]["plain"]["costs"] is None
    assert tables.summary(result)[-1] == ["compiling, s", "-"]


def test_the_json_holds_the_figures(result):
    found = json.loads(json.dumps(result.as_json()))
    one = found["variants"]["configured"]
    assert one["fits"] and one["memory_bytes"]["needed"] == 10 * GIB and found["trials"][0]["clips"] == 7
    parts = one["costs"]["parts"]
    assert sum(part["milliseconds"] for part in parts) == pytest.approx(one["costs"]["milliseconds"])
    assert one["costs"]["milliseconds_per_clip"] == pytest.approx(one["costs"]["milliseconds"] / 8)
    assert {"part", "modality", "milliseconds", "flops"} == set(parts[0])


def test_the_printed_table_is_aligned():
    assert tables.as_text([["a", "bc"], ["def", "1"]]) == "a    bc\ndef   1"
