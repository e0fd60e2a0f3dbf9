"""The flags of a data set: the fields of its config, with their defaults and the lines of its docstring."""

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

import tensorflow_datasets as tfds
from absl import flags

from experiments.running.docstring_sections import read_sections

_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    Sequence[str]: flags.DEFINE_list,
}


def define_flags(config_class: type[tfds.core.BuilderConfig]) -> None:
    """Defines a flag for every field that `config_class` adds to TFDS' own.

    Raises:
      KeyError: A field has a type that no flag has, or no line in the docstring.
    """
    types, meanings = {}, {}
    for base in _own_classes(config_class):  # a subclass may say more about a field than its base
        types |= inspect.get_annotations(base, eval_str=True)
        meanings |= read_sections(inspect.cleandoc(base.__doc__))[1]["Attributes"]
    by_type = _DEFINE | {kind | None: define for kind, define in _DEFINE.items()}
    for field in _fields(config_class):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        by_type[types[field.name]](field.name, default, meanings[field.name])


def flag_values(config_class: type[tfds.core.BuilderConfig]) -> dict[str, Any]:
    """Returns what the flags say about each field."""
    return {field.name: flags.FLAGS[field.name].value for field in _fields(config_class)}


def _own_classes(config_class) -> list[type]:
    """Returns the class and its bases up to TFDS' own, the last base first."""
    own = config_class.__mro__[: config_class.__mro__.index(tfds.core.BuilderConfig)]
    return list(reversed(own))


def _fields(config_class) -> list[dataclasses.Field]:
    inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
    return [field for field in dataclasses.fields(config_class) if field.name not in inherited]
