"""Objects that remember the options they were made with, so that a file can name them."""

import functools
import inspect
from typing import Any


class RemembersOptions:
    """Base class of the methods and schedules; adds no arguments and no variables."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _remembering(cls.__init__)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that it was made with, by name."""
        return dict(self.__dict__.get("_options", {}))


def _remembering(initialize):
    """The constructor, which also notes its arguments; that of a base class finds them noted."""
    signature = inspect.signature(initialize)

    @functools.wraps(initialize)
    def remembering(self, *args, **kwargs):
        if "_options" not in self.__dict__:
            given = dict(signature.bind(self, *args, **kwargs).arguments)
            # Not by `setattr`: a `tf.Module` would take a dict for something to put into checkpoints.
            self.__dict__["_options"] = dict(list(given.items())[1:])
        initialize(self, *args, **kwargs)

    remembering.__signature__ = signature  # what gin and TensorFlow look at, which do not follow `__wrapped__`
    return remembering
