"""Finds the builder of a data set by its name, which is that of its module here."""

import importlib

from data.preparing.clip_builder import ClipBuilder


def dataset_builder(name: str) -> type[ClipBuilder]:
    """Returns the builder class of the data set, from the module `data.sets.<name>`.

    Raises:
      ModuleNotFoundError: There is no such module.
      ValueError: The module defines no builder of that name, or several.
    """
    module = importlib.import_module(f"data.sets.{name}")
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, ClipBuilder)]
    found = [builder for builder in found if builder.name == name]
    if len(found) != 1:
        raise ValueError(f"{module.__name__} should define one builder called {name!r}. Found {len(found)}.")
    return found[0]
