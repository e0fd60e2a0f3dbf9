"""The compiler's log level; that it silences the real compiler, `test_finetune_cli` sees."""

import types

import pytest

from experiments.running import compiler_log


@pytest.mark.parametrize(("level", "expected"), [("3", [3]), ("0", [0]), ("9", [3]), ("", [])])
def test_the_compiler_gets_the_level_that_the_user_has_set(monkeypatch, level, expected):
    levels = []
    library = types.SimpleNamespace(**{compiler_log._SET_LEVEL: lambda number: levels.append(number.value)})
    monkeypatch.setattr(compiler_log.ctypes, "CDLL", lambda path: library)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    compiler_log.apply_log_level()
    assert levels == expected


def test_another_build_of_tensorflow_is_left_alone(monkeypatch):
    monkeypatch.setattr(compiler_log.ctypes, "CDLL", lambda path: types.SimpleNamespace())
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    compiler_log.apply_log_level()
