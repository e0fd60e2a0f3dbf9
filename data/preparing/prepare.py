"""Prepares a data set: all of it or nothing, in steps that a resumed run does not repeat.

1. `data.preparing.plan` lists the source and divides it into units.
2. `data.preparing.units` makes each unit's records; `data.preparing.unit_runners` has them made here or elsewhere.
3. Here their counts become the report, and everything is published at once.

Until then all is in `<data_dir>/<name>/incomplete/`. On a local disk one rename publishes it;
elsewhere files cannot be renamed for nothing, so records lie where they stay from the start, and
`dataset_info.json`, without which no program opens them, comes last.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm

from data.errors import DataError, PreparationError
from data.preparing.clip_builder import ClipBuilder
from data.preparing.plan import Plan, identity_of, make_plan
from data.preparing.publishing import Place, place_of, remove, settle
from data.preparing.report import NOTES_FILE, report_of, require_enough
from data.preparing.unit_runners import in_this_process
from data.preparing.units import Done, Job, Runner, captions_path, pending_units, read_done
from data.records.sources import write_sources
from data.source.storage import join, scheme_of
from data.source.written_files import as_os_errors, read_json, remove_incomplete, write_json
from data.text.vocabulary import build_vocabularies

_REPORT = "prepare_report.json"


class Preparation(NamedTuple):
    """The result of `prepare`.

    Attributes:
      directory: where the records, the vocabularies and `prepare_report.json` are.
      report: the content of that report.
      was_there: whether the data set had been prepared before, so that nothing was done.
    """

    directory: str
    report: dict[str, Any]
    was_there: bool


def prepare(
    builder_class: type[ClipBuilder],
    config: tfds.core.BuilderConfig,
    data_dir: str,
    *,
    overwrite: bool = False,
    run_units: Runner = in_this_process,
) -> Preparation:
    """Prepares a data set into `<data_dir>/<name>/<config>/<version>/`.

    A killed run resumes with its unfinished parts. The records are the same, byte for byte, whatever
    makes them and however often the run was interrupted.

    Args:
      builder_class: the data set.
      config: its config.
      data_dir: a directory, local or any that TensorFlow can write, such as `gs://bucket/data`; made if
        missing.
      overwrite: whether data prepared with other parameters are replaced. On a local disk they stay in
        place until the new ones are complete; elsewhere they are removed first.
      run_units: who makes the records; see `data.preparing.unit_runners`.

    Raises:
      DataError: if a file is where a folder should be, data with other parameters are there, or another process is writing here.
      PreparationError: if the source holds too little that can be used; its report is in
        `<data_dir>/<name>/prepare_report.json`.
      OSError: a file cannot be written.
    """
    root = join(data_dir, builder_class.name)
    _require_folder(root)
    identity = identity_of(builder_class, config)
    place = place_of(root, identity)
    _require_source_elsewhere(config, place)
    items = builder_class.items(config)
    with _told_what_to_do(), as_os_errors(root):
        tf.io.gfile.makedirs(root)
        with _only_writer(root):
            begun, published = settle(root)
            if published == identity or (place.is_taken(begun) and not overwrite):
                return Preparation(place.final, _read_finished(place.final, identity["parameters"]), was_there=True)
            plan = begun if begun is not None and begun.identity == identity else None
            if plan is None:
                if begun is not None:
                    _say(f"Discarding an unfinished preparation that used different parameters: {place.staging}")
                place.clear()
                plan = make_plan(builder_class, items, identity, config, place.staging)
            report = _prepare(builder_class, config, place, plan, run_units)
            return Preparation(place.final, report, was_there=False)


def _require_source_elsewhere(config, place):
    source = os.path.realpath(getattr(config, "source_dir", None) or os.sep)
    for folder in (place.final, place.staging):
        if os.path.commonpath([source, os.path.realpath(folder)]) == os.path.realpath(folder):
            raise DataError(f"{config.source_dir} should lie elsewhere: {folder} is replaced by the prepared data.")


def _prepare(
    builder_class: type[ClipBuilder], config: tfds.core.BuilderConfig, place: Place, plan: Plan, run_units: Runner
) -> dict[str, Any]:
    """Makes what is still to be made; returns the report."""
    start = time.monotonic()
    multi_label = builder_class.multi_label(config)
    job = Job(builder_class, config, multi_label, place.staging, place.records, plan.shards())
    tf.io.gfile.makedirs(place.records)
    if not place.is_remote:  # There is a lock here; elsewhere workers of a killed run may still write.
        for directory in (place.records, join(place.staging, "units")):
            remove_incomplete(directory)
    pending = pending_units(job, plan.units)
    if len(pending) < len(plan.units):
        _say(f"Resuming an earlier run: {len(plan.units) - len(pending)} of {len(plan.units)} parts are done")
    run_units(job, pending)
    results = read_done(job, plan.units)
    _require_enough(job, results)
    build_vocabularies(_training_captions(job, plan), place.records)
    builder = builder_class(data_dir=place.staging, config=config)
    splits = _split_infos(job, results)
    report = {
        "dataset": builder.name,
        "parameters": config.parameters(),
        "clips": {split.name: split.num_examples for split in splits},
        **report_of(job, results, place.records),
        "seconds": round(time.monotonic() - start, 3),
    }
    write_json(join(place.records, _REPORT), report, for_people=True)
    write_sources(place.records, builder_class.sources(config))
    remove_incomplete(place.records)
    builder.info.set_splits(tfds.core.SplitDict(splits))
    builder.info.write_to_directory(place.records)  # dataset_info.json comes last.
    for name in (_REPORT, NOTES_FILE):  # of a run that failed
        remove(join(place.root, name))
    place.publish()
    return report


def _require_enough(job: Job, results: Sequence[Done]) -> None:
    """Raises `PreparationError` if too little is left, and leaves a report that says why."""
    try:
        require_enough(job, results)
    except PreparationError:
        root = os.path.dirname(job.staging)
        write_json(join(root, _REPORT), report_of(job, results, root), for_people=True)
        raise


def _training_captions(job: Job, plan: Plan) -> Iterator[str]:
    splits = job.builder_class.unions(job.config).get("train", ("train",))
    for unit in plan.units:
        if unit.split in splits:
            with tf.io.gfile.GFile(captions_path(job, unit)) as file:
                yield from map(json.loads, file)


def _split_infos(job: Job, results: Sequence[Done]) -> list[tfds.core.SplitInfo]:
    """Returns what TFDS says of each split; one without records is none, and its files are removed."""
    found: dict[str, list[Done]] = {}
    for done in results:
        found.setdefault(done.unit.split, []).append(done)
    infos = []
    for split, parts in found.items():
        lengths = [length for part in parts for length in part.shard_lengths]
        if not any(lengths):
            for index in range(len(lengths)):
                remove(job.shard_path(split, index))
            continue
        template = tfds.core.ShardedFileTemplate(
            data_dir=job.directory, dataset_name=job.builder_class.name, split=split, filetype_suffix="tfrecord"
        )
        size = sum(part.bytes for part in parts)
        infos.append(tfds.core.SplitInfo(split, lengths, size, template))
    return infos


def _say(message: str) -> None:
    tqdm.tqdm.write(message, file=sys.stderr)


def _require_folder(path: str) -> None:
    """Raises `DataError` if a path of this machine is a file, or leads through one."""
    if scheme_of(path):
        return
    for folder in (pathlib.Path(path), *pathlib.Path(path).parents):
        if folder.exists() and not folder.is_dir():
            raise DataError(
                f"{folder} should be a folder. Found a file; move it elsewhere, or choose another data_dir."
            )


@contextlib.contextmanager
def _told_what_to_do() -> Iterator[None]:
    """Says of a full disk that nothing is lost."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        advice = "free some space and run the same command again; finished parts are kept"
        raise OSError(error.errno, f"{os.strerror(error.errno)}: {advice}", error.filename) from error


@contextlib.contextmanager
def _only_writer(root: str) -> Iterator[None]:
    """Holds a lock on a local directory; the system lets go of it when the process dies."""
    if scheme_of(root):
        yield
        return
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise DataError(
            f"another process is preparing data in {root}; wait for it or use another --data_dir"
        ) from error
    finally:
        os.close(descriptor)


def _read_finished(final: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Returns the report of a finished data set; raises `DataError` if it is none, or one with other parameters."""
    path = join(final, "metadata.json")
    try:
        found = dict(read_json(path)["parameters"])
        path = join(final, _REPORT)
        report = dict(read_json(path))  # `tfds build` writes none, and no vocabularies.
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{final} exists but is not a finished data set; remove it or pass --overwrite. Its {os.path.basename(path)} is "
            f"missing or damaged: {error}"
        ) from error
    if found != parameters:
        differences = ", ".join(
            f"{name} is {found.get(name)!r} there and {parameters.get(name)!r} here"
            for name in sorted(found.keys() | parameters.keys())
            if found.get(name) != parameters.get(name)
        )
        raise DataError(
            f"{final} was prepared with other parameters: {differences}. "
            "Use another --data_dir, or pass --overwrite to replace it."
        )
    return report
