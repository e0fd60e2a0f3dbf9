#!/usr/bin/env bash
# Surprise: the newest SciPy for Python 3.10 (1.15.3) returns a point from scipy.optimize.nnls that is not the minimum, on a
#   2 x 2 matrix of small integers, with a residual of 0.0 that is false. No warning, no exception.
# Common guess: nnls is Lawson and Hanson's algorithm, exact up to rounding, in every release.
# Source: github.com/scipy/scipy/issues/25389. It matters to whoever checks a cone projection (UPGrad, DualProj, MGDA)
#   against it: an oracle that is right with SciPy 1.16 and later is wrong on Python 3.10. lsq_linear(method="bvls") is right.
# Seen: SciPy 1.15.3: x = [0.7388 0.2973], residual said 0.0000, is 0.8918; lsq_linear: x = [1.4 0. ], residual 0.4472
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check scipy==1.15.3 numpy==2.2.6
"$folder/bin/python" - <<'PY'
import numpy as np
import scipy
from scipy.optimize import lsq_linear, nnls

matrix, target = np.array([[1.0, 3.0], [2.0, 3.0]]), np.array([1.0, 3.0])
found, said = nnls(matrix, target)
best = lsq_linear(matrix, target, bounds=(0, np.inf), method="bvls").x
is_, least = (float(np.linalg.norm(matrix @ x - target)) for x in (found, best))
gradient = matrix.T @ (matrix @ found - target)
print(f"SciPy {scipy.__version__}: x = {found.round(4)}, residual said {said:.4f}, is {is_:.4f}")
print(f"lsq_linear: x = {best.round(4)}, residual {least:.4f}; gradient at nnls's point {gradient.round(4)}")
assert abs(gradient @ found) > 0.1, "nnls now meets the conditions of a minimum: the surprise is gone"
PY
