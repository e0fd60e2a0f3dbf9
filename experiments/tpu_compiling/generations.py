"""What a TPU core of each generation has, and the names of topologies; no TensorFlow, no JAX."""

import dataclasses
import math
import re

GIB = 2**30
_SHAPE = re.compile(r"(\w+):(\d+(?:x\d+){1,2})")


@dataclasses.dataclass(frozen=True)
class Generation:
    """One generation of TPUs, per chip.

    Sources: cloud.google.com/tpu/docs, system architecture (peak, memory, bandwidth, v4 and later); Jouppi et al., "A
    domain-specific supercomputer for training deep neural networks", CACM 2020, table 3 (v2 and v3, clocks). The clocks
    agree with the peaks: cores * matrix units * size^2 * 2 * clock.

    Links: cloud.google.com/tpu/docs for v5p, and for v5e and v6e, of which it counts both directions (400 and 800 GB/s a chip). Of
    v3 it has the all-reduce bandwidth of a pod, 340 TB/s over 1024 chips, which is 2656 Gbit/s a chip; ours is four links of
    656. (The same of v5e and v6e, 51.2 and 102.4 TB/s over 256, is exactly the rate given here.) v2 and v4 are our estimates.

    Attributes:
      cores: TensorCores of a chip.
      memory_gib: Of the chip.
      peak_tflops: bfloat16, all cores.
      bandwidth_gb: GB/s between memory and cores.
      links_gbit: Gbit/s of all links to other chips together, one direction.
      clock_mhz: Of the cores, in which the compiler counts.
      axes: Of a topology, 2 or 3.
      cores_of_device: TensorCores that the compiler joins to one device, which is one replica.
    """

    cores: int
    memory_gib: float
    peak_tflops: float
    bandwidth_gb: float
    links_gbit: float
    clock_mhz: float
    axes: int
    cores_of_device: int = 1


GENERATIONS = {
    "v2": Generation(2, 16, 45.9, 700, 1984, 700, 2),
    "v3": Generation(2, 32, 123.2, 900, 2624, 940, 2),
    "v4": Generation(2, 32, 275, 1228, 2400, 1050, 3),
    "v5e": Generation(1, 16, 197, 819, 1600, 1500, 2),
    "v5p": Generation(2, 95, 459, 2765, 4800, 1750, 3, 2),
    "v6e": Generation(1, 32, 918, 1638, 3200, 1750, 2),
}


@dataclasses.dataclass(frozen=True)
class Topology:
    """An arrangement of chips, such as "v3:8x16".

    Attributes:
      name: As libtpu takes it.
      generation: Name of the generation.
      chips: How many there are.
    """

    name: str
    generation: str
    chips: int

    @property
    def devices(self) -> int:
        """What the compiler takes for devices: cores, or whole chips of v5p. Each is a replica."""
        given = self._given
        return self.chips * given.cores // given.cores_of_device

    @property
    def memory_bytes(self) -> float:
        """Memory of a device."""
        return self._share(self._given.memory_gib) * GIB

    @property
    def peak_flops(self) -> float:
        """Operations per second of a device, in bfloat16."""
        return self._share(self._given.peak_tflops) * 1e12

    @property
    def bandwidth_bytes(self) -> float:
        """Bytes per second between a device and its memory."""
        return self._share(self._given.bandwidth_gb) * 1e9

    @property
    def link_bytes(self) -> float:
        """Bytes per second that a chip can send to other chips."""
        return self._given.links_gbit * 1e9 / 8

    def milliseconds(self, cycles: float) -> float:
        """Returns the time that the compiler's cycles take."""
        return cycles / self._given.clock_mhz / 1e3

    @property
    def _given(self) -> Generation:
        return GENERATIONS[self.generation]

    def _share(self, of_chip):
        return of_chip * self._given.cores_of_device / self._given.cores


def parse_topology(name: str) -> Topology:
    """Reads the name of a topology.

    Raises:
      ValueError: It is not GENERATION:AxB or GENERATION:AxBxC.
    """
    found = _SHAPE.fullmatch(name)
    generation = GENERATIONS.get(found[1]) if found else None
    axes = [int(axis) for axis in found[2].split("x")] if found else []
    if generation is None or len(axes) != generation.axes or min(axes) < 1:
        examples = ", ".join(f"{each}:2x2{'x1' * (given.axes - 2)}" for each, given in GENERATIONS.items())
        raise ValueError(
            f"--topology should be a generation and its chips along each axis, such as {examples}, or v3:8x16 for 256 cores. "
            f"Found {name!r}."
        )
    return Topology(name, found[1], math.prod(axes))
