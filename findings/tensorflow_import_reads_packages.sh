#!/usr/bin/env bash
# Surprise: where google-api-python-client is installed, which tf-models-official brings, `import tensorflow` reads the metadata of every
#   installed package, before anything of Google's cloud is used, to word a warning that this Python grows old.
#   On Python 3.11 that has begun without any change of packages, on 24 October 2026.
# Common guess: a client library is loaded when it is used; and what an import does depends on the versions, not on the date.
# Source: TensorFlow's gce_cluster_resolver.py imports googleapiclient if it can; google-api-core does this since 2.28
#   (_python_version_support.py), from a year before a Python's end of life on.
# Seen: tensorflow 2.20.0, google-api-core 2.33.0, Python 3.11: the metadata of all packages read 1 time(s), FutureWarning;
#   google-api-core 2.27.0: 0 time(s), no warning
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -c 'import sys; assert sys.version_info[:2] in ((3, 10), (3, 11)), "Set PYTHON to a Python 3.10 or 3.11."'
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
export UV_EXCLUDE_NEWER=2026-11-28
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" \
  tensorflow==2.20.0 google-api-python-client==2.202.0 google-api-core==2.33.0
cat > "$folder/count.py" <<'PY'
import importlib.metadata
import sys
import warnings

expected, calls, read = int(sys.argv[1]), [], importlib.metadata.packages_distributions
importlib.metadata.packages_distributions = lambda: calls.append(1) or read()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", FutureWarning)
    import tensorflow

warned = any("Python version" in str(each.message) for each in caught)
found = [f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "google-api-core")]
print(f"{', '.join(found)}: the metadata of all packages read {len(calls)} time(s), {'FutureWarning' if warned else 'no warning'}")
assert (len(calls), warned) == (expected, bool(expected)), "this has changed"
PY
export TF_CPP_MIN_LOG_LEVEL=3
"$folder/bin/python" "$folder/count.py" 1
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" google-api-core==2.27.0
"$folder/bin/python" "$folder/count.py" 0
