import collections
import pathlib
import runpy
import threading
import time

import pytest

import data
from experiments.inference import file_batches
from experiments.inference.file_batches import FileBatches, printable

MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "media_files.py"))
SPEC = data.ClipSpec(frames=4, image_size=16, sample_rate_hz=8000)


@pytest.fixture
def files(tmp_path):
    """Three sounds of 1.2 s (three windows each), and a letter between them."""
    paths = [tmp_path / f"{name}.wav" for name in "abcd"]
    for path in paths:
        MEDIA["write_media"](path, None, MEDIA["tone"](1.2, 8000), sample_rate_hz=8000)
    paths[1].write_text("not a sound\n" * 100)
    return list(map(str, paths))


def test_batches_run_on_over_the_files(files, capsys):
    batches = FileBatches(files, SPEC, None, batch_size=4)
    found = [[(pathlib.Path(clip.file).stem, round(clip.start_seconds, 1)) for clip in batch] for batch in batches]
    assert list(map(len, found)) == [4, 4, 1]
    assert sum(found, []) == [(name, start) for name in "acd" for start in (0.0, 0.4, 0.8)]
    assert list(batches.skipped) == [files[1]] and "not a media file" in batches.skipped[files[1]]
    assert capsys.readouterr().err.count("skipped: ") == 1


def test_files_that_are_too_short_for_the_windows_are_counted(files):
    batches = FileBatches(files, SPEC, 50, batch_size=64)
    counts = collections.Counter(clip.file for batch in batches for clip in batch)
    assert batches.short == {name: counts[name] for name in (files[0], *files[2:])} and max(counts.values()) < 50
    enough = FileBatches(files, SPEC, 2, batch_size=64)
    assert sum(map(len, enough)) == 6 and not enough.short


def test_one_batch_is_decoded_ahead_and_no_more(monkeypatch):
    decoded, seen = [], threading.Event()

    def read_clips(file, spec, windows):
        for number in range(100):
            decoded.append(number)
            if number == 5:
                seen.set()
            yield number

    monkeypatch.setattr(file_batches.data, "read_clips", read_clips)
    batches = iter(FileBatches(["a"], SPEC, None, batch_size=3))
    assert next(batches) == [0, 1, 2]
    assert seen.wait(10)  # the second batch comes without being asked for
    batches.close()
    assert len(decoded) <= 6


def test_who_leaves_does_not_wait_for_a_long_batch(monkeypatch):
    opened = []

    def read_clips(file, spec, windows):
        opened.append(file)
        yield from range(3 if len(opened) == 1 else 0)
        time.sleep(0.005)

    monkeypatch.setattr(file_batches.data, "read_clips", read_clips)
    batches = iter(FileBatches(["a"] * 1000, SPEC, None, batch_size=3))
    assert next(batches) == [0, 1, 2]
    batches.close()
    assert len(opened) < 100


def test_what_is_not_the_files_fault_is_not_swallowed(files, monkeypatch):
    def read_clips(file, spec, windows):
        raise MemoryError("no room")
        yield

    monkeypatch.setattr(file_batches.data, "read_clips", read_clips)
    with pytest.raises(MemoryError, match="no room"):
        list(FileBatches(files, SPEC, 1, batch_size=4))


def test_any_name_can_be_printed():
    assert printable("clips/café.mp4") == "clips/café.mp4"
    assert printable(b"caf\xe9.mp4".decode("utf-8", "surrogateescape")) == "caf?.mp4"
