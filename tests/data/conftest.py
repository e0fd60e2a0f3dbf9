"""A tiny prepared data set, written by TFDS as the builders write theirs."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data.records import record_features

FRAMES_PER_SECOND = 10.0
SAMPLE_RATE_HZ = 1000


def caption(text: str, start_seconds: float, end_seconds: float) -> dict:
    return {"text": text, "start_seconds": start_seconds, "end_seconds": end_seconds}


def make_clip(number: int, frames: int = 8, height: int = 24, width: int = 32, **changes) -> dict:
    """One record: gray frame i has brightness 6 i, and so has the sound while it is shown."""
    ramp = np.arange(frames)
    video = np.broadcast_to(6 * ramp[:, None, None, None], (frames, height, width, 3))
    samples_per_frame = int(SAMPLE_RATE_HZ / FRAMES_PER_SECOND)
    record = {
        "clip_id": f"clip{number:03d}",
        "source": f"clip{number:03d}.mp4",
        "start_seconds": 0.0,
        "video": video.astype(np.uint8),
        "audio": np.repeat(6 * ramp, samples_per_frame).astype(np.int16),
        "captions": [caption(f"clip number {number}", 0.0, 0.3), caption("the end", 0.6, 0.8)],
        "label": number % 3,
        "text_aligned": 1,
        "audio_aligned": -1,
    }
    return record | changes


class TinyBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes the records it is given."""

    name = "tiny"
    VERSION = tfds.core.Version("1.0.0")
    url_infos = {}  # Nothing is downloaded; TFDS would look for a list beside this file.

    def __init__(self, clips: dict[str, list[dict]], frames_per_second: float, **options):
        self.clips = clips
        self.frames_per_second = frames_per_second
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            features=record_features(),
            metadata=tfds.core.MetadataDict(
                frames_per_second=self.frames_per_second,
                sample_rate_hz=SAMPLE_RATE_HZ,
                class_names=["circle", "square", "star"],
            ),
        )

    def _split_generators(self, dl_manager) -> dict:
        return {split: self._generate_examples(clips) for split, clips in self.clips.items()}

    def _generate_examples(self, clips: list[dict]):
        for clip in clips:
            yield clip["clip_id"], clip


@pytest.fixture(scope="session")
def clip():
    """Makes one record; see `make_clip`."""
    return make_clip


@pytest.fixture(scope="session")
def write_dataset():
    """Writes records as a TFDS data set and returns its data_dir."""

    def write(data_dir, clips, shards=1, frames_per_second=FRAMES_PER_SECOND, **options) -> str:
        clips = clips if isinstance(clips, dict) else {"train": clips}
        builder = TinyBuilder(clips, frames_per_second, data_dir=str(data_dir), **options)
        config = tfds.download.DownloadConfig(num_shards=shards)
        builder.download_and_prepare(download_config=config)
        (builder.data_path / "vocabulary_wordpiece.txt").write_text(
            "[PAD]\n[UNK]\nclip\nnumber\nthe\nend\n" + "".join(f"{i}\n" for i in range(100))
        )
        return str(data_dir)

    return write


@pytest.fixture(scope="session")
def tiny_data_dir(write_dataset, tmp_path_factory) -> str:
    """Eleven training clips in four files of unequal length, five test clips."""
    clips = {
        "train": [make_clip(i, frames=8 + i % 3) for i in range(11)],
        "test": [make_clip(100 + i) for i in range(5)],
    }
    return write_dataset(tmp_path_factory.mktemp("tiny"), clips, shards=4)
