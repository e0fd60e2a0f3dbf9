"""The record of a clip: TFDS features, JPEG frames and the data set's metadata."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from data.errors import DataError
from data.media.reader import DecodedClip
from data.text.cues import Cue

# Above this, JPEG of small frames grows fast and looks the same.
_JPEG_QUALITY = 90
UNKNOWN = -1


def record_features(multi_label: bool = False) -> tfds.features.FeaturesDict:
    """Returns the features of a record; one record is one clip.

    `video` is `[frames, height, width, 3]` uint8 as JPEG, at the data set's `frames_per_second`;
    `audio` int16 `[samples]` at its `sample_rate_hz`, stored as raw bytes, empty without audio;
    `captions` have times relative to the clip's start, in order. `label`, `text_aligned` and
    `audio_aligned` are for evaluation only, `UNKNOWN` (-1) if unknown.

    Args:
      multi_label: whether clips may have several classes. Only such a set has the feature `labels`,
        int64 `[classes of the clip]`; its `label` is `UNKNOWN`.
    """
    several = {"labels": tfds.features.Sequence(np.int64, doc="classes")} if multi_label else {}
    return tfds.features.FeaturesDict(
        {
            **several,
            "clip_id": tfds.features.Text(),
            "source": tfds.features.Text(doc="path of the file the clip was cut from"),
            "start_seconds": tfds.features.Scalar(np.float32, doc="where in that file it starts"),
            "video": tfds.features.Video((None, None, None, 3), encoding_format="jpeg"),
            "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding=tfds.features.Encoding.BYTES),
            "captions": tfds.features.Sequence(
                {
                    "text": tfds.features.Text(),
                    "start_seconds": tfds.features.Scalar(np.float32),
                    "end_seconds": tfds.features.Scalar(np.float32),
                }
            ),
            "label": tfds.features.Scalar(np.int64, doc="class, or -1"),
            "text_aligned": tfds.features.Scalar(np.int64, doc="1, 0, or -1: unknown"),
            "audio_aligned": tfds.features.Scalar(np.int64, doc="1, 0, or -1: unknown"),
        }
    )


def settings_of(config: tfds.core.BuilderConfig, *left_out: str) -> dict[str, Any]:
    """Returns the values of a config's own fields except some, as JSON values for the metadata of its data set."""
    inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
    own = (field.name for field in dataclasses.fields(config))
    values = {name: getattr(config, name) for name in own if name not in inherited | set(left_out)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def make_record(
    clip: DecodedClip,
    cues: Sequence[Cue],
    *,
    clip_id: str,
    source: str,
    label: int = UNKNOWN,
    labels: Sequence[int] | None = None,
    text_aligned: int = UNKNOWN,
    audio_aligned: int = UNKNOWN,
) -> dict[str, Any]:
    """Returns the example of `record_features` for a decoded clip and its captions.

    `labels` are the classes of a clip of a multi-label set; None in all other sets.
    """
    return {
        **({} if labels is None else {"labels": list(labels)}),
        "clip_id": clip_id,
        "source": source,
        "start_seconds": clip.start_seconds,
        "video": [encode_jpeg(frame) for frame in clip.frames],
        "audio": clip.audio,
        "captions": {
            "text": [cue.text for cue in cues],
            "start_seconds": [cue.start_seconds for cue in cues],
            "end_seconds": [cue.end_seconds for cue in cues],
        },
        "label": label,
        "text_aligned": text_aligned,
        "audio_aligned": audio_aligned,
    }


def serialize(features: tfds.features.FeaturesDict, record: Mapping[str, Any]) -> bytes:
    """Returns a record as `tf.train.Example`: the same bytes in every process, which TFDS does not promise."""
    example = tf.train.Example.FromString(features.serialize_example(record))
    return example.SerializeToString(deterministic=True)


def encode_jpeg(frame: np.ndarray) -> bytes:
    """Returns a uint8 RGB frame `[height, width, 3]` as JPEG; raises `DataError` for a side of more than 65,500 pixels."""
    buffer = io.BytesIO()
    try:
        Image.fromarray(frame).save(buffer, format="JPEG", quality=_JPEG_QUALITY)
    except OSError as error:
        height, width = frame.shape[:2]
        raise DataError(f"a frame of {width} x {height} pixels cannot be stored as JPEG ({error})") from error
    return buffer.getvalue()


def open_jpeg(jpeg: bytes) -> Image.Image:
    """Opens a JPEG and decodes it, with Pillow's JPEG decoder only.

    Raises:
      ValueError: It is none, is cut off, or has more pixels than Pillow takes for harmless.
    """
    try:
        picture = Image.open(io.BytesIO(jpeg), formats=("JPEG",))
        picture.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a JPEG that can be decoded ({error})") from error
    return picture


def dataset_info(
    builder: tfds.core.DatasetBuilder,
    description: str,
    parameters: Mapping[str, Any],
    class_names: Sequence[str] = (),
    citation: str | None = None,
    multi_label: bool = False,
    has_video: bool = True,
) -> tfds.core.DatasetInfo:
    """Returns the builder's info; its metadata hold the rates, the classes and all parameters.

    Args:
      builder: the builder that asks.
      description: what the data set is.
      parameters: everything that decides what the records hold, JSON values; among them
        `frames_per_second` and `sample_rate_hz`.
      class_names: names of the labels.
      citation: BibTeX entry of the publication.
      multi_label: see `record_features`.
      has_video: whether records have frames; False for an audio data set.
    """
    metadata = {
        "has_video": has_video,
        "frames_per_second": parameters["frames_per_second"],
        "sample_rate_hz": parameters["sample_rate_hz"],
        "class_names": list(class_names),
        "parameters": dict(parameters),
    }
    return tfds.core.DatasetInfo(
        builder=builder,
        description=description,
        features=record_features(multi_label),
        metadata=tfds.core.MetadataDict(metadata),
        citation=citation,
    )
