"""Checks what a prepared data set says of its records before TFDS reads it: TFDS imports whatever module it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

FEATURES_FILE = "features.json"
_CLASS_KEYS = ("pythonClassName", "python_class_name", "type")
_JSON_KEYS = ("json", "content")  # text that TFDS parses again
_OWN = frozenset(
    f"{found.__module__}.{found.__name__}"
    for found in vars(tfds.features).values()
    if isinstance(found, type) and issubclass(found, tfds.features.FeatureConnector)
)


def require_own_features(directory: epath.Path) -> None:
    """Checks that the features of a data set are TFDS' own classes.

    Raises:
      ValueError: The file is not JSON, or names another class.
      OSError: It cannot be read.
    """
    path = directory / FEATURES_FILE
    try:
        content = json.loads(path.read_text())
        foreign = [name for name in _class_names(content) if str(name) not in _OWN]
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if foreign:
        raise ValueError(f"{path} should name feature classes of tensorflow_datasets only. Found {foreign[0]!r}")


def _class_names(value: Any) -> Iterator[object]:
    """Yields every value that stands where TFDS expects the name of a class."""
    if isinstance(value, list):
        for item in value:
            yield from _class_names(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _CLASS_KEYS and not isinstance(item, dict):  # a feature of the records may have such a name
                yield item
            yield from _class_names(json.loads(item) if key in _JSON_KEYS and isinstance(item, str) else item)
