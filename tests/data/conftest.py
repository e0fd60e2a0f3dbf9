"""A tiny prepared data set, written by TFDS as the builders write theirs, and media files to prepare."""

import contextlib
import io
import pathlib
import runpy
import types

import av
import numpy as np
import pytest
import tensorflow_datasets as tfds

import data
from data.media.writer import encode_mp4
from data.records.schema import record_features

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
    url_infos = {}  # Nothing is downloaded; TFDS would look for a list next to this file.

    def __init__(self, clips: dict[str, list[dict]], frames_per_second: float, metadata: dict, **options):
        self.clips = clips
        self.frames_per_second = frames_per_second
        self.more_metadata = metadata
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            features=record_features(),
            metadata=tfds.core.MetadataDict(
                frames_per_second=self.frames_per_second,
                sample_rate_hz=SAMPLE_RATE_HZ,
                class_names=["circle", "square", "star"],
                **self.more_metadata,
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

    def write(data_dir, clips, shards=1, frames_per_second=FRAMES_PER_SECOND, metadata=None, **options) -> str:
        clips = clips if isinstance(clips, dict) else {"train": clips}
        builder = TinyBuilder(clips, frames_per_second, metadata or {}, data_dir=str(data_dir), **options)
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


@pytest.fixture(scope="session")
def write_video():
    """Writes a real mp4: gray frames that brighten with time, and a tone; returns the path."""

    def write(path, seconds=1.0, size=(32, 48), sound=True, frames_per_second=10) -> str:
        times = np.arange(round(seconds * frames_per_second)) / frames_per_second
        levels = (20 + 20 * times) % 256
        frames = np.broadcast_to(levels[:, None, None, None], (len(times), *size, 3))
        tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * 16000)) / 16000)
        path.parent.mkdir(parents=True, exist_ok=True)
        encode_mp4(
            str(path),
            np.ascontiguousarray(frames, dtype=np.uint8),
            tone.astype(np.float32) if sound else None,
            frames_per_second=frames_per_second,
            sample_rate_hz=16000,
        )
        return str(path)

    return write


SPEC = data.ClipSpec(frames=4, frames_per_second=5.0, image_size=16, sample_rate_hz=1000, candidates=3, words=4)


def open_with_tokenizer(data_dir: str, name: str = "tiny") -> tuple:
    prepared = data.open_dataset(name, data_dir)
    return prepared, data.WordPieceTokenizer(prepared.wordpiece_vocabulary_path, SPEC.words)


@pytest.fixture(scope="session")
def tiny_spec() -> data.ClipSpec:
    """Four frames, every second one of the records, and 0.8 s of sound."""
    return SPEC


@pytest.fixture(scope="session")
def tiny(tiny_data_dir) -> tuple:
    """The data set of `tiny_data_dir`, opened, and its tokenizer."""
    return open_with_tokenizer(tiny_data_dir)


@pytest.fixture(scope="session")
def open_prepared():
    """Opens a data set by its name; returns (prepared, tokenizer), as `evaluate` takes them."""
    return lambda name, data_dir: open_with_tokenizer(str(data_dir), name)


@pytest.fixture
def write(write_dataset, tmp_path):
    """Writes records and opens them; returns (prepared, tokenizer)."""

    def write_and_open(clips, **options):
        return open_with_tokenizer(write_dataset(tmp_path, clips, **options))

    return write_and_open


@pytest.fixture(scope="session")
def train():
    """Returns the first training batches of what `tiny` or `write` opened."""

    def batches(opened, count, spec=SPEC, **options):
        options = {"batch_size": 4, "seed": 3, "shuffle_window": 4} | options
        batches = data.train_batches(opened[0], spec, opened[1], **options)
        return list(batches.take(count).as_numpy_iterator())

    return batches


@pytest.fixture(scope="session")
def evaluate():
    """Returns the evaluation batches of what `tiny` or `write` opened."""

    def batches(opened, split="test", spec=SPEC, **options):
        options = {"batch_size": 4} | options
        return list(data.eval_batches(opened[0], split, spec, opened[1], **options))

    return batches


@pytest.fixture(scope="session")
def words_of():
    """Turns token ids back to captions, without rows of only padding."""

    def captions(text, opened):
        with open(opened[0].wordpiece_vocabulary_path) as file:
            pieces = file.read().split("\n")
        rows = [" ".join(pieces[i] for i in row if i) for row in np.asarray(text)]
        return [row for row in rows if row]

    return captions


@pytest.fixture(scope="session")
def trees() -> types.SimpleNamespace:
    """The functions of published_trees.py, which write and recognize the files of small published data sets."""
    return types.SimpleNamespace(**runpy.run_path(str(pathlib.Path(__file__).with_name("published_trees.py"))))


@pytest.fixture(scope="session")
def write_flash(trees):
    """A function (path, seconds, at): a real media file by its suffix, with a flash and a click at a second."""
    return trees.write_flash


@pytest.fixture(scope="session")
def read_records():
    """Reads the records of a data set by their clip_id: split -> id -> record."""

    def read(name, data_dir):
        builder = tfds.builder_from_directory(data.open_dataset(name, str(data_dir)).directory)
        return {
            split: {r["clip_id"].decode(): r for r in tfds.as_numpy(builder.as_dataset(split=split))}
            for split in builder.info.splits
        }

    return read


@pytest.fixture(scope="session")
def add_text_tracks():
    """Copies a media file, if any, and adds text tracks: (source, target, (content, format, language, default), ...)."""

    def add(source, target, *tracks):
        with contextlib.ExitStack() as files:
            new, copies = files.enter_context(av.open(str(target), "w")), []
            if source:
                old = files.enter_context(av.open(str(source)))
                copies += [(list(old.demux()), {s.index: new.add_stream_from_template(s) for s in old.streams}, bytes)]
            for content, kind, language, default in tracks:
                text = files.enter_context(av.open(io.BytesIO(content.encode()), format=kind))
                is_mp4 = str(target).endswith(".mp4")
                track = new.add_mux_stream("mov_text") if is_mp4 else new.add_stream_from_template(text.streams[0])
                track.metadata["language"] = language
                track.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
                copies.append((list(text.demux()), {0: track}, _with_length if is_mp4 else bytes))
            for packets, streams, content_of in copies:
                for packet in packets:
                    if packet.dts is not None:
                        new.mux(_copied(packet, streams[packet.stream_index], content_of))
        return str(target)

    def _with_length(packet):
        return len(bytes(packet)).to_bytes(2, "big") + bytes(packet)

    def _copied(packet, stream, content_of):
        copy = av.Packet(content_of(packet))
        copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
        copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, stream
        return copy

    return add
