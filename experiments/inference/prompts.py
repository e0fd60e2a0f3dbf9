"""Sentences with a class's name, for classification without training; light, so that --help need not load TensorFlow."""

import re
from collections.abc import Sequence

from experiments.running.command_line import BadInput

PROMPTS = ("{}", "a {}", "this is {}", "here is a {}", "you can see {}")
"""Our choice: short, and for sights as for sounds."""
_PLACE = "{}"


def fill_prompts(class_names: Sequence[str], prompts: Sequence[str]) -> list[str]:
    """Returns every prompt with every class's name, all prompts of a class together.

    Names are split into words: `brush_hair` and `BrushHair` become `brush hair`.

    Args:
      class_names: Names as data sets have them.
      prompts: Sentences with one `{}` each.

    Raises:
      BadInput: A sentence has none, or several; or there is none at all.
    """
    for prompt in prompts or [""]:
        if prompt.count(_PLACE) != 1:
            raise BadInput(f"--prompt should have one {_PLACE}, for the class's name. Found {prompt!r}.")
    return [prompt.replace(_PLACE, _words(name)) for name in class_names for prompt in prompts]


def _words(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s]+", " ", name).strip().lower()
