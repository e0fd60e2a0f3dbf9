"""Variables ahead of the first step."""

from collections.abc import Mapping

import tensorflow as tf

from vatt.keras import keras


def create_variables(model: keras.Model, inputs: Mapping[str, tf.TensorSpec]) -> None:
    """Creates every variable of a model by tracing its call once, without computing anything.

    As a `tf.function` it would be traced twice, since one that creates variables is traced again without doing so.

    Args:
      model: Called with the inputs by name. Under a strategy's scope, its variables are the strategy's.
      inputs: Shapes and dtypes.
    """
    with tf.__internal__.FuncGraph("create_variables").as_default():
        clips = {name: tf.compat.v1.placeholder(spec.dtype, spec.shape) for name, spec in inputs.items()}
        tf.autograph.experimental.do_not_convert(model)(clips)
