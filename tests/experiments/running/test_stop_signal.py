"""Signals are heard at once, also while the main thread is in a call that takes long."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from experiments.running.stop_signal import QUIT_CODE, StopSignal

# The main thread is in one call of C code that no handler interrupts, as it is in TensorFlow.
BUSY = """
import hashlib
from experiments.running.stop_signal import StopSignal
with StopSignal(lambda name: print(name, "is heard", flush=True)):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@pytest.fixture
def heard():
    """The names that were answered to."""
    return []


@pytest.fixture
def stop(heard):
    with StopSignal(heard.append) as stop:
        yield stop


def wait_for(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_remembered_and_answered(stop, heard, number):
    assert not stop.received
    os.kill(os.getpid(), number)
    wait_for(lambda: heard)
    assert heard == [number.name] and stop.received == number.name


def test_more_of_sigterm_change_nothing(stop, heard):
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: heard)
    assert heard == ["SIGTERM"]


def test_handlers_are_put_back(heard):
    before = [signal.getsignal(number) for number in StopSignal.numbers]
    threads = threading.active_count()
    with StopSignal(heard.append):
        assert [signal.getsignal(number) for number in StopSignal.numbers] != before
    assert [signal.getsignal(number) for number in StopSignal.numbers] == before
    assert threading.active_count() == threads and signal.set_wakeup_fd(-1) == -1


def test_a_busy_program_answers_and_quits_at_the_second_ctrl_c():
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "SIGINT is heard\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == QUIT_CODE
    finally:
        process.kill()
        process.stdout.close()
