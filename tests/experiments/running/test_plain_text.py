"""Names from elsewhere do nothing to a terminal or a spreadsheet."""

import csv
import io

import pytest

from experiments.running import command_line
from experiments.running.command_line import BadInput
from experiments.running.plain_text import for_spreadsheet, for_terminal, markdown_table
from experiments.sweeps.table import csv_text


def test_control_characters_are_escaped_for_terminals():
    assert for_terminal("clip\x1b[2J\r\x07\x9b\u202e.mp4") == r"clip\x1b[2J\r\x07\x9b\u202e.mp4"
    assert for_terminal("ein Hähnchen, 鸡\n\tzwei") == "ein Hähnchen, 鸡\n\tzwei"
    for_terminal("\udcff\ud800").encode()


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(1)", "+x", "-A1(2)", "\t=1", "\n=1", "-1+1", "-x y"])
def test_formulas_are_text_for_spreadsheets(cell):
    assert for_spreadsheet(cell) == f"'{cell}"
    (row,) = csv.DictReader(io.StringIO(csv_text([{"point": cell, "value": -1.5}]), newline=""))
    assert row == {"point": f"'{cell}", "value": "-1.5"}


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-1e-5", "-dQw4_w9W-c", "a=b", "", -1.5, None])
def test_numbers_and_other_text_stay(cell):
    assert for_spreadsheet(cell) == cell


def test_a_carriage_return_does_not_end_a_row():
    rows = list(csv.DictReader(io.StringIO(csv_text([{"point": "one\rtwo\r\nthree"}]), newline="")))
    assert rows == [{"point": "one\ntwo\nthree"}] and for_spreadsheet("\r=1") == "'\n=1"


def test_a_message_shows_no_control_characters(capsys):
    def refuse(_):
        raise BadInput("no \x1b[31mclip\x07")

    assert command_line._guarded(refuse, ["program"]) == 2
    assert capsys.readouterr().err == "error: no \\x1b[31mclip\\x07\n"


def test_a_markdown_table_keeps_its_columns():
    assert markdown_table([["a", "b|c"], ["1", "2"]]) == "| a | b\\|c |\n| --- | --- |\n| 1 | 2 |\n"
    assert markdown_table([["a"], ["1"]], ruler=["--:"]) == "| a |\n| --: |\n| 1 |\n"
