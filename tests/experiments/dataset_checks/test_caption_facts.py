"""Captions on the page about a data set: languages, counts, warnings."""

import json
import re

from experiments.dataset_checks.caption_facts import captions_section

REPORT = {
    "videos_without_captions": 0,
    "caption_languages": {"en": 1200, "unknown": 3},
    "caption_languages_found": {"de": 7, "en": 1200},
    "captions_only_marks": 41,
    "captions_with_marks_removed": 0,
    "caption_encodings_guessed": 1,
    "warnings": ["two <languages>"],
}


def test_languages_counts_and_warnings_are_shown(tmp_path):
    (tmp_path / "prepare_report.json").write_text(json.dumps(REPORT))
    section = captions_section(str(tmp_path))
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", section)
    assert cells == ["en", "1,200", "1,200", "unknown", "3", "-", "de", "0", "7"]
    assert "two &lt;languages&gt;" in section
    assert "captions of marks alone, dropped: 41" in section and "encoding was guessed: 1" in section
    assert "lost marks" not in section


def test_reports_without_these_counts_show_nothing(tmp_path):
    assert captions_section(str(tmp_path)) == ""
    (tmp_path / "prepare_report.json").write_text('{"clips": {"train": 1}}')
    assert captions_section(str(tmp_path)) == ""
