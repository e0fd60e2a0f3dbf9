"""Methods as plain values that a file can hold, and back: only names from this package's own tables are followed."""

from collections.abc import Callable, Mapping
from typing import Any

from harmonization.harmonizer import Harmonizer
from harmonization.schedule import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule, StepSchedule

_SCHEDULES = {each.__name__: each for each in (ConstantSchedule, LinearSchedule, CosineSchedule, StepSchedule)}


def method_config(method: Harmonizer, methods: Mapping[str, type[Harmonizer]]) -> dict[str, Any]:
    """Writes a method down as plain values.

    Args:
      method: The method.
      methods: The methods by name.

    Returns:
      {"method": its name, "options": {...}}; the name is `None` if the method is not among `methods`, or has an option
      that is no plain value, schedule or method. Then "class" is that of the method.
    """
    try:
        return _plain(method, methods)
    except _NotPlain:
        return {"method": None, "class": type(method).__name__}


def method_from_config(config: Any, get: Callable[..., Harmonizer]) -> Harmonizer:
    """Makes the method that `method_config` wrote down.

    Args:
      config: What was written, from a file that need not be trusted.
      get: Makes a method by its name and options.

    Raises:
      ValueError: If the values are not such, name no method or have the wrong options.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("method", 0), (str, type(None))):
        raise ValueError(f"The saved method should be a name and options. Found {config!r}.")
    if config["method"] is None:
        raise ValueError(
            f"The model was trained with {config.get('class')!r}, which is not among `harmonization.METHODS`. Load it with "
            "`load_model(path, compile=False)` and compile it with the method."
        )
    return get(config["method"], **_options(config, get))


class _NotPlain(Exception):
    """A value that cannot be written down."""


def _plain(value: Any, methods: Mapping[str, type[Harmonizer]]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each, methods) for each in value]
    for kind, base, table in (("method", Harmonizer, methods), ("schedule", Schedule, _SCHEDULES)):
        names = [name for name, cls in table.items() if type(value) is cls]
        if isinstance(value, base) and names:
            options = {key: _plain(each, methods) for key, each in value.options.items()}
            return {kind: names[0], "options": options}
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a NumPy number
        return value.item()
    raise _NotPlain


def _value(value: Any, get: Callable[..., Harmonizer]) -> Any:
    if isinstance(value, list):
        return [_value(each, get) for each in value]
    if not isinstance(value, Mapping):
        return value
    if "method" in value:
        return method_from_config(value, get)
    if value.get("schedule") not in _SCHEDULES:
        raise ValueError(f"An option of the saved method should be a plain value, schedule or method. Found {value!r}.")
    return _SCHEDULES[value["schedule"]](**_options(value, get))


def _options(config: Mapping[str, Any], get: Callable[..., Harmonizer]) -> dict[str, Any]:
    options = config.get("options", {})
    if not isinstance(options, Mapping):
        raise ValueError(f"The saved options should be a dict. Found {options!r}.")
    return {str(key): _value(each, get) for key, each in options.items()}
