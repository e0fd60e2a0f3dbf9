#!/usr/bin/env bash
# Surprise: with the same seed and the same named algorithm, tf.random.stateless_uniform(alg="philox") draws other numbers
#   under jit_compile=True than without, on the same CPU. Whole-range integers drawn from a key and a counter are the same.
# Common guess: stateless + seed + algorithm by name = the same numbers wherever it runs; XLA only makes it faster.
# Source: github.com/tensorflow/tensorflow/issues/117644, 121243. The generator is the same; how a seed
#   becomes a key differs, and so does how bits become floats. A dropout mask changes with jit_compile, unless it is drawn so.
# Seen: TensorFlow 2.20.0: graph [0.9525 0.9792], XLA [0.3593 0.7812]; bits from a key: both [896464793 3825223431]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tensorflow==2.20.0 numpy==2.2.6
TF_CPP_MIN_LOG_LEVEL=3 "$folder/bin/python" - <<'PY'
import numpy as np
import tensorflow as tf


# As arguments: TensorFlow computes with constants before XLA sees them.
def from_seed(numbers):
    return tf.random.stateless_uniform([2], numbers, alg="philox")


def bits_from_key(numbers):
    key, counter = tf.cast(numbers[:1], tf.uint64), tf.stack([tf.constant(0, tf.uint64), tf.cast(numbers[1], tf.uint64)])
    philox = tf.random.Algorithm.PHILOX.value
    return tf.raw_ops.StatelessRandomUniformFullIntV2(shape=[2], key=key, counter=counter, alg=philox, dtype=tf.uint32)


drawn, numbers = {}, tf.constant([7, 5])
for draw in (from_seed, bits_from_key):
    drawn[draw] = [tf.function(draw, autograph=False, jit_compile=xla)(numbers).numpy() for xla in (False, True)]
    print(f"TensorFlow {tf.__version__}, {draw.__name__}: graph {drawn[draw][0]}, XLA {drawn[draw][1]}")
assert np.array_equal(*drawn[bits_from_key]), "a key and a counter no longer give the same numbers"
assert not np.allclose(*drawn[from_seed]), "a seed now gives the same numbers with and without XLA: the surprise is gone"
PY
