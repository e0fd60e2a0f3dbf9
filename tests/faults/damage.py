"""Ways to damage a file."""

import json
import os
import pathlib
import re

CONTENTS = {"empty": b"", "binary": bytes(range(256)) * 8, "wrong type": b"[[1]]\n", "nested deeply": b"[" * 100_000}
WAYS = (
    *CONTENTS, "cut", "missing key", "huge number", "another version", "a folder", "no permission", "a link to itself",
    "a pipe", "removed",
)  # fmt: skip

# No program gets anything out of such a file.
UNREADABLE = (*CONTENTS, "a folder", "no permission", "a link to itself", "a pipe", "removed")


def damage(path: pathlib.Path, way: str) -> None:
    """Damages a file in one of `WAYS`."""
    content = path.read_bytes()
    if way == "no permission":
        path.chmod(0)
        return
    path.unlink()
    if way == "a folder":
        path.mkdir()
    elif way == "a pipe":  # who reads it waits for ever
        os.mkfifo(path)
    elif way == "a link to itself":
        path.symlink_to(path.name)
    elif way != "removed":
        path.write_bytes(_damaged(content, way))


def _damaged(content: bytes, way: str) -> bytes:
    if way in CONTENTS:
        return CONTENTS[way]
    if way == "cut":
        return content[: len(content) // 2]
    if way == "huge number":
        huge, found = re.subn(rb"(?<=[ :=\[(])\d+\b", b"9" * 400, content, count=1)
        return huge if found else content + b"9" * 5000
    return _other_keys(content, way)


def _other_keys(content: bytes, way: str) -> bytes:
    """A JSON object without its first key or with another one; of other files, without the first line or with another one."""
    try:
        found = json.loads(content)
        assert isinstance(found, dict) and found
    except (ValueError, AssertionError):
        return content[content.find(b"\n") + 1 :] if way == "missing key" else b"version 999\n" + content
    if way == "missing key":
        found.pop(next(iter(found)))
    else:
        found = {"version": 999} | found
    return json.dumps(found, indent=2).encode()


def is_damaged(path: pathlib.Path, before: bytes) -> bool:
    """Whether a file is another one than it was."""
    return not os.path.isfile(path) or not os.access(path, os.R_OK) or path.read_bytes() != before
