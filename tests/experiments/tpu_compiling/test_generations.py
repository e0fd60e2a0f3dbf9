"""Generations of TPUs, and the names of topologies."""

import pytest

from experiments.tpu_compiling.generations import GENERATIONS, GIB, parse_topology


@pytest.mark.parametrize(
    "name, devices",
    [("v2:2x2", 8), ("v3:8x16", 256), ("v4:2x2x1", 8), ("v5e:4x4", 16), ("v5p:2x2x1", 4), ("v6e:1x1", 1)],
)
def test_a_topology_has_its_devices(name, devices):
    assert parse_topology(name).devices == devices


@pytest.mark.parametrize("name", ["", "v3", "v3-8", "v3:2", "v3:2x2x1", "v4:2x2", "v3:0x2", "v9:2x2", "v3:2x2 "])
def test_other_names_are_refused_with_examples(name):
    with pytest.raises(ValueError, match=r"--topology should be .* v3:2x2, v4:2x2x1"):
        parse_topology(name)


def test_a_v3_core_has_what_the_sources_say():
    core = parse_topology("v3:2x2")
    assert core.memory_bytes == 16 * GIB and core.peak_flops == pytest.approx(61.6e12)
    assert core.bandwidth_bytes == 450e9 and core.milliseconds(940e6) == pytest.approx(1000)


def test_a_v5p_device_is_a_whole_chip():
    device = parse_topology("v5p:2x2x1")
    assert device.memory_bytes == 95 * GIB and device.peak_flops == pytest.approx(459e12)


@pytest.mark.parametrize(
    "name, units, size",
    [("v2", 1, 128), ("v3", 2, 128), ("v4", 4, 128), ("v5e", 4, 128), ("v5p", 4, 128), ("v6e", 4, 256)],
)
def test_clocks_agree_with_peaks(name, units, size):
    one = GENERATIONS[name]
    assert one.cores * units * size**2 * 2 * one.clock_mhz * 1e6 == pytest.approx(one.peak_tflops * 1e12, rel=5e-3)
