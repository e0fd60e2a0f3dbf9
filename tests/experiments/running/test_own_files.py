"""A program replaces only files that it wrote itself."""

import pytest

from experiments.running.command_line import BadInput
from experiments.running.own_files import read_json_object, require_new_or_own


def is_own(path) -> bool:
    return "mine" in read_json_object(path)


def test_a_new_an_empty_and_an_own_file_may_be_written(tmp_path):
    for name, content in (("empty", ""), ("own", '{"mine": 1}')):
        (tmp_path / name).write_text(content)
    for name in ("new", "empty", "own", "no folder/new"):
        require_new_or_own(tmp_path / name, "--output", is_own)


@pytest.mark.parametrize("kind", ["another", "no JSON", "folder", "dangling link", "device"])
def test_anything_else_is_refused(kind, tmp_path):
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind in ("dangling link", "device"):
        path.symlink_to("/dev/null" if kind == "device" else "nowhere")
    else:
        path.write_text('{"theirs": 1}' if kind == "another" else "a video")
    with pytest.raises(BadInput, match=f"--output should be a new file, .* {path} is something else"):
        require_new_or_own(path, "--output", is_own)
