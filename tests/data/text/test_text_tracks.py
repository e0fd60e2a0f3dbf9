"""Captions inside media files, in every form that mp4 and Matroska hold."""

import pathlib

import pytest

from data.errors import DataError
from data.text.cues import Cue
from data.text.text_tracks import read_tracks

SRT = "1\n00:00:00,500 --> 00:00:01,500\n<i>stir</i> the < soup\n\n2\n00:00:02,000 --> 00:00:03,000\nadd salt\n"
VTT = "WEBVTT\n\n00:00.500 --> 00:01.500\n<v Anna>stir the &lt; soup\n\n00:02.000 --> 00:03.000\nadd salt\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, "
    "Effect, Text\nDialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,add\\Nsalt\n"
    "Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\i1}stir{\\i0} the < soup\n"
)
GERMAN = "1\n00:00:00,500 --> 00:00:01,500\numr\u00fchren\n"
CUES = [Cue("stir the < soup", 0.5, 1.5), Cue("add salt", 2.0, 3.0)]


@pytest.fixture(scope="module")
def video(tmp_path_factory, write_video):
    return write_video(tmp_path_factory.mktemp("tracks") / "plain.mp4", seconds=1.0)


@pytest.mark.parametrize(
    ("name", "content", "kind"), [("a.mkv", SRT, "srt"), ("a.mkv", ASS, "ass"), ("a.webm", VTT, "webvtt")]
)
def test_text_tracks_of_matroska(video, tmp_path, add_text_tracks, name, content, kind):
    video = None if name.endswith("webm") else video  # WebM holds no H.264
    found = read_tracks(add_text_tracks(video, tmp_path / name, (content, kind, "eng", False)))
    assert found.captions == (CUES, 0) and found.language == "en" and not found.unread


def test_text_tracks_of_mp4(video, tmp_path, add_text_tracks):
    path = add_text_tracks(video, tmp_path / "a.mp4", (SRT.replace("<i>stir</i>", "stir"), "srt", "eng", False))
    assert read_tracks(path).captions == (CUES, 0)
    assert read_tracks(pathlib.Path(path).read_bytes()).language == "en"


def test_the_wanted_language_then_the_default_track(video, tmp_path, add_text_tracks):
    path = add_text_tracks(video, tmp_path / "a.mkv", (SRT, "srt", "eng", False), (GERMAN, "srt", "ger", True))
    assert read_tracks(path).language == "de"
    assert read_tracks(path, ("en", "de")).captions.cues == CUES
    french = read_tracks(path, ("fr",))
    assert french.captions is None and french.unwanted == ("en", "de")


def test_a_file_without_text_tracks_has_none(video, tmp_path):
    assert read_tracks(video) == (None, None, (), ())
    (tmp_path / "letter.mp4").write_text("no media file")
    with pytest.raises(DataError):
        read_tracks(tmp_path / "letter.mp4")
