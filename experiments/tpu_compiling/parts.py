"""Which part of the training step an operation belongs to, from its name. No TensorFlow, no JAX."""

import re
from collections.abc import Iterator

from experiments.tpu_compiling.optimized import Instruction, Program

MODALITIES = ("video", "audio", "text")
ALL = "all"
"""In place of a modality: what serves all, or none."""
_COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_MODALITY = re.compile(r"(?:^|/)(video|audio|text)(?:_embedding|_features)?(?:_\d+)?/")
_BLOCK = r"encoder(?:_\d+)?/block_\d+(?:_\d+)?/"
# The first that matches wins.
_PATTERNS = (
    ("collectives", r"XlaAllReduce|XlaReplicaId|XlaDynamicUpdateSlice"),
    ("frame finishing", r"(?:^|/)finish_clips(?:_\d+)?/"),
    (
        "random numbers",
        r"[Ss]tateless_?[Rr]andom|stateless_dropout|[Ss]tateless_?[Uu]niform|RngBitGenerator|fold_in|(?:Left|Right)Shift|Bitwise",
    ),
    ("optimizer", r"Adam|(?:^|/)cond(?:_\d+)?(?:/|$)"),
    ("Gram", r"(?:^|/)gram(?:_\d+)?/"),
    ("update", r"(?:^|/)weighted_sum(?:_\d+)?/"),
    ("norms", r"layer_normalization|rms_norm|batch_normalization"),
    ("softmax", r"attention(?:_\d+)?/(?:.*/)?(?:Softmax|softmax|Cast|Select|add|Max|Exp|Sum)"),
    ("attention projections", r"attention(?:_\d+)?/dense"),
    ("attention products", r"attention(?:_\d+)?/"),
    ("feed-forward", _BLOCK),
    ("patching", r"(?:video|audio|text)_embedding|UnsortedSegmentSum"),
    ("head and losses", r"_head|_features|losses|contrastive"),
)
_COMPILED = tuple((part, re.compile(pattern)) for part, pattern in _PATTERNS)
_ARGUMENTS = "XLA_Args"  # the name of all that enters the program
REST = "rest"
PARTS = (
    "frame finishing", "patching", "attention projections", "attention products", "softmax", "feed-forward", "norms",
    "random numbers", "head and losses", "Gram", "update", "optimizer", "collectives", REST,
)  # fmt: skip


def part_of(name: str) -> str:
    """Returns the part that a TensorFlow operation belongs to, such as "softmax"."""
    return next((part for part, pattern in _COMPILED if pattern.search(name)), REST)


def modality_of(name: str) -> str:
    """Returns the modality whose tower a TensorFlow operation belongs to, or "all"."""
    found = _MODALITY.search(name)
    return found[1] if found else ALL


def is_collective(instruction: Instruction) -> bool:
    """Whether the instruction talks to other replicas; the second half of one that is split does not count."""
    operation = instruction.operation.removesuffix("-start")
    return operation in _COLLECTIVES


class Attribution:
    """Says which part each instruction of a program belongs to.

    A fusion belongs where its matrix product does, if it has one, for that takes the time; where random bits are drawn in
    it, to the random numbers; otherwise where its result does. What has no name (copies, mostly) belongs where what it is
    made for does, or else what it is made of.

    Args:
      program: An optimized program.
    """

    def __init__(self, program: Program):
        self._program, self._names = program, {}
        for computation in program.computations.values():
            self._names |= _names(computation)

    def __call__(self, instruction: Instruction) -> tuple[str, str]:
        """Returns the part and the modality."""
        if is_collective(instruction):
            return "collectives", ALL
        name = self._name(instruction)
        inside = {each.operation for each in (instruction, *self._program.fused(instruction))}
        if "rng-bit-generator" in inside:
            return "random numbers", modality_of(name)
        return part_of(name), modality_of(name)

    def _name(self, instruction):
        products = [each.source for each in self._program.fused(instruction) if each.operation == "convolution"]
        named = [name for name in products if name]
        return named[0] if named else self._names[instruction.name]


def _names(computation):
    """Returns the name of the TensorFlow operation behind each instruction; see `Attribution`."""
    names = {each.name: "" if each.source == _ARGUMENTS else each.source for each in computation}
    users = {}
    for each in computation:
        for operand in each.operands:
            users.setdefault(operand, []).append(each)
    for each in reversed(computation):  # users first
        names[each.name] = names[each.name] or _first(names[user.name] for user in users.get(each.name, ()))
    for each in computation:
        names[each.name] = names[each.name] or _first(names.get(operand, "") for operand in each.operands)
    return names


def _first(names: Iterator[str]) -> str:
    return next((name for name in names if name), "")
