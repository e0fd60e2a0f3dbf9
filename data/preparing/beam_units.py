"""Units of work as an Apache Beam pipeline: the same records as here, made by whatever runs it."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import tqdm
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from data.errors import DataError, PreparationError
from data.preparing.plan import Unit, read_plan
from data.preparing.units import Done, Job, Runner, prepare_unit


def pipeline_runner(runner: str, options: Sequence[str] = ()) -> Runner:
    """Returns a runner that has a pipeline prepare the units.

    Every worker must have this package, reach `--source_dir` and `--data_dir`, and find the plan there. The
    counters `clips`, `bytes` and `units` of the namespace `prepare_data` show how far it is.

    Args:
      runner: the name of a Beam runner, such as `DataflowRunner`.
      options: its options, such as `--region=europe-west4`.

    Raises:
      DataError: an option that the runner needs is missing or makes no sense, or its package is not installed.
    """
    _pipeline(runner, options)  # What is wrong is to be said before anything is planned.

    def run(job: Job, units: Sequence[Unit]) -> None:
        pipeline = _pipeline(runner, options)
        numbers = pipeline | beam.Create([job.staging]) | beam.FlatMap(_units_of) | beam.Reshuffle()
        _ = numbers | beam.Map(functools.partial(_prepare, job))
        try:
            result = pipeline.run()
            state = result.wait_until_finish()
        except RuntimeError as error:  # The direct runner's way to tell what went wrong in a unit.
            raise PreparationError(f"{runner}: {error}") from error
        if state != PipelineState.DONE:
            raise PreparationError(f"{runner}: the pipeline ended as {state}; its log says why")
        tqdm.tqdm.write(f"{runner}: {_counted(result)}")

    return run


def _pipeline(runner: str, options: Sequence[str]) -> beam.Pipeline:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # Beam's parser would show all of its options and leave.
            parsed = PipelineOptions(list(options))
            parsed.get_all_options()
            return beam.Pipeline(runner=runner, options=parsed)
    except (ValueError, ImportError, SystemExit) as error:
        reason = said.getvalue().splitlines()[-1] if isinstance(error, SystemExit) else " ".join(str(error).split())
        raise DataError(f"--beam_runner={runner} cannot be used with these --beam_options: {reason}") from error


def _units_of(staging: str) -> list[Unit]:
    """Returns all units; made on a worker, since a job's description must not grow with the data."""
    return read_plan(staging).units


def _prepare(job: Job, unit: Unit) -> None:
    done: Done = prepare_unit(job, unit)
    Metrics.counter("prepare_data", "clips").inc(sum(done.shard_lengths))
    Metrics.counter("prepare_data", "bytes").inc(done.bytes)
    Metrics.counter("prepare_data", "units").inc()


def _counted(result: Any) -> str:
    """Returns the counters, such as `clips 3, units 2`; also those of units that were done before."""
    found = {counter.key.metric.name: counter.committed for counter in result.metrics().query()["counters"]}
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
