"""Tampers with a file that stays well-formed: somewhere in it stands another value, as an attacker or a slip would put it."""

import csv
import io
import json
import math
import os
import pathlib
import pickle
import random
import zipfile

import numpy as np

_JSON_VALUES = (
    None, True, -1, 0, 1, 2**40, 10**400, 1e308, math.nan, math.inf, "", "text", "9" * 5000, "../../../etc/passwd", "<b>&'\"",
    "\x1b[2J\r\n", "\ud800", [], [[]], [1, 2, 3], {}, {"a": 1},
)  # fmt: skip
_GIN_VALUES = (
    "None", "True", "-1", "0", "1", "64", "2147483647", "1e30", "1e-30", "0.5", "'text'", "'words'", "'../../../etc/passwd'",
    "'/dev/zero'", "()", "(1, 2)", "('synthetic', 'synthetic')", "{}", "{'synthetic': '/dev/zero'}", "@VATT", "@VATT()",
    "@ClipSpec", "@ClipSpec()", "@Both()", "@ClipWeights()", "%nothing",
)  # fmt: skip
_CELLS = ("", "nan", "inf", "-1e999", "text", "9" * 5000, '"', "=1+1", "../..", "<b>", "\x1b[2J", "é" * 3, "a,b")
_TEXT_LINES = ("", " ", "the", "[PAD]", "\x00", "\x1b[2J", "\ufeff", "w" * 100_000, "a b", "é")


def tamper(path: pathlib.Path, draws: random.Random) -> None:
    """Changes one value of a file; of one that holds no text, some bits."""
    change = {
        ".json": _json, ".jsonl": _json_lines, ".gin": _gin, ".csv": _csv, ".npz": _npz, ".txt": _lines,
    }.get(path.suffix, _bytes)  # fmt: skip
    content = change(path.read_bytes(), draws)
    path.write_bytes(content)


def _json(content: bytes, draws: random.Random) -> bytes:
    whole = [json.loads(content)]
    places = list(_places(whole))
    holder, key = draws.choice(places)
    if draws.random() < 0.15 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = draws.choice(_JSON_VALUES)
    return json.dumps(whole[0] if whole else None).encode("utf-8", "surrogatepass")


def _places(value):
    """Yields every place of a value within lists and objects, as what holds it and its key."""
    for key, part in enumerate(value) if isinstance(value, list) else list(value.items()):
        yield value, key
        if isinstance(part, (list, dict)):
            yield from _places(part)


def _json_lines(content: bytes, draws: random.Random) -> bytes:
    lines = content.splitlines()
    row = draws.randrange(len(lines))
    lines[row] = _json(lines[row], draws)
    return b"\n".join(lines) + b"\n"


def _gin(content: bytes, draws: random.Random) -> bytes:
    lines = content.decode().splitlines()
    row = draws.choice([row for row, line in enumerate(lines) if " = " in line and not line.startswith("#")])
    lines[row] = f"{lines[row].partition(' = ')[0]} = {draws.choice(_GIN_VALUES)}"
    return "\n".join(lines).encode() + b"\n"


def _csv(content: bytes, draws: random.Random) -> bytes:
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    row = draws.choice([row for row in rows if row])
    row[draws.randrange(len(row))] = draws.choice(_CELLS)
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def _lines(content: bytes, draws: random.Random) -> bytes:
    lines = content.decode().splitlines()
    row, line = draws.randrange(len(lines)), draws.choice([*_TEXT_LINES, draws.choice(lines)])
    lines[row : row + draws.randint(0, 1)] = [line] * draws.randint(0, 1)
    return "\n".join(lines).encode() + b"\n"


def _npz(content: bytes, draws: random.Random) -> bytes:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = dict(archive)
    name = draws.choice(sorted(arrays))
    values = arrays[name]
    others = {
        "none": None, "fewer": values[:-1] if values.ndim else values, "no rows": values[:0] if values.ndim else values[None],
        "scalar": np.array(3), "text": np.full(values.shape, "a text"), "numbers": np.full(values.shape, -1e300),
        "nan": np.full(values.shape, np.nan), "rank": values[..., None], "bytes": np.full(values.shape, b"\xff"),
        "complex": np.full(values.shape, 1j), "bool": np.full(values.shape, False), "whole": np.full(values.shape, 2**62),
    }  # fmt: skip
    arrays[name] = others.get(way := draws.choice([*others, "pickle", "huge"]))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for each, array in arrays.items():
            if array is not None:
                member = io.BytesIO()
                np.lib.format.write_array(member, array, allow_pickle=False)
                archive.writestr(f"{each}.npy", member.getvalue())
        if way in ("pickle", "huge"):
            archive.writestr(f"{name}.npy", _pickled() if way == "pickle" else _huge())
    return file.getvalue()


class _Runs:
    def __reduce__(self):
        return os.mkdir, ("pickle_was_run",)


def _pickled() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return header.getvalue() + pickle.dumps([_Runs()])


def _huge() -> bytes:
    """An array of 80 TB, of which nothing follows."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
    return header.getvalue()


def _bytes(content: bytes, draws: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draws.choice((1, 4))):
        changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
    return bytes(changed)
