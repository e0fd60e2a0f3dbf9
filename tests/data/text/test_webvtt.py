"""WebVTT by the rules of the W3C's parser."""

import pytest

from data.text.cues import Cue
from data.text.webvtt import clean_webvtt, header_language, is_webvtt, parse_webvtt

pytestmark = pytest.mark.every_python
TIMES = "00:01.000 --> 00:02.000"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<v.loud Esme Smith>It's <c.yellow>a <i>blue</i></c> tree</v>", "It's a blue tree"),
        ("so<00:00:01.500> far <unknown>tags go", "so far tags go"),
        ("keep it < 5 degrees and > 2", "keep it 2"),
        ("&lt;i&gt; &amp; &#39;quoted&#39; &nbsp;&lrm;x", "<i> & 'quoted' \u200ex"),
        ("never closed <b", "never closed"),
        ("a tag <b\nover lines>goes", "a tag goes"),
        ("{\\an8}top", "top"),
    ],
)
def test_the_text_of_a_cue(text, words):
    assert " ".join(clean_webvtt(text)) == words


@pytest.mark.parametrize(
    ("body", "cues"),
    [
        (f"{TIMES}\none\n{TIMES}\ntwo\n", ["one", "two"]),
        (f"id --\n{TIMES} align:start\none\n\nNOTE\nremark\n\nSTYLE\n::cue {{ color: red }}\n\nstray line\n", ["one"]),
        (f"1\n{TIMES}\none\n \ntwo\n\nlost\n", ["one two"]),
        (f"{TIMES}\n\nlost\n\n{TIMES}align:start\nkept", ["kept"]),
        (f"{TIMES}\none\n2\n{TIMES}\ntwo\n", ["one 2", "two"]),  # no blank line: the next cue's name is text
    ],
)
def test_blocks(body, cues):
    parsed = parse_webvtt(f"WEBVTT - title\nKind: captions\n\n{body}")
    assert parsed == ([Cue(text, 1.0, 2.0) for text in cues], 0)


@pytest.mark.parametrize(
    ("times", "span"),
    [
        ("1:00:00.000 --> 100:00:00.500", (3600.0, 360000.5)),
        ("00:01,000 --> 00:02,000", (1.0, 2.0)),
        ("00:01.4 --> 00:02.000", None),
        ("0:01.000 --> 0:02.000", None),
        ("00:01.0000 --> 00:02.000", None),
        ("90:00.000 --> 91:00.000", None),
        ("00:01.000 --> 00:02.0001", None),
    ],
)
def test_times(times, span):
    expected = ([Cue("words", *span)], 0) if span else ([], 1)
    assert parse_webvtt(f"WEBVTT\n\n{times}\nwords\n") == expected


def test_the_header():
    assert (
        header_language("WEBVTT\nKind: captions\nLanguage: pt-BR\n\n00:01.000 --> 00:02.000\nLanguage: de\n") == "pt-BR"
    )
    assert header_language("WEBVTT\n\nLanguage: de") is None
    assert is_webvtt("WEBVTT") and is_webvtt("WEBVTT - x\n") and not is_webvtt("WEBVTTX\n") and not is_webvtt("1\n")
