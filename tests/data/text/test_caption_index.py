"""Captions in one JSON file: what is found, whatever it looks like, and in how little memory."""

import json
import math
import tracemalloc

import pytest

from data.errors import DataError
from data.source.tree import SourceTree
from data.text.caption_index import CaptionIndex
from data.text.cues import Cue, ParsedCaptions

FIRST = {"start": [0.5, 2], "end": [3, 4.5], "text": ["ein \u201cSatz\u201d", 'with "quotes" }, {']}
SECOND = {"start": [1], "end": [math.nan], "text": ["no end"]}
CUES = [Cue("ein \u201cSatz\u201d", 0.5, 3.0), Cue('with "quotes" }, {', 2.0, 4.5)]


def index_of(directory, content, wanted=("-a_b", "second", "gone")):
    (directory / "caption.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    return CaptionIndex(SourceTree(directory), "caption.json", wanted)


@pytest.mark.parametrize("options", [{}, {"ensure_ascii": False}, {"indent": 2}, {"separators": (",", ":")}])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_reads_what_json_writes(tmp_path, options, mark):
    members = {"other": FIRST, "-a_b": FIRST, "second": SECOND}
    index = index_of(tmp_path, mark + json.dumps(members, **options).encode())
    assert list(index.read(["second", "gone", "-a_b", "other"])) == [
        ParsedCaptions([], 1),
        None,
        ParsedCaptions(CUES, 0),
        None,  # nobody wanted it
    ]


def test_the_last_of_a_name_counts_and_names_may_be_escaped(tmp_path):
    index = index_of(tmp_path, '{"second": null, "\\u002da_b" :{"start":[],"end":[],"text":[]},"second": 12}\n')
    assert list(index.read(["-a_b", "second"])) == [ParsedCaptions([], 0), ParsedCaptions([], 1)]


@pytest.mark.parametrize("content", ["{}", " { } \n"])
def test_an_empty_object_has_no_captions(tmp_path, content):
    assert list(index_of(tmp_path, content).read(["second"])) == [None]


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"second": {"start": [1', '{"second": {}', '{"second": {}, 1}', '{"second": 12', '{"a": {}} {}'],
)
def test_a_file_that_breaks_off_or_is_none_is_refused(tmp_path, content):
    with pytest.raises(DataError, match=r"caption\.json cannot be read.*from byte \d+ on"):
        index_of(tmp_path, content)


def test_what_is_nested_too_deeply_is_refused(tmp_path):
    with pytest.raises(DataError, match="nested too deeply: what starts at byte 5"):
        index_of(tmp_path, '{"a":' + "[" * 100_000)


def test_a_large_file_is_read_in_little_memory(tmp_path):
    captions = [f"caption {number} of a video, " + "with many words " * 20 for number in range(50)]
    member = {"start": list(range(50)), "end": list(range(2, 52)), "text": captions}
    line = json.dumps(member)
    videos = 20_000_000 // len(line)
    with open(tmp_path / "caption.json", "w") as file:
        file.write("{" + ", ".join(f'"{number:011d}": {line}' for number in range(videos)) + "}")
    tracemalloc.start()
    index = CaptionIndex(SourceTree(tmp_path), "caption.json", {f"{videos - 1:011d}"})
    (parsed,) = index.read([f"{videos - 1:011d}"])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [cue.text for cue in parsed.cues] == [caption.strip() for caption in captions]
    assert peak_bytes < 5e6, peak_bytes


def test_a_member_larger_than_a_chunk(tmp_path):
    text = "word " * 1_000_000
    members = {"-a_b": {"start": [0], "end": [1], "text": [text]}, "second": FIRST}
    first, second = index_of(tmp_path, json.dumps(members)).read(["-a_b", "second"])
    assert first.cues == [Cue(text.strip(), 0.0, 1.0)] and second.cues == CUES
