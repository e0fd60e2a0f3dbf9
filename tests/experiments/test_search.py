import numpy as np

from experiments.search import Hit, best_clips, format_hits

CLIPS = {
    "file": np.array(["far.mp4", "near.mp4", "sound.wav", "between.mp4"]),
    "start_seconds": np.array([0.0, 3.2, 0.0, 6.4], np.float32),
    "end_seconds": np.array([3.2, 6.4, 3.2, 8.0], np.float32),
    "has_video": np.array([True, True, False, True]),
    "video_text_video": np.array([[-2.0, 0.0], [30.0, 0.0], [0.0, 0.0], [3.0, 4.0]], np.float32),
}


def test_the_cosine_decides_and_what_has_no_video_is_left_out():
    hits = best_clips(np.array([0.5, 0.0], np.float32), CLIPS, top=10)
    assert [hit.file for hit in hits] == ["near.mp4", "between.mp4", "far.mp4"]
    np.testing.assert_allclose([hit.similarity for hit in hits], [1.0, 0.6, -1.0], atol=1e-6)
    assert (hits[0].start_seconds, hits[0].end_seconds) == (np.float32(3.2), np.float32(6.4))
    assert best_clips(np.array([0.5, 0.0], np.float32), CLIPS, top=1) == hits[:1]


def test_the_table_has_a_line_per_hit():
    table = format_hits("a query", [Hit(0.5, "long name.mp4", 0.0, 3.2), Hit(-0.25, "b.mp4", 12.0, 15.24)])
    assert table.splitlines() == [
        "a query",
        "   1  +0.500  long name.mp4  0.0 - 3.2 s",
        "   2  -0.250  b.mp4          12.0 - 15.2 s",
    ]
