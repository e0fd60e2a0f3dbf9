"""What a search reads back is what the program wrote, or the file is named as damaged."""

import numpy as np
import pytest

from experiments.inference.features_file import is_features_file, read_features, require_width
from experiments.running.command_line import BadInput
from experiments.running.npz_file import write_npz

GOOD = {
    "file": np.array(["a.mp4", "s.wav"]),
    "start_seconds": np.array([0.0, 0.8], np.float32),
    "end_seconds": np.array([0.8, 1.6], np.float32),
    "has_video": np.array([True, False]),
    "video_text_video": np.ones((2, 3), np.float32),
    "checkpoint": np.array("runs/demo/checkpoints/ckpt-3"),
    "checkpoint_fingerprint": np.array("0123"),
}
DAMAGES = {
    "too few rows": ({"video_text_video": np.ones((1, 3), np.float32)}, r"should have the shape \[2, 'dim'\], found \[1, 3\]"),
    "one axis": ({"video_text_video": np.ones(2, np.float32)}, r"`video_text_video` should be numbers .*, found float32 \[2\]"),
    "text": ({"video_text_video": np.full((2, 3), "x")}, r"`video_text_video` should be numbers .*, found <U1 \[2, 3\]"),
    "not a number": ({"video_text_video": np.full((2, 3), np.nan)}, "`video_text_video` has numbers that are not finite"),
    "no time": ({"start_seconds": np.array([0.0, np.inf], np.float32)}, "`start_seconds` has numbers that are not finite"),
    "whole numbers": ({"has_video": np.array([5, 6])}, r"`has_video` should be bools \[2\], found int64 \[2\]"),
    "no checkpoint": ({"checkpoint": np.arange(3)}, r"`checkpoint` should be text \[\], found int64 \[3\]"),
    "an array missing": ({"start_seconds": None}, r"lacks \['start_seconds'\]"),
}  # fmt: skip


def written(path, changes):
    write_npz(path, {name: values for name, values in (GOOD | changes).items() if values is not None})
    return path


def test_an_output_is_read_as_it_was_written(tmp_path):
    path = written(tmp_path / "f.npz", {"text": np.array(["a red square"])})
    arrays = read_features(path)
    assert is_features_file(path) and arrays.keys() == {*GOOD, "text"}
    require_width(path, arrays, 3)
    with pytest.raises(BadInput, match=r"f.npz .*has 3 numbers a clip, the model of `checkpoint` makes 8"):
        require_width(path, arrays, 8)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_what_is_wrong(damage, tmp_path):
    changes, message = DAMAGES[damage]
    path = written(tmp_path / "f.npz", changes)
    with pytest.raises(BadInput, match=rf"^--features should be an --output of this program. {path} .*{message}"):
        read_features(path)


def test_other_archives_are_told_from_it(tmp_path):
    assert not is_features_file(written(tmp_path / "f.npz", {"checkpoint_fingerprint": None}))
    (tmp_path / "video.mp4").write_bytes(b"x" * 100)
    with pytest.raises(BadInput, match="video.mp4"):
        is_features_file(tmp_path / "video.mp4")
