"""The methods by name."""

import difflib
import inspect

from harmonization.both import Both
from harmonization.curriculum import GradientCurriculum
from harmonization.harmonizer import Harmonizer
from harmonization.mean import Mean
from harmonization.realignment import GradientRealignment
from harmonization.reweight import Reweight
from harmonization.sum import Sum

METHODS: dict[str, type[Harmonizer]] = {
    "sum": Sum,
    "mean": Mean,
    "reweight": Reweight,
    "gr": GradientRealignment,
    "cl": GradientCurriculum,
    "both": Both,
}


def get(name: str, **options) -> Harmonizer:
    """A method by its name: "sum" (plain VATT), "reweight", "gr", "cl" or "both".

    Example: `get("cl", schedule=LinearSchedule(steps=500_000))`.

    Args:
      name: The name.
      **options: Arguments of the method's class.

    Raises:
      ValueError: If there is no such method, or the options are not those of its class.
    """
    if name not in METHODS:
        nearest = difflib.get_close_matches(str(name).lower(), METHODS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"Unknown method {name!r}. Known are {', '.join(METHODS)}; the nearest is {nearest!r}."
        )
    method = METHODS[name]
    try:
        inspect.signature(method).bind(**options)
    except TypeError as error:
        raise ValueError(
            f"Method {name!r} is {method.__name__}{inspect.signature(method)}: {error}."
        ) from error
    return method(**options)
