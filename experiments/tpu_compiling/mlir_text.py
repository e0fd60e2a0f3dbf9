"""What has to change in a step's text before the compiler for TPUs takes it; no TensorFlow, no JAX."""

import dataclasses
import math
import re
from collections.abc import Collection

_COPY = re.compile(r"mhlo\.copy (%\S+) : (\S+)")
_GENERATOR = re.compile(
    r"^(?P<indent> *)(?P<after>%\w+), (?P<bits>%\w+) = stablehlo\.rng_bit_generator (?P<state>%\w+), algorithm = +PHILOX : "
    r"\(tensor<3xui64>\) -> \(tensor<3xui64>, (?P<type>tensor<[^>]*>)\)(?P<location> loc\(.*\))?$",
    re.MULTILINE,
)
_LOCATION = re.compile(r"^(#loc\d*) = loc\((.*)\)$", re.MULTILINE)
_DOT = re.compile(
    r"stablehlo\.(?P<kind>dot|dot_general) (?P<attributes>[^\n]*?) : \(tensor<(?P<left>[^>]*)>, tensor<(?P<right>[^>]*)>\) -> "
    r"tensor<(?P<result>[^>]*)>(?: loc\((?P<location>#loc\d*)\))?"
)
_AXES = {"batch": "batching_dims", "contracted": "contracting_dims"}


def location_names(text: str) -> dict[str, str]:
    """Returns the name of the TensorFlow operation behind each location, such as `#loc12`, that has one.

    A location is a name, a place in a file, or several of both joined.
    """
    meanings = dict(_LOCATION.findall(text))
    plain = {number: found[1] for number, meaning in meanings.items() if (found := re.fullmatch(r'"([^"]*)"', meaning))}
    joined = {number: re.findall(r"#loc\d*", meaning) for number, meaning in meanings.items() if number not in plain}
    return plain | {
        number: next(name for each in several if (name := plain.get(each)))
        for number, several in joined.items()
        if any(each in plain for each in several)
    }


def without_copies(text: str) -> str:
    """Returns the program without `mhlo.copy`, which the pipeline for TPUs refuses; a barrier means the same."""
    return _COPY.sub(r"stablehlo.optimization_barrier \1 : \2", text)


def with_device_generator(text: str, fixed: Collection[str] = ()) -> tuple[str, int]:
    """Gives the program the device's own generator, as TensorFlow does on a TPU.

    The CPU bridge, which lowers the step, writes Philox for "auto_select". Its state is three words, a key and a counter;
    that of the device's generator is two.

    Args:
      text: StableHLO with locations.
      fixed: Names of TensorFlow operations that are to keep Philox.

    Returns:
      The text, and how many generators have been changed.
    """
    names, changed = location_names(text), 0

    def replace(found):
        nonlocal changed
        location = re.fullmatch(r" loc\((#loc\d*)\)", found["location"] or "")
        if location and names.get(location[1]) in fixed:
            return found[0]
        changed += 1
        return _device_generator(found, f"%device_generator_{changed}")

    return _GENERATOR.sub(replace, text), changed


def _device_generator(found, name):
    lines = (
        f"{name}_in = stablehlo.slice {found['state']} [0:2] : (tensor<3xui64>) -> tensor<2xui64>",
        f"{name}_rest = stablehlo.slice {found['state']} [2:3] : (tensor<3xui64>) -> tensor<1xui64>",
        f"{name}_out, {found['bits']} = stablehlo.rng_bit_generator {name}_in, algorithm = DEFAULT : "
        f"(tensor<2xui64>) -> (tensor<2xui64>, {found['type']})",
        f"{found['after']} = stablehlo.concatenate {name}_out, {name}_rest, dim = 0 : "
        "(tensor<2xui64>, tensor<1xui64>) -> tensor<3xui64>",
    )
    return "\n".join(f"{found['indent']}{line}{found['location'] or ''}" for line in lines)


@dataclasses.dataclass(frozen=True)
class MatrixProduct:
    """A matrix product: `batch` times [rows, inner] x [inner, columns].

    Attributes:
      name: The TensorFlow operation's, or "".
    """

    name: str
    batch: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """Operations, two per multiply-add."""
        return 2 * self.batch * self.rows * self.inner * self.columns

    def padded_flops(self, unit: int) -> int:
        """Operations of a matrix unit of `unit` x `unit` places, which takes in rows by eight.

        Either operand may be the one that stays in the unit; the cheaper way is counted.
        """
        one = _up(self.rows, 8) * _up(self.columns, unit)
        other = _up(self.rows, unit) * _up(self.columns, 8)
        return 2 * self.batch * _up(self.inner, unit) * min(one, other)


def matrix_products(text: str) -> list[MatrixProduct]:
    """Returns the matrix products of a StableHLO program."""
    names = location_names(text)
    return [_matrix_product(found, names.get(found["location"], "")) for found in _DOT.finditer(text)]


def _matrix_product(found, name):
    left, right = (_sizes(found[side]) for side in ("left", "right"))
    axes = {kind: _axes(found["attributes"], word) for kind, word in _AXES.items()}
    if found["kind"] == "dot":  # of two matrices; it names no axes
        axes["contracted"] = [[len(left) - 1], [0]]
    batch, inner = (math.prod(left[axis] for axis in axes[kind][0]) for kind in ("batch", "contracted"))
    rows, columns = (math.prod(sizes) // (batch * inner) if batch * inner else 0 for sizes in (left, right))
    return MatrixProduct(name, batch, rows, inner, columns)


def _axes(attributes, word):
    """The axes that `word` names in the left and in the right operand."""
    found = re.search(word + r" = \[([\d, ]*)\] x \[([\d, ]*)\]", attributes)
    return [[int(axis) for axis in side.split(",") if axis.strip()] for side in found.groups()] if found else [[], []]


def _sizes(shape):
    return [int(size) for size in shape.split("x")[:-1]]


def _up(size, multiple):
    return -(-size // multiple) * multiple
