import json
import math
import time

import pytest

from data.errors import DataError
from data.text.captions import nearest_captions, parse_caption_file, parse_captions
from data.text.cues import Cue
from data.text.json_captions import has_captions, parse_caption_lists, parse_json, parse_json3
from data.text.webvtt import format_vtt

pytestmark = pytest.mark.every_python

VTT = """WEBVTT - a title
Kind: captions

NOTE a remark
over two lines

STYLE
::cue { color: white }

intro
00:00:01.000 --> 00:00:02.500 align:start position:0%
<v Anna>Hello <c.loud>there</c>
and welcome

00:03.250 --> 00:04.000
rock &amp; roll
"""

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello there</i>
and welcome

2
00:00:03,250 --> 01:00:04,000
{\\an8}rock & roll
"""


def test_vtt():
    assert parse_captions(VTT) == (
        [Cue("Hello there and welcome", 1.0, 2.5), Cue("rock & roll", 3.25, 4.0)],
        0,
    )


def test_srt():
    assert parse_captions(SRT) == (
        [Cue("Hello there and welcome", 1.0, 2.5), Cue("rock & roll", 3.25, 3604.0)],
        0,
    )


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
@pytest.mark.parametrize("text", [VTT, SRT])
def test_line_ends_make_no_difference(text, line_end):
    assert parse_captions(text.replace("\n", line_end)) == parse_captions(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding):
    content = SRT.replace("rock", "caf\u00e9").encode(encoding)
    assert [cue.text for cue in parse_caption_file(content, "clip.srt").cues] == [
        "Hello there and welcome",
        "caf\u00e9 & roll",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        "00:00:0x.000 --> 00:00:02.000",
        "00:00:03.000 --> 00:00:02.000",
        "00:99:03.000 --> 00:99:04.000",
        "--> 00:00:02.000",
        "00:00:01.000 -->",
        "1.000 --> 2.000",
    ],
)
def test_broken_time_stamps_are_left_out_and_counted(broken):
    text = f"WEBVTT\n\n{broken}\nlost\n\n00:00:05.000 --> 00:00:06.000\nkept\n"
    assert parse_captions(text) == ([Cue("kept", 5.0, 6.0)], 1)


NINES = "9" * 400
TTML = '<tt xmlns="http://www.w3.org/ns/ttml"><body>{}</body></tt>'


@pytest.mark.parametrize("digits", [NINES, "9" * 5000], ids=len)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", "N:00:01,000 --> N:00:02,000\nx\n"),
        ("a.vtt", "WEBVTT\n\nN:00:01.000 --> N:00:02.000\nx\n"),
        ("a.sbv", "N:00:01.000,N:00:02.000\nx\n"),
        ("a.lrc", "[N:01.00]x\n"),
        ("a.ass", "[Events]\nDialogue: 0,N:00:01.00,N:00:02.00,D,,0,0,0,,x\n"),
        ("a.ttml", TTML.format('<p begin="N:00:01" end="N:00:02">x</p>')),
        ("a.ttml", TTML.format('<div begin="NNs"><p begin="Nh" dur="1s">x</p></div>')),
    ],
)
def test_times_of_more_digits_than_a_number_has_are_broken(name, content, digits):
    assert parse_caption_file(content.replace("N", digits).encode(), name)[:2] == ([], 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"segments": [{"start": N, "end": N, "text": "x"}]}'),
        ("a.json", '{"transcription": [{"offsets": {"from": N, "to": N}, "text": "x"}]}'),
        ("a.json", '{"clip_subtitles": {"en": [{"start": "%s1:1", "end": N, "lines": ["x"]}]}}' % ("0:" * 600)),
        ("a.json3", '{"events": [{"tStartMs": N, "dDurationMs": 1, "segs": [{"utf8": "x"}]}]}'),
    ],
)
def test_times_in_json_of_more_digits_than_a_number_has_are_broken(name, content):
    assert parse_caption_file(content.replace("N", NINES).encode(), name)[:2] == ([], 1)


@pytest.mark.parametrize(("name", "head"), [("a.srt", ""), ("a.vtt", "WEBVTT\n\n")])
def test_references_to_no_character_are_no_end(name, head):
    content = f"{head}00:00:01.000 --> 00:00:02.000\n&#{'9' * 5000};x &#39;\n"
    assert parse_caption_file(content.encode(), name).cues == [Cue("\ufffdx '", 1.0, 2.0)]


@pytest.mark.parametrize("tag", ["div", "span"])
def test_what_is_nested_too_deeply_is_refused(tag):
    nested = f"{f'<{tag}>' * 5000}x{f'</{tag}>' * 5000}"
    body = nested if tag == "div" else f'<p begin="1s" end="2s">{nested}</p>'
    with pytest.raises(DataError, match="nested too deeply"):
        parse_caption_file(TTML.format(body).encode(), "a.ttml")


@pytest.mark.parametrize("encoding", ["klingon", "zlib", "undefined"])
def test_an_encoding_that_is_none_is_not_believed(encoding):
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    content = head + TTML.format('<p begin="1s" end="2s">x</p>')
    assert parse_caption_file(content.encode(), "a.ttml").cues == [Cue("x", 1.0, 2.0)]


SRT_HEAD, VTT_HEAD = "1\n00:00:01,000 --> 00:00:02,000\n", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n"
ASS_HEAD = "[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,,"


@pytest.mark.parametrize(
    ("name", "head", "unit"),
    [
        ("a.srt", SRT_HEAD, "{\\"),
        ("a.srt", f"{SRT_HEAD}<font", " "),
        ("a.srt", SRT_HEAD, "\r"),
        ("a.vtt", VTT_HEAD, "{\\"),
        ("a.vtt", VTT_HEAD, "\r"),
        ("a.ass", ASS_HEAD, "{\\"),
        ("a.ass", ASS_HEAD, "{"),
        ("a.ass", ASS_HEAD + "{\\p1}", "{"),
    ],
)
def test_what_is_never_closed_takes_no_longer(name, head, unit):
    content = f"{head}{unit * 50_000}x".encode()
    start = time.process_time()
    parse_caption_file(content, name)
    assert time.process_time() - start < 0.9


def test_many_lines_that_might_roll_take_no_longer():
    lines = "".join(f"{number}\n" for number in range(20_000))
    start = time.process_time()
    parse_captions(f"00:01,000 --> 00:02,000\na\n{lines}\n00:02,000 --> 00:03,000\nb\n{lines.replace('1', 'x')}")
    assert time.process_time() - start < 0.9


def test_cues_come_out_in_order_of_time():
    text = "00:05.000 --> 00:06.000\nlater\n\n00:01.000 --> 00:02.000\nearlier\n"
    assert [cue.text for cue in parse_captions(text).cues] == ["earlier", "later"]


def test_rolling_captions_come_out_once():
    text = (
        "WEBVTT\n\n00:00.000 --> 00:02.000\nfirst line\n\n"
        "00:02.000 --> 00:04.000\nfirst line\nsecond line\n\n"
        "00:04.010 --> 00:06.000\nsecond line\nthird line\n"
    )
    assert [cue.text for cue in parse_captions(text).cues] == [
        "first line",
        "second line",
        "third line",
    ]


def test_words_that_are_said_again_later_stay():
    text = "00:00.000 --> 00:01.000\nagain\n\n00:03.000 --> 00:04.000\nagain\n"
    assert [cue.text for cue in parse_captions(text).cues] == ["again", "again"]


def test_empty_files_have_no_cues():
    assert parse_caption_file(b"", "empty.srt")[:2] == ([], 0)
    assert parse_caption_file(b"WEBVTT\n", "header.vtt")[:2] == ([], 0)


def test_a_file_without_any_cue_is_refused():
    with pytest.raises(DataError, match="no line with '-->'"):
        parse_caption_file(b"Dear Anna,\nthis is no --> caption file.\n", "letter.srt")


def test_times_without_words_are_no_captions():
    assert parse_caption_file(b"1\n00:00:01,000 --> 00:00:02,000\n\n2\n", "silent.srt")[:2] == ([], 0)


def test_format_round_trip():
    cues = [Cue("a < b & c", 0.1, 1.953), Cue("later", 3599.999, 7325.5)]
    assert parse_captions(format_vtt(cues)) == (cues, 0)


def test_nearest_are_those_that_overlap_then_the_next():
    cues = [Cue(str(i), float(i), i + 0.5) for i in range(20)]
    chosen = nearest_captions(cues, 10.2, 11.2, maximum=3)
    assert [cue.text for cue in chosen] == ["9", "10", "11"]
    assert [cue.text for cue in nearest_captions(cues, 10.2, 11.2, maximum=2)] == ["10", "11"]


def test_nearest_captions_have_times_of_the_clip():
    (cue,) = nearest_captions([Cue("before", 8.0, 9.5)], 10.0, 20.0)
    assert cue == Cue("before", -2.0, -0.5)


@pytest.mark.parametrize(("reach_seconds", "count"), [(4.9, 0), (5.0, 1)])
def test_captions_out_of_reach_are_not_taken(reach_seconds, count):
    cues = [Cue("far", 15.0, 16.0)]
    assert len(nearest_captions(cues, 0.0, 10.0, reach_seconds=reach_seconds)) == count


def test_youtubes_automatic_vtt():
    text = (
        "WEBVTT\nKind: captions\nLanguage: en\n\n"
        "00:00:00.160 --> 00:00:02.389 align:start position:0%\n \nfirst<00:00:00.480><c> line</c>\n\n"
        "00:00:02.389 --> 00:00:02.399 align:start position:0%\nfirst line\n \n\n"
        "00:00:02.399 --> 00:00:04.000 align:start position:0%\nfirst line\nsecond<00:00:03.000><c> line</c>\n\n"
    )
    assert parse_captions(text) == ([Cue("first line", 0.16, 2.389), Cue("second line", 2.399, 4.0)], 0)


def event(start_ms, duration_ms, *words, **more):
    return {"tStartMs": start_ms, "dDurationMs": duration_ms, "segs": [{"utf8": word} for word in words], **more}


def test_lines_of_json3_end_when_the_next_begins():
    events = [
        {"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wpWinPosId": 1},
        event(160, 4000, "first", " l\u00ednea", wWinId=1),
        event(2390, 1770, "\n", wWinId=1, aAppend=1),
        event(2400, 3600, "second line", wWinId=1),
        event(9000, 500, "[Music]", wWinId=1),
    ]
    assert parse_json3(json.dumps({"wireMagic": "pb3", "events": events})) == (
        [Cue("first l\u00ednea", 0.16, 2.4), Cue("second line", 2.4, 6.0), Cue("[Music]", 9.0, 9.5)],
        0,
    )


def test_json3_captions_of_people_may_overlap():
    events = [event(0, 3000, "one\nspeaks"), event(1000, 3000, "another"), {"segs": [{"utf8": "when?"}]}]
    assert parse_json3(json.dumps({"events": events})) == ([Cue("one speaks", 0, 3), Cue("another", 1, 4)], 1)


@pytest.mark.parametrize(
    "text",
    ["WEBVTT", "[]", "{}", '{"events": [1]}', '{"events": [{"segs": [2]}]}', '{"events": [{"tStartMs": "0"}]}'],
)
def test_what_is_no_json3_is_refused(text):
    with pytest.raises(DataError, match="json3"):
        parse_caption_file(text.encode(), "id.en.json3")


def test_files_are_read_by_their_suffix():
    content = json.dumps({"events": [event(0, 1000, "words")]}).encode("utf-8-sig")
    assert parse_caption_file(content, "id.en.JSON3").cues == [Cue("words", 0, 1)]


def test_caption_lists_are_sorted_and_their_broken_rows_counted():
    lists = {
        "start": [5, 1.5, None, math.nan, 3, "0", 2.0, 4.0, 4.0, True],
        "end": [7, 6, 1, 1, 2, 1, 2.0, 5.0, 5.0, 2],
        "text": ["caf\u00e9", " overlapping\n line ", "a", "b", "c", "d", "\ud83d half", math.nan, "  ", "e"],
    }
    assert parse_caption_lists(lists) == (
        [Cue("overlapping line", 1.5, 6.0), Cue("? half", 2.0, 2.0), Cue("caf\u00e9", 5.0, 7.0)],
        6,
    )


@pytest.mark.parametrize(
    ("captions", "broken"),
    [
        ({"start": [1, 2], "end": [2, 3], "text": ["whose?"]}, 2),
        ({"start": [], "end": [], "text": []}, 0),
        ({"start": [1], "end": [2]}, 1),
        ({"start": 1, "end": 2, "text": "no lists"}, 1),
        (["no", "mapping"], 1),
    ],
)
def test_caption_lists_that_do_not_fit_are_broken(captions, broken):
    assert parse_caption_lists(captions) == ([], broken)


WHOLE = [Cue("a whole", 0.0, math.inf)]
CLIP_LINES = [{"start": "00:01:02.500", "end": "00:01:03.000", "lines": {"de": ["zwei", "Zeilen"], "en": ["two"]}}]
ROLLING = [{"start": 0, "end": 1, "lines": ["one"]}, {"start": 1, "end": 2, "lines": ["one", "two"]}]


@pytest.mark.parametrize(
    ("values", "languages", "cues", "language"),
    [
        ({"caption": "a\nwhole"}, (), WHOLE, None),
        ({"caption": ["a whole", "", "b"]}, (), [*WHOLE, Cue("b", 0.0, math.inf)], None),
        ({"clip_subtitles": CLIP_LINES, "clips": [["00:01:02.000", 63.0]]}, ["en"], [Cue("two", 0.5, 1.0)], "en"),
        ({"clip_subtitles": CLIP_LINES, "clips": [[62, 63]]}, (), [Cue("zwei Zeilen", 0.5, 1.0)], "de"),
        ({"yt_meta_dict": {"subtitles": {"en": ROLLING}}}, (), [Cue("one", 0, 1), Cue("two", 1, 2)], "en"),
        ({"yt_meta_dict": {"subtitles": ROLLING}, "caption": "x"}, (), [Cue("one", 0, 1), Cue("two", 1, 2)], None),
        ({"yt_meta_dict": {"info": None, "subtitles": None}, "caption": "a whole"}, (), WHOLE, None),
        ({"whisper_transcript": {"segments": [{"start": 0, "end": 1, "text": " x"}]}}, (), [Cue("x", 0, 1)], None),
    ],
)
def test_captions_of_samples(values, languages, cues, language):
    parsed, named = parse_json(json.dumps(values), languages)
    assert parsed == (cues, 0) and named == language and has_captions(values)


def test_broken_subtitles_of_a_sample_are_counted():
    rows = [{"start": "x", "end": 1, "lines": ["a"]}, {"start": 2, "end": 1, "lines": ["b"]}, {"lines": ["c"]}]
    assert parse_json(json.dumps({"yt_meta_dict": {"subtitles": rows}}))[0] == ([], 3)


@pytest.mark.parametrize(
    "values",
    [
        {"caption": None},
        {"caption": 7},
        {"caption": ""},
        {"title": "x"},
        {"yt_meta_dict": "x"},
        {"yt_meta_dict": {"subtitles": {"en": "x"}}},
        {"clip_subtitles": [{"lines": 5}], "clips": []},
        {"clip_subtitles": [{"lines": ["x"]}], "clips": [7]},
        {"whisper_transcript": [1]},
        {"segments": 5},
    ],
)
def test_samples_without_captions_do_no_harm(values):
    assert not has_captions(values)
    try:
        assert parse_json(json.dumps(values))[0].cues == []
    except DataError as error:
        assert "no captions" in str(error)


def test_a_caption_without_an_end_is_of_every_clip():
    assert nearest_captions(WHOLE, 0.0, 4.0) == [Cue("a whole", 0.0, 4.0)]
    assert nearest_captions(WHOLE, 4.0, 6.0) == [Cue("a whole", -4.0, 2.0)]
