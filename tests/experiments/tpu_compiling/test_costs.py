"""Adding up what a program costs."""

import pytest

from experiments.tpu_compiling.costs import Part, Unpriced, price
from experiments.tpu_compiling.generations import parse_topology
from experiments.tpu_compiling.mlir_text import MatrixProduct

TOPOLOGY = parse_topology("v3:2x2")
PRODUCTS = [
    MatrixProduct("vatt/video/encoder/block_0/self_attention/MatMul", 1, 8, 128, 100),
    MatrixProduct("vatt/text_features/MatMul", 1, 8, 128, 128),
]
CYCLES = 50 + 2000 + 70 + 5 * 1000 + 300 + 400


@pytest.fixture
def costs(program):
    """Of the small program on a v3 core."""
    return price(program, PRODUCTS, flops=1e6, bytes_accessed=2e6, topology=TOPOLOGY)


def test_the_time_is_the_sum_of_the_compilers_cycles(costs):
    assert costs.milliseconds == pytest.approx(CYCLES / 940e3)
    assert sum(part.milliseconds for part in costs.parts.values()) == pytest.approx(costs.milliseconds)
    assert costs.peak_share == pytest.approx(1e6 / (CYCLES / 940e6 * 61.6e12))


def test_parts_and_modalities_have_their_time_and_their_products(costs):
    assert costs.parts["norms", "text"] == Part(pytest.approx(5000 / 940e3), 0)
    assert costs.parts["optimizer", "all"].milliseconds == pytest.approx(700 / 940e3)
    assert costs.parts["attention products", "video"].flops == 2 * 8 * 128 * 100
    assert costs.parts["head and losses", "text"] == Part(0, 2 * 8 * 128 * 128)
    assert list(costs.by(0))[0] == "norms" and costs.by(1)["text"].flops == 2 * 8 * 128 * 128


def test_what_has_no_cycles_is_named_with_its_bytes(costs):
    sizes = {"rng-bit-generator": 256 * 128, "gather or scatter": 8 * 128, "reshape": 16 * 128}
    assert costs.unpriced == {
        name: Unpriced(1, 4 * numbers, pytest.approx(4 * numbers / 450e9 * 1e3)) for name, numbers in sizes.items()
    }


def test_branches_that_are_seldom_taken_are_named_with_their_time(seldom_program, costs):
    seldom = MatrixProduct("vatt/video/encoder/block_0/self_attention/seldom/MatMul", 1, 8, 128, 64)
    found = price(seldom_program, [*PRODUCTS, seldom], flops=1e6, bytes_accessed=2e6, topology=TOPOLOGY)
    assert found.unpriced["seldom taken branches"] == Unpriced(1, 4 * 400, pytest.approx(700 / 940e3))
    assert found.milliseconds == pytest.approx(costs.milliseconds - 700 / 940e3)
    assert found.flops == 1e6 - 2 * 8 * 128 * 64 and found.padding.products == costs.padding.products


def test_collectives_are_counted_in_bytes_and_bounded_by_the_links(costs):
    size = 4 * 400 + 2 * 300
    assert (costs.collectives.count, costs.collectives.bytes) == (1, size)
    assert costs.collectives.least_milliseconds == pytest.approx(1e3 * 2 * 3 / 4 * size / (2624e9 / 8))


def test_one_chip_sends_nothing_to_others(program):
    assert price(program, [], 0.0, 0.0, parse_topology("v3:1x1")).collectives.least_milliseconds == 0


def test_padding_is_a_share_of_the_padded(costs):
    assert costs.padding.products == pytest.approx(1 - 228 / 256)
    # What is written, [4, 100] each: one of bfloat16, seven of float32, and one whose fastest axis is the short one, which
    # fills 128 places; then [4, 300], [256, 128] and [16, 128] random words, [8, 128] gathered, [16, 128] reshaped, 300 numbers.
    plain = 2 * 400 + 8 * 4 * 400 + 4 * 1200 + 4 * 296 * 128 + 2 * 300
    padded = 2 * 512 + 7 * 4 * 512 + 4 * 128 * 100 + 4 * 4 * 384 + 4 * 296 * 128 + 2 * 512
    assert costs.padding.arrays == pytest.approx(1 - plain / padded)
