"""What is known of the files that a data set was cut from: ids, titles and addresses, next to its records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from data.source.storage import join
from data.source.written_files import renamed_when_done

SOURCES_FILE = "sources.jsonl"


class SourceFacts(NamedTuple):
    """What is known of a file; None for what is not.

    Attributes:
      id: Its name where it comes from, such as YouTube's.
      title: Its title there.
      url: Its address.
      language: What is spoken in it, as a standard tag.
    """

    id: str | None = None
    title: str | None = None
    url: str | None = None
    language: str | None = None


def write_sources(directory: str, sources: Mapping[str, SourceFacts]) -> None:
    """Writes `sources.jsonl`: a JSON object a line, with `source` as records name it; no file where there is nothing."""
    if not sources:
        return
    with renamed_when_done(join(directory, SOURCES_FILE)) as path, tf.io.gfile.GFile(path, "w") as file:
        for source, facts in sorted(sources.items()):
            file.write(json.dumps({"source": source, **facts._asdict()}) + "\n")


def read_sources(directory: str) -> dict[str, SourceFacts]:
    """Returns what `write_sources` wrote, by source; nothing where there is no such file, or not of a damaged line."""
    found = {}
    try:
        with tf.io.gfile.GFile(join(directory, SOURCES_FILE)) as file:
            for line in file:
                try:
                    values = json.loads(line)
                    source = values.pop("source")
                    found[source] = SourceFacts(**values)
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
    except (tf.errors.OpError, UnicodeDecodeError):
        pass
    return found
