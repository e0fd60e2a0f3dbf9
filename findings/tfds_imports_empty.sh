#!/usr/bin/env bash
# Surprise: uv, asked for tensorflow-datasets and protobuf 6.33 on Python 3.10, takes tensorflow-metadata 0.5.0, a release for
#   Python 2 alone.
#   `import tensorflow_datasets` then succeeds and leaves an empty module: the error inside is caught and logged, and only
#   the first use says "has no attribute".
# Common guess: a resolver does not take a release that is not for this Python; a package that imports is whole.
# Source: uv's documentation says that it heeds only the lower bound of Requires-Python. tensorflow-metadata 1.21 wants protobuf
#   <= 6.32 on Python 3.10, tensorflow-datasets takes any tensorflow-metadata, and its __init__.py catches every exception.
# Seen: uv 0.13.9 chose tensorflow-metadata==0.5.0 (for Python >=2.7,<3); the import raised nothing; module has load: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
export UV_EXCLUDE_NEWER=2026-11-28
printf 'tensorflow-datasets==4.9.10\nprotobuf==6.33.6\n' > "$folder/wanted"
"$folder/bin/uv" pip compile --quiet --python-version 3.10 --no-header --no-annotate "$folder/wanted" > "$folder/chosen"
grep '^tensorflow-metadata==0.5.0$' "$folder/chosen" || { echo "another release is chosen now"; exit 1; }
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" tensorflow-datasets==4.9.10 protobuf==6.33.6 tensorflow-metadata==0.5.0
"$folder/bin/python" - 2> "$folder/errors" <<'PY'
from importlib.metadata import metadata, version

import tensorflow_datasets

chosen, works = metadata("tensorflow-metadata"), hasattr(tensorflow_datasets, "load")
print(f"uv {version('uv')} chose tensorflow-metadata=={chosen['Version']} (for Python {chosen['Requires-Python']})")
print(f"the import raised nothing; module has load: {works}")
assert not works, "the module is whole now: the surprise is gone"
PY
grep -q "Descriptors cannot be created directly" "$folder/errors"
