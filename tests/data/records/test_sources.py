"""What is kept of the files that a data set was cut from."""

import pytest

from data.records.sources import SourceFacts, read_sources, write_sources

pytestmark = pytest.mark.every_python


def test_facts_come_back_and_damaged_lines_are_skipped(tmp_path):
    facts = {"b.mp4": SourceFacts("1", "t\u00e9\n", language="en"), "a.mp4": SourceFacts(url="https://example.org")}
    write_sources(str(tmp_path), facts)
    with open(tmp_path / "sources.jsonl", "a") as file:
        file.write('{broken\n[]\n{}\n{"source": "c.mp4", "color": 1}\n')
    assert read_sources(str(tmp_path)) == facts


def test_without_facts_there_is_no_file(tmp_path):
    write_sources(str(tmp_path), {})
    assert list(tmp_path.iterdir()) == [] and read_sources(str(tmp_path)) == {}
