"""Prepares a data set on disk: all of it, or nothing.

Everything is written into a staging directory, records, vocabularies and report alike, and one
rename publishes it. A run that was killed leaves only the staging directory, which the next run
removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import tensorflow_datasets as tfds

from data.errors import DataError, PreparationError
from data.vocabulary import build_vocabularies

_STAGING = "incomplete"
_MIN_SHARD_BYTES, _MAX_SHARD_BYTES = 16 * 2**20, 64 * 2**20
_REPORT = "prepare_report.json"


class _Config(Protocol):
    """What `prepare` asks of a builder's config."""

    name: str

    def parameters(self) -> dict[str, Any]:
        """Returns, as JSON values, everything that decides what the records hold."""


class Preparation(NamedTuple):
    """What came of `prepare`.

    Attributes:
      directory: where the records, the vocabularies and `prepare_report.json` are.
      report: the content of that report.
      was_there: whether the data set had been prepared before, so that nothing was done.
    """

    directory: str
    report: dict[str, Any]
    was_there: bool


def prepare(
    builder_class: type[tfds.core.GeneratorBasedBuilder],
    config: _Config,
    data_dir: str,
    *,
    overwrite: bool = False,
) -> Preparation:
    """Prepares a data set into `<data_dir>/<name>/<config>/<version>/`.

    Args:
      builder_class: the TFDS builder; its instances have `report()`, a JSON dict of counts.
      config: its config.
      data_dir: a local directory; made if missing.
      overwrite: whether data prepared with other parameters are replaced. They stay in place
        until the new ones are complete.

    Raises:
      DataError: if data with other parameters are there, or another process is writing here.
      PreparationError: if the source holds too little that can be used; its report is in
        `<data_dir>/<name>/prepare_report.json`.
    """
    root = os.path.join(data_dir, builder_class.name)
    os.makedirs(root, exist_ok=True)
    final = os.path.join(root, config.name, str(builder_class.VERSION))
    with _only_writer(root):
        shutil.rmtree(os.path.join(root, _STAGING), ignore_errors=True)
        if os.path.exists(final) and not overwrite:
            _require_same_parameters(final, config.parameters())
            return Preparation(final, _read_json(os.path.join(final, _REPORT)), was_there=True)
        return Preparation(final, _prepare_anew(builder_class, config, root, final), False)


def _prepare_anew(
    builder_class: type[tfds.core.GeneratorBasedBuilder], config: _Config, root: str, final: str
) -> dict[str, Any]:
    start = time.monotonic()
    staging = os.path.join(root, _STAGING)
    builder = builder_class(data_dir=staging, config=config)
    try:
        _write_records(builder, os.path.join(staging, "downloads"))
    except PreparationError:
        _write_json(os.path.join(root, _REPORT), builder.report())
        shutil.rmtree(staging)
        raise
    build_vocabularies(_training_captions(builder), builder.data_dir)
    splits = {name: split.num_examples for name, split in builder.info.splits.items()}
    report = {
        "dataset": builder.name,
        "parameters": config.parameters(),
        "clips": splits,
        **builder.report(),
        "seconds": round(time.monotonic() - start, 3),
    }
    _write_json(os.path.join(builder.data_dir, _REPORT), report)
    _publish(builder.data_dir, final, staging)
    return report


def _write_records(builder: tfds.core.GeneratorBasedBuilder, download_dir: str) -> None:
    # Nothing is downloaded, whatever TFDS prints; the builders show their own progress.
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(
            download_dir=download_dir,
            download_config=tfds.download.DownloadConfig(
                try_download_gcs=False,
                compute_stats=tfds.download.ComputeStatsMode.SKIP,
                # A shuffle window and a host's share are whole files, so files are kept small.
                min_shard_size=_MIN_SHARD_BYTES,
                max_shard_size=_MAX_SHARD_BYTES,
            ),
        )


def _training_captions(builder: tfds.core.GeneratorBasedBuilder) -> Iterator[str]:
    if "train" not in builder.info.splits:
        return
    only_text = tfds.decode.PartialDecoding({"captions": {"text": True}})
    for record in builder.as_dataset(split="train", decoders=only_text):
        for text in record["captions"]["text"].numpy():
            yield text.decode()


def _publish(prepared: str, final: str, staging: str) -> None:
    os.makedirs(os.path.dirname(final), exist_ok=True)
    if os.path.exists(final):
        os.rename(final, os.path.join(staging, "replaced"))
    os.rename(prepared, final)
    shutil.rmtree(staging)


@contextlib.contextmanager
def _only_writer(root: str) -> Iterator[None]:
    """Holds a lock on the directory; the system lets go of it when the process dies."""
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


def _require_same_parameters(final: str, parameters: dict[str, Any]) -> None:
    try:
        found = _read_json(os.path.join(final, "metadata.json"))["parameters"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{final} exists but is not a finished data set; remove it or pass --overwrite"
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


def _read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _write_json(path: str, content: dict[str, Any]) -> None:
    temporary = f"{path}.incomplete"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    os.replace(temporary, path)
