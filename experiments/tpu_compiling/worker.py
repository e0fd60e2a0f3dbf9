"""The process that compiles: libtpu, which may crash, stays out of the one that knows the run. No TensorFlow."""

import dataclasses
import json
import os
import pathlib
import re
import time

from experiments.tpu_compiling import environment, mlir_text

LOWERED, OPTIMIZED, ANSWER, LOG = "step.hlo", "optimized.hlo", "answer.json", "compiler.log"
_NEEDED = re.compile(r"\(([\d.]+)([KMGT]?)\) exceeds available HBM \(([\d.]+)([KMGT]?)\)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be compiled.

    Attributes:
      folder: Holds `LOWERED`, a serialized HLO module; the answer is written there.
      topology: See `parse_topology`.
      fixed_generators: See `mlir_text.with_device_generator`.
    """

    folder: str
    topology: str
    fixed_generators: tuple[str, ...] = ()


def compile_in_worker(task: Task) -> None:
    """Compiles, and writes `OPTIMIZED`, the program, and `ANSWER`, what is known of it; call it in a fresh process.

    The answer has "error", and then nothing else that is promised but "needed_bytes" and "available_bytes" where the
    compiler says that memory is short.
    """
    _answer(task, _compile)


def count_in_worker(task: Task) -> None:
    """Writes an `ANSWER` with the number of "devices" of the topology, or "error"; call it in a fresh process."""
    _answer(task, lambda task, folder: {"devices": len(_devices(task))})


def _answer(task, work):
    folder = pathlib.Path(task.folder)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):  # libtpu writes to both, past Python
        os.dup2(log, stream)
    environment.prepare()
    try:
        answer = work(task, folder)
    except Exception as error:  # of whatever kind the compiler raises; the other process makes a message of it
        answer = {"error": f"{type(error).__name__}: {error}", **_memory_shortage(str(error))}
    (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def _devices(task):
    from jax.experimental import topologies

    return topologies.get_topology_desc(platform="tpu", topology_name=task.topology).devices


def _compile(task, folder):
    text, changed = mlir_text.with_device_generator(
        mlir_text.without_copies(_as_text((folder / LOWERED).read_bytes())), task.fixed_generators
    )
    devices = _devices(task)
    started = time.monotonic()
    executable = _executable(text, devices)
    seconds = time.monotonic() - started
    (folder / OPTIMIZED).write_text(executable.hlo_modules()[0].to_string(), encoding="utf-8")
    memory, cost = executable.get_compiled_memory_stats(), executable.cost_analysis()
    return {
        "devices": len(devices),
        "compile_seconds": seconds,
        "flops": cost["flops"],
        "bytes_accessed": cost["bytes accessed"],
        "memory": {
            name: getattr(memory, f"{name}_size_in_bytes")
            for name in ("argument", "output", "alias", "temp", "generated_code")
        },
        "device_generators": changed,
        "generators": text.count("stablehlo.rng_bit_generator"),
        "matrix_products": [dataclasses.astuple(each) for each in mlir_text.matrix_products(text)],
    }


def _as_text(program):
    from jaxlib import _jax, xla_client

    return _jax.mlir.xla_computation_to_mlir_module(xla_client.XlaComputation(program))


def _executable(text, devices):
    import numpy as np
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jax._src.lib.mlir import ir
    from jaxlib import xla_client

    with mlir.make_ir_context():
        module = ir.Module.parse(text)
    count = len(devices)
    options = compiler.get_compile_options(
        num_replicas=count, num_partitions=1, device_assignment=np.arange(count).reshape(count, 1)
    )
    return devices[0].client.compile(module, xla_client.DeviceList(tuple(devices)), options)


def _memory_shortage(message):
    found = _NEEDED.search(message)
    if not found:
        return {}
    needed, unit, available, available_unit = found.groups()
    return {
        "needed_bytes": float(needed) * _UNITS[unit], "available_bytes": float(available) * _UNITS[available_unit]
    }  # fmt: skip
