"""What preparation noted, on the page about a data set."""

import json
import re

import pytest

from data import dataset_builder
from experiments.dataset_checks.preparation_notes import KINDS, notes_section

NAMED = {
    "skipped": {"the file is empty": ["a.mp4", "b.mp4"], "no <video> track": ["c.mp4", "d.mp4"]},
    "incomplete": {"e.mp4": "1.0 of 2.0 s decoded"},
    "broken_cues": {},
    "captions_without_video": ["x.vtt"],
    "caption_files_not_read": {".sub": ["a.sub", "b.sub"]},
}
COUNTED = {
    "skipped": {"the file is empty": 9000, "no video track": 3000},
    "incomplete": 7,
    "names": "prepare_notes.jsonl",
}


def cells(directory):
    found = re.findall(r"<td[^>]*>([^<]*)</td>", notes_section(str(directory)))
    return [tuple(found[start : start + 3]) for start in range(0, len(found), 3)]


def test_notes_are_counted_and_some_files_named(tmp_path):
    (tmp_path / "prepare_report.json").write_text(json.dumps(NAMED))
    skipped = "a.mp4 (the file is empty); b.mp4 (the file is empty); c.mp4 (no &lt;video&gt; track); ..."
    assert cells(tmp_path) == [
        ("not used", "4", skipped),
        ("used in part", "1", "e.mp4 (1.0 of 2.0 s decoded)"),
        ("caption files without a video", "1", "x.vtt"),
        ("caption files of a form that is not read", "2", "a.sub (.sub); b.sub (.sub)"),
    ]


def test_names_of_very_many_notes_come_from_their_list(tmp_path):
    (tmp_path / "prepare_report.json").write_text(json.dumps(COUNTED))
    notes = [{"kind": "skipped", "name": f"{number}.mp4", "what": "the file is empty"} for number in range(9)]
    (tmp_path / "prepare_notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    (_, count, names), incomplete = cells(tmp_path)
    assert count == "12,000" and names.startswith("0.mp4 (the file is empty); 1.mp4") and names.endswith("; ...")
    assert incomplete == ("used in part", "7", "; ...")


@pytest.mark.parametrize("content", [None, "{}", "{", "[1]", '{"skipped": {}, "incomplete": {}}'])
def test_without_notes_there_is_no_table(tmp_path, content):
    if content is not None:
        (tmp_path / "prepare_report.json").write_text(content)
    assert notes_section(str(tmp_path)) == ""


def test_every_kind_of_note_has_a_title():
    assert set(dataset_builder("folder").NOTES) < set(KINDS)
