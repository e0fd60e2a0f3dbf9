"""SubRip as people write it: every word is kept, and no number of a cue becomes one."""

import pytest

from data.text.cues import Cue
from data.text.subrip import clean_subrip, parse_subrip

pytestmark = pytest.mark.every_python
FIRST, SECOND, THIRD = "00:00:01,000 --> 00:00:03,000", "00:00:03,500 --> 00:00:05,000", "00:00:05,500 --> 00:00:07,000"


def texts(content):
    parsed = parse_subrip(content)
    assert not parsed.broken_cues
    return [cue.text for cue in parsed.cues]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keep it < 5 degrees and > 2 degrees", "keep it < 5 degrees and > 2 degrees"),
        ("(host)<it was about 70 years ago>", "(host)<it was about 70 years ago>"),
        ("<door slams>", "<door slams>"),
        ("<Brian> I <3 you, 1 <b and c> 2", "<Brian> I <3 you, 1 <b and c> 2"),
        ("if x<5 then <i>stop</i>", "if x<5 then stop"),
        ('<font color="#ffffff" size=12>white</FONT> <B>bold</B><br/>next', "white bold next"),
        ("<c.colorE5E5E5>so<00:00:01.500><c> far</c></c>", "so far"),
        ("{\\an8}{\\i1}up{\\i0} {b}here{/b} {not a tag}", "up here {not a tag}"),
        (r"one\Ntwo\hthree", "one two three"),
        ("rock &amp; roll, R&D &copy", "rock & roll, R&D &copy"),
    ],
)
def test_only_known_tags_are_tags(text, words):
    assert clean_subrip(text) == [words] or " ".join(clean_subrip(text)) == words


@pytest.mark.parametrize(
    "content",
    [
        f"1\n{FIRST}\nchop the onion\n2\n{SECOND}\nfry it\n3\n{THIRD}\nserve\n",
        f"1\n{FIRST}\nchop the onion\n\n2\n{SECOND}\nfry it\n\n3\n{THIRD}\nserve\n\n\n4\n",
        f"{FIRST}\nchop the onion\n{SECOND}\nfry it\n{THIRD}\nserve",
        f"\ufeff\n\n1\n{FIRST}\nchop\nthe onion\n\n\n\n2\n\n{SECOND}\n\nfry it\n\n3\n{THIRD}\nserve".replace(
            "\ufeff", ""
        ),
        f"1\r\r\n{FIRST}\r\r\nchop the onion\r\r\n\r\r\n2\r\r\n{SECOND}\r\r\nfry it\r\r\n\r\r\n3\r\r\n{THIRD}\r\r\nserve\r\r\n",
        f"1\n\n{FIRST}\n\nchop the onion\n\n\n\n2\n\n{SECOND}\n\nfry it\n\n\n\n3\n\n{THIRD}\n\nserve\n",
        f"1\n{FIRST} X1:40 X2:600 Y1:20 Y2:50\nchop the onion\n\n7\n{SECOND}\nfry it\n\n1\n{THIRD}\nserve\n",
    ],
)
def test_numbers_are_no_words_however_cues_are_separated(content):
    assert texts(content) == ["chop the onion", "fry it", "serve"]


def test_numbers_that_are_said_stay():
    assert texts(f"1\n{FIRST}\nten\n10\n\n2\n{SECOND}\n2\n\n3\n{THIRD}\n\n42\n") == ["ten 10", "2", "42"]
    assert texts(f"{FIRST}\ncount to\n10\n\n{SECOND}\n11\n\n{THIRD}\n2024\n") == ["count to 10", "11", "2024"]


def test_a_number_of_too_many_digits_is_no_number():
    digits = "9" * 5000
    assert texts(f"1\n00:01,000 --> 00:02,000\na\n\n{digits}\n00:03,000 --> 00:04,000\nb\n") == [f"a {digits}", "b"]


def test_a_blank_line_does_not_end_a_cue():
    assert texts(f"1\n{FIRST}\nbefore\n\nand after\n \n2nd\n\n2\n{SECOND}\nnext\n") == ["before and after 2nd", "next"]


def test_arrows_in_the_text_are_text():
    content = f"1\n{FIRST}\nA --> B\n\ngo --> there\n\n2\n{SECOND}\n--> or 5 --> 6\n"
    assert texts(content) == ["A --> B go --> there", "--> or 5 --> 6"]
    said = ["- 9:30 -> 10:00, or later", "00:01:02 -> here", "x 00:01:02 -> 00:01:03"]
    assert texts("".join(f"1\n{FIRST}\nsaid\n\n{line}\n" for line in said)) == [f"said {line}" for line in said]


@pytest.mark.parametrize(
    ("timing", "start", "end"),
    [
        ("00:01,500 --> 00:02,250", 1.5, 2.25),
        ("00:00:01,4 --> 00:00:02,45", 1.004, 2.045),
        ("0:0:1,5-->1:00:02,000", 1.005, 3602.0),
        ("00:00:01.250 --> 00:00:02.000", 1.25, 2.0),
        ("00:00:01 --> 00:00:02", 1.0, 2.0),
        ("00:00:01.500000 --> 00:00:02.250000", 1.5, 2.25),
        ("100:00:01,000 --> 100:00:02,000", 360001.0, 360002.0),
    ],
)
def test_times(timing, start, end):
    assert parse_subrip(f"1\n{timing}\nwords\n") == ([Cue("words", start, end)], 0)


@pytest.mark.parametrize(
    "broken",
    [
        "00:00:0x,000 --> 00:00:02,000",
        "00:00:03,000 --> 00:00:02,000",
        "00:61:00,0 --> 00:62:00,0",
        "-00:00:02,500 --> -00:00:01,000",
        "-00:00:00,500 --> 00:00:03,000",
        "00:00:05,000 --> -00:00:04,000",
        "\u221200:00:00,500 --> 00:00:03,000",
        "00: 00: 05,000 --> 00: 00: 06,000",
        "00:00:03,000 -> 00:00:04,000",
        "00:00:03,000 \u2014> 00:00:04,000",
        "00:00:03,000 \u2192 00:00:04,000",
    ],
)
def test_broken_times_are_counted(broken):
    assert parse_subrip(f"1\n{broken}\nlost\n\n2\n{THIRD}\nkept\n") == ([Cue("kept", 5.5, 7.0)], 1)
    after = parse_subrip(f"1\n{FIRST}\nkept\n\n2\n{broken}\nlost\n\n3\n{THIRD}\nalso\n")
    assert after == ([Cue("kept", 1.0, 3.0), Cue("also", 5.5, 7.0)], 1)
