"""The log of TensorFlow's XLA compiler."""

import ctypes
import os
import pathlib

import tensorflow as tf

_LIBRARIES = ("libtensorflow_framework.so.2", "libtensorflow_framework.2.dylib")
_SET_LEVEL = (
    "_ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE"  # absl::SetMinLogLevel in TensorFlow 2.20
)


def apply_log_level() -> None:
    """Makes XLA heed TF_CPP_MIN_LOG_LEVEL; does nothing where the level is not a number, or TensorFlow is another build.

    XLA writes with Abseil, whose levels are the same, but TensorFlow does not hand its level on.
    """
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0")
    paths = [path for name in _LIBRARIES if (path := pathlib.Path(tf.sysconfig.get_lib(), name)).exists()]
    if not level.isdecimal() or not paths:
        return
    set_level = getattr(ctypes.CDLL(str(paths[0])), _SET_LEVEL, None)
    if set_level:
        set_level(ctypes.c_int(min(int(level), 3)))
