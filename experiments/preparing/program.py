"""The work of `experiments.prepare_data`: makes a data set as its flags say, and prints a summary."""

import json
from collections.abc import Callable
from typing import Any

from absl import flags

from data import (
    DataError,
    PreparationError,
    dataset_builder,
    in_processes,
    in_this_process,
    join_path,
    on_beam,
    open_source,
    prepare,
)
from experiments.preparing.dataset_flags import flag_values
from experiments.running.command_line import BadInput, RunFailed

FLAGS = flags.FLAGS
# How much of a list the summary shows; prepare_report.json has all of it.
_SHOWN = 8


def run() -> int:
    """Runs the command line; returns the exit code."""
    builder_class = dataset_builder(FLAGS.dataset)
    config_class = builder_class.config_class()
    settings = flag_values(config_class)
    try:
        run_units = runner()
        if settings.get("source_dir") is not None:
            settings["source_dir"] = open_source(settings["source_dir"], join_path(FLAGS.data_dir, FLAGS.dataset))
        config = config_class(**settings)
        prepared = prepare(builder_class, config, FLAGS.data_dir, overwrite=FLAGS.overwrite, run_units=run_units)
    except DataError as error:
        raise BadInput(str(error)) from error
    except (PreparationError, OSError) as error:
        raise RunFailed(str(error)) from error
    print(f"{'already prepared' if prepared.was_there else 'prepared'}: {prepared.directory}")
    print(summary(prepared.report))
    return 0


def runner() -> Callable[..., None]:
    """Returns who makes the records.

    Raises:
      BadInput: The flags contradict each other, or Apache Beam is not installed.
    """
    if FLAGS.beam_runner and FLAGS.workers:
        raise BadInput("--workers should not be used with --beam_runner; set the pipeline's workers in --beam_options.")
    if FLAGS.beam_options and not FLAGS.beam_runner:
        raise BadInput("--beam_options should be used with --beam_runner.")
    if FLAGS.workers:
        return in_processes(FLAGS.workers)
    if not FLAGS.beam_runner:
        return in_this_process
    try:
        return on_beam(FLAGS.beam_runner, [f"--{option.lstrip('-')}" for option in FLAGS.beam_options])
    except ImportError as error:
        raise BadInput(f"--beam_runner needs Apache Beam: pip install 'vatt-harmonization[beam]' ({error})") from error


def summary(report: dict[str, Any]) -> str:
    """Returns the report without the parameters, one `name: value` a line, long lists cut short."""
    return "\n".join(
        f"  {name}: {value if isinstance(value, str) else json.dumps(_shorten(value), ensure_ascii=False)}"
        for name, value in report.items()
        if name not in ("dataset", "parameters")
    )


def _shorten(value: Any) -> Any:
    """Returns JSON values with at most `_SHOWN` members of a list or of a mapping."""
    if isinstance(value, dict):
        shown = {key: _shorten(part) for key, part in list(value.items())[:_SHOWN]}
        return shown | ({"...": f"{len(value) - _SHOWN} more"} if len(value) > _SHOWN else {})
    if isinstance(value, list) and len(value) > _SHOWN:
        return [*value[:_SHOWN], f"... {len(value) - _SHOWN} more"]
    return value
