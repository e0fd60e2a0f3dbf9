"""Shared parts of all command lines: exit codes, and one clear message instead of a traceback for bad input.

Exit codes: 0 done, 1 a failure, 2 bad input or configuration, 128 + its number after a signal that left work undone.
"""

import contextlib
import functools
import gc
import logging as stdlib_logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence

from absl import app, flags, logging

from experiments.running.plain_text import for_terminal
from experiments.running.stop_signal import Interrupted, interruptible

_LOST = "Collective ops is aborted by: "


class BadInput(Exception):
    """The user's input cannot be used; the message says what was expected, what was found and what to do."""


class RunFailed(Exception):
    """The run cannot continue; the message says why, where, and what to do."""


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """For imports that load TensorFlow: keeps the garbage collector from walking over its million objects, now and later.

    That was a quarter of a program's start.
    """
    if "tensorflow" in sys.modules:  # garbage of this process would be kept, too
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def bad_input() -> Iterator[None]:
    """Takes a `ValueError` or `TypeError` raised inside as the user's mistake; for reading configurations and data sets."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise BadInput(str(error)) from error


def run(
    main: Callable[[list[str]], int | None],
    takes_arguments: bool = False,
    parse: Callable[[Sequence[str]], list[str]] = flags.FLAGS,
) -> None:
    """Runs `main` as an absl program with the project's exit codes.

    Args:
      main: Takes the arguments that are no flags, the program's name first; returns the exit code.
      takes_arguments: Whether there may be such arguments.
      parse: Takes the whole command line and sets the flags; returns those arguments. For flags that depend on others.
    """
    parser = functools.partial(_parse_flags, parse)
    app.run(lambda arguments: _guarded(main, arguments, takes_arguments), flags_parser=parser)


def _parse_flags(parse, arguments):
    _quiet_warnings()
    try:
        return parse(arguments)
    except BadInput as error:
        sys.exit(_fail(2, str(error)))
    except flags.Error as error:
        sys.exit(_fail(2, f"{str(error).rstrip('.')}. See --help."))
    except SystemExit:  # absl leaves with 1 when it has shown the help
        sys.exit(0)


def _guarded(main, arguments, takes_arguments=False):
    if len(arguments) > 1 and not takes_arguments:
        return _fail(2, f"unexpected arguments {arguments[1:]}; flags start with `--`; see --help.")
    _quiet_logs()
    try:
        with interruptible():
            return main(arguments) or 0
    except Interrupted as interruption:
        return _fail(interruption.exit_code, f"stopped by {interruption}. The same command starts or resumes the work.")
    except BadInput as error:
        return _fail(2, str(error))
    except RunFailed as error:
        return _fail(1, str(error))
    except Exception as error:
        if reason := lost_worker(error):
            return _fail(
                1, f"a worker of this run is lost: {reason} Start the same command on all workers again: it resumes."
            )
        if not _is_lack_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
        return _fail(
            1, f"there is not enough memory: {reason} Use a smaller batch, clips or model, or a larger machine."
        )


def lost_worker(error: Exception) -> str:
    """Returns what TensorFlow says of a worker that has ended or cannot be reached; empty if an error is another one."""
    _, found, reason = str(error).partition(_LOST)
    first_line = reason.partition("\n")[0]
    return f"{first_line.rstrip(' .:')}." if found else ""


def _is_lack_of_memory(error):
    """Tells NumPy's and Python's errors of it, and TensorFlow's, whose class is not known here before TensorFlow is loaded."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _quiet_warnings():
    """Keeps off the terminal what libraries say of their own insides."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore", FutureWarning)
        # scikit-learn, of a linear probe on a few clips: that it has few of them is in the result.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50% of the number of samples")


def _quiet_logs():
    """Likewise for their logs; what the user asked to see is shown."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.ERROR)  # TFDS warns of its own deprecated calls
    stdlib_logging.getLogger("tensorflow").setLevel(stdlib_logging.ERROR)  # likewise


def _fail(code, message):
    print(for_terminal(f"error: {message}"), file=sys.stderr, flush=True)
    return code
