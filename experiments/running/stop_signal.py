"""Hears SIGTERM and Ctrl-C while a program is busy, so that it can end cleanly."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

QUIT_CODE = 130  # a shell's own for a program that Ctrl-C ended


class Stopped(Exception):
    """The run was asked to stop (SIGTERM or Ctrl-C)."""


class Interrupted(BaseException):
    """A program that has nothing to save was asked to stop; not an `Exception`, so that nothing takes it for a failure."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # a shell's own


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turns SIGTERM and Ctrl-C into `Interrupted`, so that files are closed and locks released; a second one quits at once.

    What knows better what to do, such as `StopSignal`, takes the signals over for its time. Other threads than the main
    one leave them alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in StopSignal.numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number, _):
    for other in StopSignal.numbers:
        signal.signal(other, lambda number, _: os._exit(128 + number))
    raise Interrupted(number)


class StopSignal:
    """A context that remembers SIGTERM and Ctrl-C, and says at once what happens now; a second Ctrl-C quits.

    Python calls a signal's handler only between two calls of TensorFlow, and a step, or compiling one, can take minutes.
    So a thread waits for the byte that the interpreter writes to a pipe as soon as the signal is there.

    Args:
      answer: Takes the signal's name; says what happens now. It is called in the thread. `None` to say nothing.

    Attributes:
      received: Name of the first signal that was heard; empty before.
    """

    numbers = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, answer: Callable[[str], None] | None = None):
        self.answer, self.received = answer, ""

    def __enter__(self) -> "StopSignal":
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._remember) for number in self.numbers}
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._write)  # which ends the thread
        self._thread.join()
        os.close(self._read)

    def _remember(self, number: int, _) -> None:
        self.received = self.received or signal.Signals(number).name

    def _listen(self) -> None:
        heard = False
        while number := os.read(self._read, 1):
            if number[0] not in self.numbers:
                continue
            if heard and number[0] == signal.SIGINT:
                os._exit(
                    QUIT_CODE
                )  # the main thread may be in TensorFlow for long; checkpoints appear whole or not at all
            if not heard:
                heard = True
                self._remember(number[0], None)
                if self.answer:
                    self.answer(self.received)
