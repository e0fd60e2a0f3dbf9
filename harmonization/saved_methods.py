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
      {"method": its name, "options": {...}}; the name is `None` if the method, or one among its options, is not among
      `methods`, or an option is no plain value, array, schedule or method. Then "class" is that of the method, and
      "option" that which is none, if it is known.
    """
    try:
        return _plain(method, methods)
    except _NotPlain as error:
        return {"method": None, "class": type(method).__name__, "option": error.option}


def method_from_config(config: Any, get: Callable[..., Harmonizer]) -> Harmonizer:
    """Makes the method that `method_config` wrote down.

    Args:
      config: What was written, from a file that need not be trusted.
      get: Makes a method by its name and options, for instance `make_saved`.

    Raises:
      ValueError: If the values are not such, name no method or have the wrong options.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("method", 0), (str, type(None))):
        raise ValueError(f"The saved method should be a name and options. Found {config!r}.")
    if config["method"] is None:
        option = config.get("option")
        reason = f"whose option {option!r} no file can hold" if option else "which is not among `harmonization.METHODS`"
        raise ValueError(
            f"The model was trained with {config.get('class')!r}, {reason}. Load it with "
            "`load_model(path, compile=False)` and compile it with the method."
        )
    return get(config["method"], **_options(config, get))


class _NotPlain(Exception):
    """A value that cannot be written down, and the option whose value it is."""

    def __init__(self, option: str | None = None):
        super().__init__(option)
        self.option = option


def _plain(value: Any, methods: Mapping[str, type[Harmonizer]]) -> Any:
    if hasattr(value, "numpy"):  # a tensor
        value = value.numpy()
    if hasattr(value, "tolist"):  # NumPy's
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each, methods) for each in value]
    for kind, base, table in (("method", Harmonizer, methods), ("schedule", Schedule, _SCHEDULES)):
        names = [name for name, cls in table.items() if type(value) is cls]
        if isinstance(value, base) and names:
            return {kind: names[0], "options": _plain_options(value.options, methods)}
    raise _NotPlain


def _plain_options(options: Mapping[str, Any], methods: Mapping[str, type[Harmonizer]]) -> dict[str, Any]:
    plain = {}
    for name, value in options.items():
        try:
            plain[name] = _plain(value, methods)
        except _NotPlain as error:
            raise _NotPlain(f"{name}.{error.option}" if error.option else name) from error
    return plain


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
