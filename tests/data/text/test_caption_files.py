"""Which of the caption files next to a video is read."""

import pytest

from data.text.caption_files import caption_files, choose, language_in_name
from data.text.languages import language_of, preference

pytestmark = pytest.mark.every_python


def chosen(neighbors, wanted=(), video="clip.mp4"):
    found = choose(caption_files(video, [video, *neighbors]), wanted)
    return found and found.name


@pytest.mark.parametrize(
    ("neighbors", "name"),
    [
        (["clip.srt", "clip.vtt", "clip.en.vtt"], "clip.vtt"),
        (["clip.en.vtt", "clip.srt"], "clip.srt"),
        (["clip.en.vtt", "clip.de.srt"], "clip.de.srt"),
        (["clip.pt-BR.VTT"], "clip.pt-BR.VTT"),
        (["clip.zh-Hans.vtt"], "clip.zh-Hans.vtt"),
        (["clip2.vtt", "other.vtt", "clip.part2.vtt", "clip.txt", "clip.vtt.bak"], None),
        (["clip.en-orig.vtt", "clip.en.vtt"], "clip.en.vtt"),
        (["clip.en-orig.vtt"], "clip.en-orig.vtt"),
        (["clip.en.auto.vtt", "clip.en.sdh.srt", "clip.en.forced.vtt"], "clip.en.sdh.srt"),
        (["clip.en-nP7-2PuUl7o.vtt"], "clip.en-nP7-2PuUl7o.vtt"),
        (["clip.json", "clip.ass", "clip.srt"], "clip.srt"),
        (["clip.info.json", "clip.live_chat.json"], None),
        ([], None),
    ],
)
def test_captions_next_to_a_video(neighbors, name):
    assert chosen(neighbors) == name


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (["en", "de"], "clip.en.vtt"),
        (["de", "en"], "clip.de.vtt"),
        (["fr", "ja"], "clip.ja.vtt"),
        (["pt"], "clip.pt-BR.srt"),
        (["fr"], None),
    ],
)
def test_the_wanted_language_is_chosen(wanted, name):
    names = ["clip.ar.vtt", "clip.de.vtt", "clip.en-orig.vtt", "clip.en.vtt", "clip.ja.vtt", "clip.pt-BR.srt"]
    assert chosen(names, wanted) == name


def test_an_unknown_language_comes_last():
    assert chosen(["clip.vtt", "clip.en.vtt"], ["en"]) == "clip.en.vtt"
    assert chosen(["clip.vtt", "clip.de.vtt"], ["en"]) == "clip.vtt"


def test_names_are_compared_in_one_unicode_form():
    composed, decomposed = "Gr\u00fc\u00dfe", "Gru\u0308\u00dfe"
    assert chosen([f"{decomposed}.de.vtt"], video=f"{composed}.mp4") == f"{decomposed}.de.vtt"
    assert language_in_name(f"a/{composed}.mp4", f"a/{decomposed}.de.vtt") == "de"


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("eng", "en"), ("en-orig", "en"), ("en_US", "en-US"), ("en-nP7-2PuUl7o", "en"), ("iw", "he"), ("zh-Hans", "zh-Hans"),
        ("und", None), ("part", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_tags_of_languages(tag, language):
    assert language_of(tag) == language


@pytest.mark.parametrize(
    ("language", "wanted", "fits"),
    [
        ("en-US", ["en"], True), ("zh-Hant", ["zh"], True), ("zh-Hant", ["zh-Hans"], False), ("zh-CN", ["zh-Hans"], True),
        ("de", ["en"], False), (None, ["en"], True), ("de", [], True), ("nb", ["no"], True),
    ],
)  # fmt: skip
def test_what_fits_a_wanted_language(language, wanted, fits):
    assert (preference(language, wanted) is not None) == fits
