"""The captions of a folder: which are read, in which language, and what the report says of the others."""

import pytest

from data.errors import DataError
from data.preparing.prepare import prepare
from data.sets.folder import Folder, FolderConfig

SETTINGS = dict(image_size_px=16, sample_rate_hz=8000, test_fraction=0.0)
TIMES = "00:00.100 --> 00:00.400"


def vtt(words, header=""):
    return f"WEBVTT\n{header}\n{TIMES}\n{words}\n"


def srt(words):
    return f"1\n00:00:00,100 --> 00:00:00,400\n{words}\n"


@pytest.fixture(scope="module")
def video(tmp_path_factory, write_video):
    return write_video(tmp_path_factory.mktemp("video") / "plain.mp4", seconds=0.5, size=(16, 16))


@pytest.fixture
def folder(tmp_path, video):
    """Prepares a folder of one video per name with files next to them; returns the texts by video, and the report."""
    (tmp_path / "videos").mkdir()

    def run(names, files, read_records, **settings):
        for name in names:
            (tmp_path / "videos" / name).write_bytes(open(video, "rb").read())
        for name, content in files.items():
            (tmp_path / "videos" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        config = FolderConfig(source_dir=str(tmp_path / "videos"), **SETTINGS, **settings)
        report = prepare(Folder, config, str(tmp_path / "data")).report
        records = read_records("folder", tmp_path / "data")["train"].values()
        return {r["source"].decode(): [text.decode() for text in r["captions"]["text"]] for r in records}, report

    return run


LANGUAGES = {
    "a.de.vtt": vtt("schneiden"),
    "a.en-orig.vtt": vtt("chop it"),
    "a.en.vtt": vtt("chop"),
    "b.ja.vtt": vtt("切る"),
    "c.vtt": vtt("couper", "Language: fr\n"),
}


def test_languages_are_counted_and_a_mixture_is_said(folder, read_records):
    texts, report = folder(["a.mp4", "b.mp4", "c.mp4"], LANGUAGES, read_records)
    assert texts == {"a.mp4": ["schneiden"], "b.mp4": ["切る"], "c.mp4": ["couper"]}
    assert report["caption_languages"] == {"de": 1, "ja": 1, "fr": 1}
    assert report["caption_languages_found"] == {"de": 1, "en": 1, "ja": 1, "unknown": 1}
    mixed, several = report["warnings"]
    assert "in 3 languages (de, fr, ja): choose with --caption_languages" in mixed
    assert "videos with captions in several languages: 1, such as a.mp4" in several


def test_wanted_languages_are_chosen(folder, read_records):
    texts, report = folder(["a.mp4", "b.mp4", "c.mp4"], LANGUAGES, read_records, caption_languages=["en", "de"])
    assert texts == {"a.mp4": ["chop"], "b.mp4": [], "c.mp4": []}
    assert report["caption_languages"] == {"en": 1} and report["captions_in_other_languages"] == 1
    assert report["unread_captions"] == {"c.mp4": "captions in fr"} and report["warnings"] == []


def test_captions_belong_to_the_video_with_the_longest_name(folder, read_records):
    files = {
        "trip.end.srt": srt("over"),
        "trip.fra.srt": srt("voyage"),
        "talk.en.auto.vtt": vtt("of the talk"),
    }
    names = ["trip.mp4", "trip.end.mp4", "talk.mp4", "talk.en.mp4"]
    texts, report = folder(names, files, read_records)
    assert texts == {"trip.mp4": ["voyage"], "trip.end.mp4": ["over"], "talk.mp4": ["of the talk"], "talk.en.mp4": []}
    assert report["caption_languages_found"] == {"en": 1, "fr": 1, "unknown": 1}


def test_a_set_in_one_language_needs_no_warning(folder, read_records):
    _, report = folder(["a.mp4", "b.mp4"], {"a.en.vtt": vtt("x y"), "b.en.srt": srt("y z")}, read_records)
    assert report["caption_languages"] == {"en": 2} and report["warnings"] == []


def test_encodings_are_guessed_and_named(folder, read_records):
    files = {"a.srt": srt("Прежде лук").encode("cp1251"), "b.srt": srt("Лук").encode()}
    texts, report = folder(["a.mp4", "b.mp4"], files, read_records)
    assert texts == {"a.mp4": ["Прежде лук"], "b.mp4": ["Лук"]}
    assert report["guessed_encodings"] == {"a.mp4": "cp1251"} and report["caption_encodings_guessed"] == 1


def test_a_given_encoding_is_no_guess(folder, read_records):
    texts, report = folder(["a.mp4"], {"a.srt": srt("soğan").encode("cp1254")}, read_records, caption_encoding="cp1254")
    assert texts == {"a.mp4": ["soğan"]} and report["guessed_encodings"] == {}


MARKS = vtt("[Music]") + f"\n{TIMES}\n- ANNA: (laughs) chop\n"


@pytest.mark.parametrize(
    ("marks", "words", "dropped", "changed"),
    [
        ("keep", ["[Music]", "- ANNA: (laughs) chop"], 0, 0),
        ("drop_pure", ["- ANNA: (laughs) chop"], 1, 0),
        ("remove", ["chop"], 1, 1),
    ],
)
def test_marks(folder, read_records, marks, words, dropped, changed):
    texts, report = folder(["a.mp4"], {"a.vtt": MARKS}, read_records, caption_marks=marks)
    assert texts == {"a.mp4": words}
    assert (report["captions_only_marks"], report["captions_with_marks_removed"]) == (dropped, changed)


FORMS = {
    "a.ass": "[Events]\nDialogue: 0,0:00:00.10,0:00:00.40,Default,,0,0,0,,words of a\n",
    "b.ttml": '<tt xml:lang="en"><body><div><p begin="0.1s" end="0.4s">words of b</p></div></body></tt>',
    "c.sbv": "0:00:00.100,0:00:00.400\nwords of c\n",
    "d.json3": '{"events": [{"tStartMs": 100, "dDurationMs": 300, "segs": [{"utf8": "words of d"}]}]}',
    "e.lrc": "[00:00.10]words of e\n[00:00.40]\n",
    "f.json": '{"language": "en", "segments": [{"start": 0.1, "end": 0.4, "text": " words of f", "words": []}]}',
}


def test_every_form_of_captions_is_read(folder, read_records):
    names = [f"{name[0]}.mp4" for name in FORMS]
    texts, report = folder(names, FORMS, read_records)
    assert texts == {name: [f"words of {name[0]}"] for name in names}
    assert report["caption_languages"] == {"unknown": 4, "en": 2} and report["videos_without_captions"] == 0


def test_what_is_not_read_is_named(folder, read_records):
    files = {"a.sub": "x", "a.idx": "x", "a.json": '{"id": "abc", "title": "no captions"}', "a.info.json": "{}"}
    texts, report = folder(["a.mp4"], files, read_records)
    assert texts == {"a.mp4": []}
    assert (
        report["caption_files_not_read"] == {".idx": ["a.idx"], ".sub": ["a.sub"]}
        and report["unreadable_captions"] == {}
    )


def test_captions_inside_the_video(tmp_path, video, add_text_tracks, read_records):
    (tmp_path / "videos").mkdir()
    add_text_tracks(
        video, tmp_path / "videos/a.mp4", (srt("inside"), "srt", "eng", True), (srt("innen"), "srt", "ger", False)
    )
    add_text_tracks(video, tmp_path / "videos/b.mkv", (srt("inside, too"), "srt", "eng", True))
    (tmp_path / "videos/b.srt").write_text(srt("next to it"))
    config = FolderConfig(source_dir=str(tmp_path / "videos"), caption_languages=["de", "en"], **SETTINGS)
    report = prepare(Folder, config, str(tmp_path / "data")).report
    records = read_records("folder", tmp_path / "data")["train"].values()
    texts = {r["source"].decode(): [text.decode() for text in r["captions"]["text"]] for r in records}
    assert texts == {"a.mp4": ["innen"], "b.mkv": ["next to it"]}
    assert report["caption_languages"] == {"de": 1, "unknown": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            dict(caption_languages=["English, please"]),
            "should be tags of languages, such as en,de,pt-BR. Found English",
        ),
        (dict(caption_encoding="klingon"), "caption_encoding should be an encoding that Python knows"),
        (dict(caption_marks="some"), "caption_marks should be one of keep, drop_pure, remove. Found 'some'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        FolderConfig(**settings)


def test_settings_that_were_added_later_leave_older_data_known():
    assert not {"caption_marks", "caption_encoding", "caption_languages"} & FolderConfig().parameters().keys()
    assert FolderConfig(caption_languages=["en"], caption_marks="keep").parameters()["caption_languages"] == ["en"]
