"""Reads the program that XLA for TPUs made: the text of an optimized HLO module. No TensorFlow, no JAX."""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping

_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_RESULT = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = ")
_OPERATION = re.compile(r" ?([a-z][\w\-]*)\(")
_NAME = re.compile(r'op_name="([^"]*)"')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CALLED = re.compile(r"(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_ARRAY = re.compile(r"(pred|bf16|[sufc]\d+\w*)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
_TILE = re.compile(r"T\(([\d,]+)\)")
_BYTES = {"pred": 1, "bf16": 2, "s4": 0.5, "u4": 0.5, "c64": 8, "c128": 16}


@dataclasses.dataclass(frozen=True)
class Array:
    """An array as the program holds it.

    Attributes:
      kind: "f32", "bf16", ...
      shape: Its sizes.
      order: Axes, the one that runs fastest first.
      tile: Sizes to which the fastest axes are padded, the slower first; () for none.
    """

    kind: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    tile: tuple[int, ...]

    @property
    def bytes(self) -> float:
        """What the numbers take."""
        return _size(self.kind) * math.prod(self.shape)

    @property
    def padded_bytes(self) -> float:
        """What they take with the padding to whole tiles."""
        sizes = [self.shape[axis] for axis in self.order]  # the fastest first
        for place, tile in enumerate(reversed(self.tile)):
            if place < len(sizes):
                sizes[place] = -(-sizes[place] // tile) * tile
        return _size(self.kind) * math.prod(sizes)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of the program.

    Attributes:
      name: Its own.
      operation: "fusion", "copy", "all-reduce", ...
      arrays: What comes out; several of a tuple.
      operands: Names of what goes in.
      source: Name of the TensorFlow operation it comes from, or "".
      cycles: The compiler's estimate; `None` where it gives none.
      called: Names of computations: of a fusion what is fused, of a loop what is repeated.
      branches: Of a conditional, of which one is taken.
      trips: How often a loop's body runs; 1 where the compiler does not know.
    """

    name: str
    operation: str
    arrays: tuple[Array, ...]
    operands: tuple[str, ...]
    source: str
    cycles: int | None
    called: tuple[str, ...]
    branches: tuple[str, ...]
    trips: int

    @property
    def bytes(self) -> float:
        """Of all that comes out."""
        return sum(array.bytes for array in self.arrays)


@dataclasses.dataclass(frozen=True)
class Program:
    """An optimized module.

    Attributes:
      computations: Name to instructions, in the order in which they run.
      entry: Name of the one that begins.
    """

    computations: Mapping[str, tuple[Instruction, ...]]
    entry: str

    def executed(self, computation: str | None = None, times: int = 1) -> Iterator[tuple[Instruction, int]]:
        """Yields what runs and how often; of a conditional the branch that takes longest, or the other if that is seldom taken."""
        for instruction in self.computations[computation or self.entry]:
            yield instruction, times
            if instruction.branches:
                choose = min if is_seldom(instruction.source) else max
                yield from self.executed(choose(instruction.branches, key=self.cycles), times)
            elif instruction.operation in ("while", "call", "async-start"):
                for called in instruction.called:
                    yield from self.executed(called, times * instruction.trips)

    def fused(self, instruction: Instruction) -> Iterator[Instruction]:
        """Yields what is inside a fusion, and inside the fusions in it."""
        if instruction.operation == "fusion":
            for called in instruction.called:
                for inner in self.computations[called]:
                    yield inner
                    yield from self.fused(inner)

    @functools.cached_property
    def cycles(self) -> Callable[[str], int]:
        """Returns the compiler's estimate for all that a computation, by its name, executes."""
        known = {}

        def cycles(computation):
            if computation not in known:
                known[computation] = sum(times * (each.cycles or 0) for each, times in self.executed(computation))
            return known[computation]

        return cycles


def is_seldom(name: str) -> bool:
    """Whether a TensorFlow operation belongs to a conditional whose costly branch the model says is seldom taken."""
    return re.search(r"(?:^|/)seldom(?:_\d+)?(?:/|$)", name) is not None


def parse_program(text: str) -> Program:
    """Reads a module's text.

    Raises:
      ValueError: It has no entry.
    """
    computations, entry, current = {}, "", None
    for line in text.splitlines():
        if header := _HEADER.match(line):
            current = computations.setdefault(header[2], [])
            entry = header[2] if header[1] else entry
        elif current is not None and (result := _RESULT.match(line)):
            current.append(_instruction(result[1], line[result.end() :]))
    if not entry:
        raise ValueError("An optimized HLO module should have an ENTRY computation. Found none.")
    return Program({name: tuple(lines) for name, lines in computations.items()}, entry)


def _instruction(name, rest):
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    operation = _OPERATION.match(rest, end)
    inside = _closing(rest, operation.end() - 1)
    attributes = rest[inside:]
    source, cycles, trips, branches = (pattern.search(attributes) for pattern in (_NAME, _CYCLES, _TRIPS, _BRANCHES))
    called = tuple(_CALLED.findall(attributes))
    conditional = operation[1] == "conditional"
    branches = tuple(re.findall(r"[\w.\-]+", branches[1])) if branches else called if conditional else ()
    return Instruction(
        name, operation[1], _arrays(rest[:end]), tuple(re.findall(r"%([\w.\-]+)", rest[operation.end() : inside])),
        source[1] if source else "", int(cycles[1]) if cycles else None, () if conditional else called, branches,
        int(trips[1]) if trips else 1,
    )  # fmt: skip


def _closing(text, start):
    """Returns where the parenthesis that opens at `start` closes."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if not depth:
            return place
    raise ValueError(f"A line of an HLO module should close its parentheses. Found {text[:80]!r}.")


def _arrays(shape):
    return tuple(_array(*found.groups()) for found in _ARRAY.finditer(shape))


def _array(kind, sizes, order, layout):
    tile = _TILE.search(layout or "")
    shape = _numbers(sizes)
    return Array(kind, shape, _numbers(order) or tuple(reversed(range(len(shape)))), _numbers(tile[1]) if tile else ())


def _numbers(text):
    return tuple(int(number) for number in (text or "").split(",") if number)


def _size(kind):
    if kind in _BYTES:
        return _BYTES[kind]
    return int(re.match(r"[suf](\d+)", kind)[1]) / 8
