"""The programs. The only package that combines the model, the data and the harmonization."""

import os

from experiments import distribution

# Before TensorFlow is loaded: its start-up chatter would bury the one line that a person needs. Failures still raise.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Likewise before: TensorFlow would load Keras 3 as well as Keras 2 (vatt/keras.py) and take seconds longer.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

# The siblings, also where the current directory has a `data` of its own.
distribution.put_first()
