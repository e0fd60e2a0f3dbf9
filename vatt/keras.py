"""The one place where Keras comes from: `tf_keras`, that is Keras 2.

Keras 3 cannot be used: its optimizers sum gradients over the replicas a second time and its layers do not mix with
those of tf-models-official. `TF_USE_LEGACY_KERAS` makes `tf.keras`, which TensorFlow loads on first use, the same
package.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tf_keras as keras  # noqa: E402

__all__ = ["keras"]
