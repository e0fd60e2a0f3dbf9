import pytest

from data.errors import DataError
from data.preparing.listing import hash_position
from data.preparing.named_files import files_by_name, require_some
from data.source.tree import SourceTree


def test_the_first_suffix_then_the_first_path_is_taken(tmp_path):
    for path in ("z/a.mp4", "b/a.webm", "b/a.mp4.part", "y/-b_.WEBM", "x/-b_.webm", "c.d.mp4", ".e.mp4", "f.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    found = files_by_name(SourceTree(tmp_path), (".mp4", ".webm"))
    assert found == {"a": "z/a.mp4", "-b_": "x/-b_.webm", "c.d": "c.d.mp4"}


def test_names_in_either_form_of_unicode_are_the_same(tmp_path):
    decomposed, composed = "Sen\u0303al", "Se\u00f1al"
    (tmp_path / f"{decomposed}.mp4").touch()
    (tmp_path / "list.csv").write_text(f"{decomposed},x\n{composed},y\n")
    tree = SourceTree(tmp_path)
    assert files_by_name(tree, (".mp4",)) == {composed: f"{decomposed}.mp4"}
    assert [row[0] for row in tree.read_rows("list.csv")] == [composed, composed]
    assert [line[: len(composed)] for line in tree.read_lines("list.csv")] == [composed, composed]
    assert hash_position(decomposed) == hash_position(composed)


def test_a_list_of_which_nothing_is_there_is_refused(tmp_path):
    require_some(SourceTree(tmp_path), ["a video"], [], "a.mp4")
    with pytest.raises(DataError, match=r"none of the 2 videos .* with names like a\.mp4"):
        require_some(SourceTree(tmp_path), [], ["b", "c"], "a.mp4")
