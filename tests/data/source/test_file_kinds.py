import pytest

from data.source.file_kinds import find_captions


@pytest.mark.parametrize(
    ("neighbors", "chosen"),
    [
        (["clip.srt", "clip.vtt", "clip.en.vtt"], "clip.vtt"),
        (["clip.en.vtt", "clip.srt"], "clip.srt"),
        (["clip.en.vtt", "clip.de.srt"], "clip.de.srt"),
        (["clip.pt-BR.VTT"], "clip.pt-BR.VTT"),
        (["clip.zh-Hans.vtt"], "clip.zh-Hans.vtt"),
        (["clip2.vtt", "other.vtt", "clip.part2.vtt", "clip.txt", "clip.vtt.bak"], None),
        ([], None),
    ],
)
def test_captions_beside_a_video(neighbors, chosen):
    assert find_captions("clip.mp4", ["clip.mp4", *neighbors]) == chosen
