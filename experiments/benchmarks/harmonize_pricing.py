"""What harmonization costs on a TPU, as the TPU's compiler estimates it."""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from experiments.benchmarks.harmonize_timing import FLOAT_BYTES, harmonized, plain_sum, shapes_of
from experiments.running.command_line import BadInput, bad_input
from experiments.tpu_compiling import environment
from experiments.tpu_compiling.compiling import check_compiler, compile_program
from experiments.tpu_compiling.costs import Costs, price
from experiments.tpu_compiling.generations import Topology, parse_topology
from experiments.tpu_compiling.lowering import lower
from experiments.tpu_compiling.memory import Memory, memory_of
from experiments.tpu_compiling.mlir_text import MatrixProduct
from experiments.tpu_compiling.optimized import parse_program
from harmonization import METHODS, apply_if
from vatt.keras import keras

_BOUND, _ADAM = "sum", ", then Adam"
_ADAM_ARRAYS = 6  # weights and two moments, read and written


def report(name: str, parameters: Sequence[int], objectives: Sequence[int], methods: Sequence[str]) -> None:
    """Prices the plain sum and some methods at each size, alone and with Adam, and prints the tables.

    Args:
      name: Of the topology.
      parameters: Sizes of the model, in weights.
      objectives: How many.
      methods: Names of methods.

    Raises:
      BadInput: The topology or a method does not exist, or the compiler is missing.
      RunFailed: The compiler gave up.
    """
    with bad_input():
        topology = parse_topology(name)
        environment.installed_versions()
    if unknown := sorted(set(methods) - set(METHODS)):
        raise BadInput(f"`--ways` should name some of {', '.join(METHODS)}. Found {', '.join(unknown)}.")
    check_compiler(topology)
    for size in parameters:
        for count in objectives:
            _report_size(topology, size, count, methods)


def _report_size(topology, parameters, objectives, methods):
    shapes = shapes_of(parameters)
    count = sum(math.prod(shape) for shape in shapes)
    update = FLOAT_BYTES * count
    print(
        f"\n{topology.name}: {count / 1e6:.1f} M parameters in {len(shapes)} variables, {objectives} objectives, float32"
    )
    heads = ["ms", "x bound", "GB", "least GB", "extra gradients"]
    print(f"{'way':<24}" + "".join(f"{head:>16}" for head in heads))
    bound = None
    for way, reads in _ways(methods, objectives).items():
        costs, memory = _price(topology, way, shapes, objectives)
        bound = bound or costs.milliseconds
        cells = [costs.milliseconds, costs.milliseconds / bound, costs.bytes_accessed / 1e9, reads * update / 1e9]
        cells.append(memory.temporaries / update)
        print(f"{way:<24}" + "".join(f"{cell:>16.2f}" for cell in cells), flush=True)


def _ways(methods, objectives) -> dict[str, int]:
    """Rows of the table, and how many arrays as large as the model each has to read or write."""
    alone = {_BOUND: objectives + 1} | {method: 2 * objectives + 1 for method in methods}
    return alone | {way + _ADAM: arrays - 1 + _ADAM_ARRAYS for way, arrays in alone.items()}


def _price(topology: Topology, way: str, shapes, objectives: int) -> tuple[Costs, Memory]:
    specs = {
        f"{objective},{place}": tf.TensorSpec(shape)
        for objective in range(objectives)
        for place, shape in enumerate(shapes)
    }
    lowered = lower(_step(way, shapes, objectives), specs, topology.devices)
    keras.backend.clear_session()
    answer, text = compile_program(lowered, topology)
    products = [MatrixProduct(*fields) for fields in answer["matrix_products"]]
    costs = price(parse_program(text), products, answer["flops"], answer["bytes_accessed"], topology)
    return costs, memory_of(answer["memory"], topology.memory_bytes)


def _step(way: str, shapes, objectives: int) -> Callable:
    name = way.removesuffix(_ADAM)
    method = None if name == _BOUND else harmonized(name, objectives)
    apply = _adam(shapes) if way.endswith(_ADAM) else lambda update, keep: update

    def step(gradients):
        rows = [[gradients[f"{objective},{place}"] for place in range(len(shapes))] for objective in range(objectives)]
        update, _, keep = method(rows) if method else (plain_sum(rows), None, None)
        return apply(update, keep)

    return step


def _adam(shapes) -> Callable:
    variables = [tf.Variable(tf.zeros(shape)) for shape in shapes]
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(variables)

    def apply(update, keep):
        if keep is None:
            optimizer.apply_gradients(zip(update, variables, strict=True))
        else:
            apply_if(keep, optimizer, update, variables)
        return optimizer.iterations

    return apply
