"""Variables ahead of the first step."""

import tensorflow as tf

from vatt.keras import keras


def create_variables(model: keras.Model, inputs: object) -> None:
    """Creates every variable of a model by tracing its call once; nothing is computed but their first values.

    As a `tf.function` it would be traced twice, since one that creates variables is traced again without doing so. In a
    function's graph Keras creates them outside, at once.

    Args:
      model: Under a strategy's scope, its variables are the strategy's.
      inputs: What it is called with, a nest of `tf.TensorSpec`.
    """
    with tf.__internal__.FuncGraph("create_variables").as_default():
        symbols = tf.nest.map_structure(lambda spec: tf.compat.v1.placeholder(spec.dtype, spec.shape), inputs)
        tf.autograph.experimental.do_not_convert(model)(symbols)  # as Keras would, which takes longer than the trace
