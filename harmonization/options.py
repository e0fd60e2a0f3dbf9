"""Objects that remember the options they were made with, so that a file can name them."""

import inspect
from typing import Any


class RemembersOptions:
    """Base class of the methods and schedules; adds no arguments and no variables."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # `inspect` would look at `__new__`, which takes anything.
        signature = inspect.signature(cls.__init__)
        cls.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])

    def __new__(cls, *args, **kwargs):
        """Makes the object and notes its arguments; `__init__` reports those that do not fit."""
        made = super().__new__(cls)
        try:
            given = inspect.signature(cls.__init__).bind(made, *args, **kwargs).arguments
        except TypeError:
            given = {}
        # Not by `setattr`: a `tf.Module` would take a dict for something to put into checkpoints.
        made.__dict__["_options"] = dict(list(given.items())[1:])
        return made

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that it was made with, by name."""
        return dict(self._options)
