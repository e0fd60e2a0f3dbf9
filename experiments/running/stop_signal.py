"""Hears SIGTERM and Ctrl-C while a program is busy, so that it can end cleanly."""

import os
import signal
import threading
from collections.abc import Callable

QUIT_CODE = 130  # a shell's own for a program that Ctrl-C ended


class Stopped(Exception):
    """The run was asked to stop (SIGTERM or Ctrl-C)."""


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
