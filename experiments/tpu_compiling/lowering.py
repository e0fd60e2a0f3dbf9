"""From a training step to XLA's program for one replica."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import tensorflow as tf

from experiments.tpu_compiling.replica_context import one_of

_DRAWS = ("StatelessRandomUniformV2", "StatelessRandomUniformIntV2", "StatelessRandomUniformFullIntV2",
          "StatelessRandomNormalV2", "StatelessTruncatedNormalV2", "StatelessShuffle")  # fmt: skip
_AUTO_SELECT = 3  # the number of "auto_select" in an operation's input `alg`, which is its last


@dataclasses.dataclass(frozen=True)
class Lowered:
    """A step as XLA takes it.

    Attributes:
      program: A serialized HLO module.
      fixed_generators: Names of the operations whose generator the code names, as they stand in the program's locations.
        All others draw from the device's own.
      nodes: Operations of the TensorFlow graph, those of called functions included.
    """

    program: bytes
    fixed_generators: tuple[str, ...]
    nodes: int


def lower(step: Callable[[dict[str, tf.Tensor]], object], clips: Mapping[str, tf.Tensor], replicas: int) -> Lowered:
    """Lowers one replica's step.

    Args:
      step: Takes a replica's clips, as `HarmonizedTrainer.replica_step` does.
      clips: Tensors, or specifications of tensors, of one replica's clips.
      replicas: Cores that train together.
    """
    names = list(clips)
    specs = [tf.TensorSpec(value.shape, value.dtype) for value in clips.values()]
    # Positional: the compiler's IR cannot be asked for with a dictionary.
    function = tf.function(
        lambda *arrays: step(dict(zip(names, arrays, strict=True))), autograph=False, jit_compile=True
    )
    with one_of(replicas):
        graph = function.get_concrete_function(*specs).graph
        program = function.experimental_get_compiler_ir(*specs)(stage="hlo_serialized")
    operations = list(_operations(graph))
    fixed = tuple(sorted({each.name for each in operations if each.type in _DRAWS and not _chosen_by_device(each)}))
    return Lowered(bytes(program), fixed, len(operations))


def _operations(graph) -> Iterator[tf.Operation]:
    yield from graph.get_operations()
    for function in _called(graph):
        yield from _operations(function)


def _called(graph) -> Iterable:
    """The graphs of the functions that a graph calls, branches included."""
    return [function.graph for function in getattr(graph, "_functions", {}).values() if hasattr(function, "graph")]


def _chosen_by_device(operation):
    return tf.get_static_value(operation.inputs[-1]) == _AUTO_SELECT
