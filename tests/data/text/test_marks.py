"""Marks of sounds, names of speakers, dashes of dialogues: dropped, removed or kept, and never words with them."""

import time

import pytest

from data.text.cues import Cue
from data.text.marks import DROP_PURE, KEEP, REMOVE, is_mark, remove_marks, without_marks

pytestmark = pytest.mark.every_python


@pytest.mark.parametrize(
    "text",
    [
        "[Music]",
        "(applause)",
        "♪ ♪",
        "♪",
        "[door slams] (laughs) ♫",
        "*sighs*",
        "（拍手）",
        "【音楽】",
        "...",
        "[ __ ]",
    ],
)
def test_pure_marks(text):
    assert is_mark(text)


@pytest.mark.parametrize(
    "text",
    [
        "♪ we will rock you ♪",
        "[Music] chop the onion",
        "(host)<it was about 70 years ago>",
        "<door slams>",
        "5",
        "切る",
        "ไทย",
    ],
)
def test_words_are_no_marks(text):
    assert not is_mark(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[Music] chop (laughs) the onion", "chop the onion"),
        ("♪ we will rock you ♪", "we will rock you"),
        ("ANNA: hello", "hello"),
        (">> DR. ANNA O'NEIL: hello: you", "hello: you"),
        (">> hello", "hello"),
        ("ÉMILE: oui", "oui"),
        ("Note: do not stir", "Note: do not stir"),
        ("at 10: start", "at 10: start"),
        ("THIS IS NOT THE NAME OF ANYBODY: no", "THIS IS NOT THE NAME OF ANYBODY: no"),
        ("- Who is it? - Me. — Come in", "Who is it? Me. Come in"),
        ("-Hello", "Hello"),
        ("a dash - in the midst. - stays", "a dash - in the midst. - stays"),
        ("-5 degrees", "-5 degrees"),
        ("well-known", "well-known"),
    ],
)
def test_marks_are_removed_from_words(text, words):
    assert remove_marks(text) == words


def test_policies_count_what_they_do():
    cues = [Cue("[Music]", 0, 1), Cue("[Music] chop", 1, 2), Cue("fry", 2, 3)]
    assert without_marks(cues, KEEP) == (cues, 0, 0)
    assert without_marks(cues, DROP_PURE) == (cues[1:], 1, 0)
    assert without_marks(cues, REMOVE) == ([Cue("chop", 1, 2), Cue("fry", 2, 3)], 1, 1)


def test_brackets_that_are_never_closed_take_no_longer():
    start = time.process_time()
    assert remove_marks("【" * 50_000 + "a【sigh】b") == "【" * 50_000 + "a b"
    assert time.process_time() - start < 0.9
