#!/usr/bin/env bash
# Surprise: one functional model of a class between `keras.Model` and others changes the bases of that class for good; from then on no
#   subclass with a `call` of its own can be made, though such ones were made before, and nothing of them has changed.
# Common guess: making an object changes no class; classes that share a base are independent of each other.
# Source: keras-team/keras issue 17270, open since 2022; `inject_functional_model_class`, which also names the classes above.
# Seen: keras 3.12.4: made before, then Functional.__init__() missing 2 required positional arguments: 'inputs' and 'outputs';
#   tf_keras 2.20.1: made before, then Functional.__init__() missing 2 required positional arguments: 'inputs' and 'outputs'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
export UV_EXCLUDE_NEWER=2026-11-28
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" tensorflow==2.20.0 tf-keras==2.20.1 keras==3.12.4
cat > "$folder/siblings.py" <<'PY'
import importlib
import sys

keras = importlib.import_module(sys.argv[1])


class Base(keras.Model):
    """What a library adds for all kinds of models."""


class WithCall(Base):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)


before = type(WithCall()).__bases__
source = keras.Input([2])
Base(source, keras.layers.Dense(1)(source))
try:
    WithCall()
    after = "made after"
except TypeError as error:
    after = str(error)
print(f"{sys.argv[1]} {keras.__version__}: made before, then {after}")
assert before == (Base,) and "missing 2 required positional arguments" in after, "this has changed"
PY
export TF_CPP_MIN_LOG_LEVEL=3
"$folder/bin/python" "$folder/siblings.py" keras
"$folder/bin/python" "$folder/siblings.py" tf_keras
