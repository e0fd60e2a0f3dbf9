"""Which clips of a batch count for what: a clip without sound says nothing of how well sound is told apart."""

import tensorflow as tf

from experiments.classifiers.recipes import ALL


def counted(clips: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns which clips the losses and the scores are of, bool [batch], under "multimodal", "audio" and "video".

    Those with a label, for "audio" with sound as well. Both modalities together take a clip without sound as it is.

    Args:
      clips: A batch of `data.train_batches` or `data.eval_batches`.
    """
    labeled = clips["label"] >= 0
    return {name: labeled & clips["has_audio"] if name == "audio" else labeled for name in ALL}
