#!/usr/bin/env bash
# Surprise: FFmpeg takes [offset:+500] of an .lrc file for 500 microseconds; it is in milliseconds. Lyrics stay where they are.
# Common guess: a demuxer that knows the tag applies it.
# Source: our own trials. Lyrics players count milliseconds; FFmpeg subtracts the number in its time base of microseconds.
# Seen: PyAV 17.1.0: a line at 1 s with an offset of 500 ms starts at 0.9995 s; with 500000 it starts at 0.5 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check av==17.1.0
"$folder/bin/python" - <<'PY'
import io

import av


def first_start(offset):
    lyrics = f"[offset:{offset}]\n[00:01.00]one\n[00:02.00]two\n".encode()
    with av.open(io.BytesIO(lyrics), format="lrc") as container:
        packet = next(packet for packet in container.demux() if packet.size)
        return float(packet.pts * packet.time_base)


starts = {offset: first_start(offset) for offset in ("+0", "+500", "+500000")}
print(f"PyAV {av.__version__}: a line at 1 s starts at {starts}")
assert starts["+0"] == 1.0 and starts["+500000"] == 0.5
assert starts["+500"] == 0.9995, "an offset is in milliseconds now: the surprise is gone"
PY
