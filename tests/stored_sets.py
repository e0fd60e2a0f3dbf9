"""Writes prepared data sets of given clips, as the builders do; tests load it with `runpy`."""

import pathlib
import zlib

import numpy as np
import tensorflow_datasets as tfds

from data.media.reader import DecodedClip
from data.records.schema import make_record, record_features

FRAMES_PER_SECOND, SAMPLE_RATE_HZ = 10.0, 8000


def noise_clip(clip_id, cues=(), frames=8, size=(48, 64), seed=None, audio=None, video=None, label=0, **options):
    """A record of 0.8 s: noise of its own to see and to hear, unless `video` or `audio` are given."""
    generator = np.random.default_rng(zlib.crc32(clip_id.encode()) if seed is None else seed)
    if video is None:
        # A coarse picture that lasts, so that it looks like itself when it is encoded again, and noise that moves.
        coarse = generator.integers(0, 200, (size[0] // 8, size[1] // 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
        video = (coarse + generator.integers(0, 50, (frames, *size, 3))).astype(np.uint8)
    if audio is None:
        audio = generator.normal(0, 3000, round(frames / FRAMES_PER_SECOND * SAMPLE_RATE_HZ)).astype(np.int16)
    clip = DecodedClip(0.0, video, audio)
    return make_record(clip, cues, clip_id=clip_id, source=f"{clip_id}.mp4", label=label, **options)


class StoredSet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes the records it is given."""

    name = "stored"
    VERSION = tfds.core.Version("1.0.0")
    url_infos = {}  # Nothing is downloaded; TFDS would look for a list next to this file.

    def __init__(self, clips, metadata, **options):
        self.clips, self.more = clips, metadata
        super().__init__(**options)

    def _info(self):
        rates = {"frames_per_second": FRAMES_PER_SECOND, "sample_rate_hz": SAMPLE_RATE_HZ}
        metadata = tfds.core.MetadataDict({**rates, "class_names": ["cat", "dog"], **self.more})
        features = record_features("labels" in next(iter(self.clips.values()))[0])
        return tfds.core.DatasetInfo(builder=self, features=features, metadata=metadata)

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(clips) for split, clips in self.clips.items()}

    def _generate_examples(self, clips):
        for number, clip in enumerate(clips):
            yield f"{number}", clip


def write_set(data_dir, clips, shards=1, **metadata):
    """Writes records, split -> list, as the data set `stored`; returns its directory."""
    builder = StoredSet(clips, metadata, data_dir=str(data_dir))
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=shards))
    return pathlib.Path(builder.data_dir)
