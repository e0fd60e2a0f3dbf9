"""Advanced SubStation Alpha, .sbv and .lrc: all lines, at their times."""

import pytest

from data.errors import DataError
from data.text.cues import Cue
from data.text.plain_formats import clean_ass, parse_ass, parse_lrc, parse_sbv

pytestmark = pytest.mark.every_python
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:03.00,0:00:04.50,Default,,0,0,0,,a comment
Dialogue: 0,0:00:03.00,0:00:04.50,Default,,0,0,0,,{\\i1}Hello{\\i0}, wörld\\Nsecond\\hline
Dialogue: 0,0:00:01.00,1:00:02.50,Default,Anna,0,0,0,,{\\an5\\p1}m 0 0 l 1 1{\\p0}First, one
Dialogue: 0,0:00:0x.00,0:00:02.50,Default,,0,0,0,,broken
"""
CUES = [Cue("First, one", 1.0, 3602.5), Cue("Hello, wörld second line", 3.0, 4.5)]


def test_ass():
    assert parse_ass(ASS) == (CUES, 1)
    assert parse_ass(ASS.replace("\n", "\r\n")) == (CUES, 1)


def test_ssa_and_another_order_of_fields():
    events = "[events]\nFormat: Marked, End, Start, Text\nDialogue: Marked=0,0:00:02.50,0:00:01.05,one, and two\n"
    assert parse_ass(events) == ([Cue("one, and two", 1.05, 2.5)], 0)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a{\\p1}m 0 0 l 1 1{\\p0}b", ["ab"]),
        ("a{\\p1}m 0 0{\\b1}l 1 1", ["a"]),
        ("{\\p1}m 0 0{\\p0\\i1}b{\\p2}m 1 1{\\p0}c", ["bc"]),
        ("{\\pos(1,2)}a{\\b1{x}b}c", ["ab}c"]),
        ("a{b", ["a{b"]),
    ],
)
def test_drawings_and_tags_are_no_words(text, lines):
    assert clean_ass(text) == lines


def test_sbv():
    content = "0:00:01.000,0:00:03.500\nhello there\nsecond line\n\n1:00:04.040,1:00:05.400\n>> bye[br]now\n"
    assert parse_sbv(content) == ([Cue("hello there second line", 1.0, 3.5), Cue(">> bye now", 3604.04, 3605.4)], 0)


def test_lrc():
    content = (
        "[ti:Song]\n[00:01.50]one\n[00:03.50][00:10.00]twice\n[00:05.00]<00:05.00>word <00:05.50>times\n"
        "[00:12.00]\n[01:02]last\n"
    )
    assert parse_lrc(content) == (
        [
            Cue("one", 1.5, 3.5),
            Cue("twice", 3.5, 5.0),
            Cue("word times", 5.0, 10.0),
            Cue("twice", 10.0, 12.0),
            Cue("last", 62.0, 72.0),
        ],
        0,
    )


def test_the_offset_of_lyrics_is_in_milliseconds():
    assert parse_lrc("[offset:+500]\n[00:01.00]one\n[00:02.00]\n").cues == [Cue("one", 0.5, 1.5)]
    assert parse_lrc("[offset:-500]\n[00:01.00]one\n[00:02.00]\n").cues == [Cue("one", 1.5, 2.5)]


def test_an_offset_of_more_digits_than_a_number_has_is_none():
    assert parse_lrc(f"[offset:{'9' * 400}]\n[00:01.00]x\n").cues == [Cue("x", 1.0, 11.0)]


@pytest.mark.parametrize("parse", [parse_ass, parse_sbv, parse_lrc])
def test_what_is_something_else_is_refused(parse):
    with pytest.raises(DataError, match=r"not an? \.(ass|sbv|lrc)"):
        parse("Dear Anna,\nthis is a letter.\n")
