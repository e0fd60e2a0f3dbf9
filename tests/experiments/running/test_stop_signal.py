"""Signals are heard at once, also while the main thread is in a call that takes long."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from experiments.running.command_line import _guarded as guarded
from experiments.running.run_lock import only_writer
from experiments.running.stop_signal import QUIT_CODE, StopSignal, interruptible

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_without_checkpoints_ends_with_one_line(number, capsys, tmp_path):
    before = [signal.getsignal(each) for each in StopSignal.numbers]

    def work(_):
        with only_writer(tmp_path / "run", "training"):
            os.kill(os.getpid(), number)
            time.sleep(10)

    assert guarded(work, ["program"]) == 128 + number
    assert capsys.readouterr().err == f"error: stopped by {number.name}. The same command starts or resumes the work.\n"
    assert [signal.getsignal(each) for each in StopSignal.numbers] == before
    assert os.listdir(tmp_path) == [], "the lock is released"


def test_the_second_signal_quits_a_program_that_is_still_cleaning_up():
    code = (
        "import time\nfrom experiments.running.stop_signal import interruptible\n"
        "with interruptible():\n    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('cleaning', flush=True)\n        time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 128 + signal.SIGINT
    finally:
        process.kill()
        process.stdout.close()


def test_a_thread_leaves_the_signals_alone():
    before, found = [signal.getsignal(number) for number in StopSignal.numbers], []

    def look():
        with interruptible():
            found.extend(signal.getsignal(number) for number in StopSignal.numbers)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == before
