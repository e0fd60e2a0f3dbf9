"""What a compiled step costs: its memory, its time, part by part. No TensorFlow, no JAX."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from experiments.tpu_compiling.generations import Topology
from experiments.tpu_compiling.mlir_text import MatrixProduct
from experiments.tpu_compiling.optimized import Instruction, Program, is_seldom
from experiments.tpu_compiling.parts import Attribution, is_collective, modality_of, part_of

# What takes time without being priced, and what it is called. Of the rest that has no cycles nothing is left to do at run time,
# or next to nothing. A fusion without cycles is a gather or a scatter; a reshape that is left moves numbers to other tiles.
_SAME = ("rng-bit-generator", "sort", "reshape", "custom-call", "fft", "cholesky", "triangular-solve")
_UNPRICED = {name: name for name in _SAME} | dict.fromkeys(("gather", "scatter", "fusion"), "gather or scatter")
_NO_TRAFFIC = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call")
_MATRIX_UNIT = {"v6e": 256}
_SELDOM = "seldom taken branches"


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the step, on one device.

    Attributes:
      milliseconds: The compiler's estimate.
      flops: Of its matrix products, two per multiply-add.
    """

    milliseconds: float
    flops: float


@dataclasses.dataclass(frozen=True)
class Unpriced:
    """Operations of one kind that are not in the estimate.

    Attributes:
      count: How many run in a step.
      bytes: What they write.
      least_milliseconds: The time that writing it takes, or sending it to other chips. Of branches that are seldom taken, how
        much longer than the others they are estimated to take.
    """

    count: int
    bytes: float
    least_milliseconds: float


@dataclasses.dataclass(frozen=True)
class Padding:
    """What is added to fill whole tiles, as shares of the whole.

    Attributes:
      arrays: Of the bytes of all arrays that the step writes.
      products: Of the operations of the matrix units, counted from the shapes.
    """

    arrays: float
    products: float


@dataclasses.dataclass(frozen=True)
class Costs:
    """What one device does in one step.

    Attributes:
      milliseconds: Sum of the compiler's estimates.
      flops: Operations that the compiler counts, less those of branches that are seldom taken.
      bytes_accessed: Bytes that the compiler counts as read or written.
      peak_share: `flops` over what the device could do in that time.
      parts: By part and modality, for instance ("softmax", "video").
      unpriced: By kind of operation; for these the compiler has no estimate, or a branch is seldom taken.
      collectives: The same for what travels between the replicas.
      padding: See `Padding`.
    """

    milliseconds: float
    flops: float
    bytes_accessed: float
    peak_share: float
    parts: Mapping[tuple[str, str], Part]
    unpriced: Mapping[str, Unpriced]
    collectives: Unpriced
    padding: Padding

    def by(self, which: int) -> dict[str, Part]:
        """Returns the sums by part (0) or by modality (1), the longest first."""
        sums = {}
        for key, part in self.parts.items():
            before = sums.get(key[which], Part(0.0, 0.0))
            sums[key[which]] = Part(before.milliseconds + part.milliseconds, before.flops + part.flops)
        return dict(sorted(sums.items(), key=lambda item: -item[1].milliseconds))


def price(
    program: Program, products: Sequence[MatrixProduct], flops: float, bytes_accessed: float, topology: Topology
) -> Costs:
    """Adds up what a program costs on one device of a topology.

    Args:
      program: As optimized.
      products: The matrix products of the program before that.
      flops: The compiler's count.
      bytes_accessed: Likewise.
      topology: Where it is to run.
    """
    executed = list(program.executed())
    flops -= sum(each.flops for each in products if is_seldom(each.name))
    products = [each for each in products if not is_seldom(each.name)]
    cycles = sum(times * (each.cycles or 0) for each, times in executed)
    seconds = topology.milliseconds(cycles) / 1e3
    unit = _MATRIX_UNIT.get(topology.generation, 128)
    padded = sum(product.padded_flops(unit) for product in products)
    return Costs(
        milliseconds=1e3 * seconds, flops=flops, bytes_accessed=bytes_accessed,
        peak_share=flops / (seconds * topology.peak_flops) if seconds else 0.0,
        parts=_parts(program, executed, products, topology),
        unpriced=_unpriced(executed, topology) | _seldom(program, executed, topology), collectives=_collectives(executed, topology),
        padding=Padding(_padded_share(executed), 1 - sum(each.flops for each in products) / padded if padded else 0.0),
    )  # fmt: skip


def _parts(program, executed, products, topology):
    milliseconds, flops = collections.Counter(), collections.Counter()
    belongs_to = Attribution(program)
    for instruction, times in executed:
        if instruction.cycles:
            milliseconds[belongs_to(instruction)] += topology.milliseconds(times * instruction.cycles)
    for product in products:
        flops[part_of(product.name), modality_of(product.name)] += product.flops
    return {key: Part(milliseconds[key], flops[key]) for key in sorted({*milliseconds, *flops})}


def _unpriced(executed, topology):
    found = collections.defaultdict(list)
    for instruction, times in executed:
        if instruction.operation in _UNPRICED and instruction.cycles is None:
            found[_UNPRICED[instruction.operation]].append((instruction, times))
    return {name: _sum_up(some, topology.bandwidth_bytes) for name, some in sorted(found.items())}


def _seldom(program, executed, topology):
    found = [(each, times) for each, times in executed if each.branches and is_seldom(each.source)]
    if not found:
        return {}
    cycles = [[program.cycles(branch) for branch in each.branches] for each, _ in found]
    longer = sum(times * (max(some) - min(some)) for (_, times), some in zip(found, cycles, strict=True))
    sums = _sum_up(found, topology.bandwidth_bytes)
    return {_SELDOM: dataclasses.replace(sums, least_milliseconds=topology.milliseconds(longer))}


def _collectives(executed, topology):
    """In a ring of n, all but 1/n of a sum travels twice. The cores of a chip add up theirs first."""
    some = [(each, times) for each, times in executed if is_collective(each)]
    others = (topology.chips - 1) / topology.chips
    summed = _sum_up(some, topology.link_bytes)
    return dataclasses.replace(summed, least_milliseconds=2 * others * summed.least_milliseconds)


def _sum_up(some: Sequence[tuple[Instruction, int]], bytes_per_second: float) -> Unpriced:
    size = sum(times * each.bytes for each, times in some)
    return Unpriced(sum(times for _, times in some), size, 1e3 * size / bytes_per_second)


def _padded_share(executed):
    written = [
        (times, array)
        for each, times in executed if each.operation not in _NO_TRAFFIC
        for array in each.arrays
    ]  # fmt: skip
    padded = sum(times * array.padded_bytes for times, array in written)
    return 1 - sum(times * array.bytes for times, array in written) / padded if padded else 0.0
