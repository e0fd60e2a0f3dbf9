#!/usr/bin/env bash
# Surprise: resvg_py.svg_to_bytes refuses an SVG whose width and height are in points, millimeters or inches with
#   "SVG has an invalid size", also where the size to draw is given. Its default is dpi=0, which makes such lengths 0.
# Common guess: 0 means the standard's 96 dots per inch, as the docstring's "`0` = SVG default" says.
# Source: https://www.w3.org/TR/css-values-3/#absolute-lengths: 1pt = 1/72 in, 1in = 96px. 16 of the 158 SVGs used of Debian's
#   tuxpaint-stamps-default 2022.06.04-1 are like this.
# Seen: resvg-py 0.5.0: pt, mm, in: ValueError without dpi, 64 x 64 with dpi=96; px: 64 x 64 without
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check resvg-py==0.5.0
"$folder/bin/python" - <<'PY'
import struct

import resvg_py


def drawn(unit, **options):
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9{unit}" height="9{unit}"><rect width="5" height="5"/></svg>'
    try:
        return struct.unpack(">2I", resvg_py.svg_to_bytes(svg_string=svg, width=64, **options)[16:24])
    except ValueError as error:
        return str(error)


found = {unit: (drawn(unit), drawn(unit, dpi=96)) for unit in ("px", "pt", "mm", "in")}
for unit, (plain, with_dpi) in found.items():
    print(f"{unit}: without dpi {plain}, with dpi=96 {with_dpi}")
assert found.pop("px")[0] == (64, 64)
assert all(each == ("SVG has an invalid size", (64, 64)) for each in found.values()), "the surprise is gone"
PY
