"""Timed Text: all divisions, nested times, every unit of time."""

import pytest

from data.errors import DataError
from data.text.cues import Cue
from data.text.ttml import declared_encoding, parse_ttml

pytestmark = pytest.mark.every_python


def document(body, namespace="http://www.w3.org/ns/ttml", more=""):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><tt xmlns="{namespace}" xmlns:ttp="{namespace}#parameter" '
        f'xml:lang="de" {more}><head><metadata><p>no text</p></metadata></head>{body}</tt>'
    )


def test_all_divisions_and_nested_times():
    body = """<body begin="10s"><div><p begin="00:00:01.000" end="00:00:02.500">Hallo <span>du</span><br/>da</p>
      <!-- a remark --><p begin="3s" dur="500ms"><metadata>no</metadata>zwei
      &amp; drei</p></div>
      <div begin="1m" end="65s"><p begin="1s">bis zum Ende</p><p/></div></body>"""
    assert parse_ttml(document(body)) == (
        ([Cue("Hallo du da", 11.0, 12.5), Cue("zwei & drei", 13.0, 13.5), Cue("bis zum Ende", 71.0, 75.0)], 0),
        "de",
    )


@pytest.mark.parametrize("namespace", ["http://www.w3.org/2006/04/ttaf1", "http://www.w3.org/2006/10/ttaf1"])
def test_older_namespaces(namespace):
    body = '<body><div><p begin="1.5s" end="2s">words</p></div></body>'
    assert parse_ttml(document(body, namespace))[0].cues == [Cue("words", 1.5, 2.0)]


@pytest.mark.parametrize(
    ("begin", "seconds"),
    [
        ("00:00:01:12", 1.48),
        ("30f", 1.2),
        ("20000t", 2.0),
        ("0.5h", 1800.0),
        ("1.5m", 90.0),
        ("250ms", 0.25),
        ("01:00:00", 3600.0),
    ],
)
def test_units_of_time(begin, seconds):
    content = document(
        f'<body><div><p begin="{begin}" dur="1s">x</p></div></body>', more='ttp:frameRate="25" ttp:tickRate="10000"'
    )
    assert parse_ttml(content)[0] == ([Cue("x", pytest.approx(seconds), pytest.approx(seconds + 1))], 0)


def test_times_of_spans_and_broken_ones():
    body = """<body><div><p><span begin="1s" end="2s">one</span> <span begin="2s" end="3s">two</span></p>
      <p begin="late">lost</p><p begin="5s">no end</p><p begin="6s" end="5s">backward</p></div></body>"""
    assert parse_ttml(document(body))[0] == ([Cue("one", 1.0, 2.0), Cue("two", 2.0, 3.0)], 3)


def test_what_is_no_ttml():
    for content in ("Dear Anna", "<html><body><p>x</p></body></html>", ""):
        with pytest.raises(DataError, match="not a TTML file"):
            parse_ttml(content)
    assert declared_encoding(b"<?xml version='1.0' encoding='ISO-8859-1'?><tt/>") == "ISO-8859-1"
    assert declared_encoding(b"<tt encoding='x'/>") is None
