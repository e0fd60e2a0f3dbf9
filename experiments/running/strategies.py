"""The distribution strategies that the command lines offer."""

import json
import os
from typing import Any

import tensorflow as tf

from experiments.running import compiler_log
from experiments.running.command_line import BadInput
from experiments.running.strategy_names import STRATEGIES


def split_cpu(replicas: int) -> None:
    """Makes `replicas` logical CPU devices of the one there is, to try a distributed run without GPUs."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)


def create_strategy(name: str, tpu: str = "") -> tf.distribute.Strategy:
    """Creates a strategy; from here on the compiler keeps to TF_CPP_MIN_LOG_LEVEL.

    Args:
      name: `one_device` (the first GPU, or the CPU), `mirrored` (all GPUs of this machine, or its logical CPUs),
        `multi_worker` (machines named in the environment variable TF_CONFIG), or `tpu`.
      tpu: The TPU's name; `local` on a TPU VM.

    Raises:
      BadInput: The name is unknown, TF_CONFIG cannot be used, or the TPU cannot be reached.
    """
    compiler_log.apply_log_level()
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])
    if name == "multi_worker":
        return _multi_worker_strategy()
    if name == "tpu":
        return _tpu_strategy(tpu)
    raise BadInput(f"--strategy should be one of {', '.join(STRATEGIES)}. Found {name!r}.")


def check_batch(program: str, config: Any, strategy: tf.distribute.Strategy) -> None:
    """Checks what only the strategy tells.

    Args:
      program: The name of the program's configurable.
      config: Has `batch_size`, over all replicas, and `jit_compile`.
      strategy: Where it is to run.

    Raises:
      BadInput: The batch does not divide over the replicas, or XLA was asked for where it cannot be had.
    """
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise BadInput(
            f"`{program}.batch_size` should be a multiple of the number of replicas, {replicas}. Found {config.batch_size}."
        )
    if config.jit_compile and replicas > 1:
        raise BadInput(
            f"`{program}.jit_compile = True` should go with one device. Found {replicas} replicas. TPUs always compile."
        )


def worker_index(strategy: tf.distribute.Strategy) -> int:
    """Returns this process's place among the workers of `multi_worker`; 0, the chief, everywhere else."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or not resolver.task_type:
        return 0
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_id + (1 if has_chief and resolver.task_type == "worker" else 0)


def _multi_worker_strategy():
    try:
        _require_cluster(json.loads(os.environ.get("TF_CONFIG", "{}")))
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise BadInput(
            "TF_CONFIG should name all machines and which of them this is, such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}. '
            f"Found {os.environ.get('TF_CONFIG')!r}, which cannot be used: {str(error).splitlines()[0]}"
        ) from error


def _require_cluster(found):
    """Refuses what TensorFlow would take for a machine on its own; that is `{}`, or no TF_CONFIG."""
    if not isinstance(found, dict):
        raise TypeError(f"an object is expected, not {type(found).__name__}.")
    if found and not found.get("cluster"):
        raise ValueError("it has no `cluster`.")


def _tpu_strategy(tpu):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise BadInput(
            f"the TPU {tpu or 'local'!r} cannot be used: {str(error).splitlines()[0]} "
            "Expected --tpu=local on a TPU VM with `pip install vatt-harmonization[tpu]`, or the name of a TPU node."
        ) from error
    return tf.distribute.TPUStrategy(resolver)
