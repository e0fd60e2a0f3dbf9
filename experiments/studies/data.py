"""The study's data sets: of each seed one per noise, alike in all but the noise."""

import dataclasses
import json
from collections.abc import Callable, Iterable

import data
from data import dataset_builder, prepare
from experiments.running.command_line import BadInput, bad_input
from experiments.studies.config import CLEAN, SYNTHETIC, Point, Study

_SIZES = ("train_clips", "validation_clips", "test_clips")
_OF_CLIPS = ("clip_seconds", "image_size_px", "frames_per_second", "sample_rate_hz")
_OF_POINTS = ("name", "seed", "text_noise", "audio_noise")


def open_set(study: Study, noise: tuple[float, float], seed: int, data_dir: str) -> data.PreparedDataset:
    """Opens one of the study's data sets.

    Raises:
      BadInput: It has not been prepared.
    """
    with bad_input():
        return data.open_dataset(f"{study.dataset}/{_name(noise, seed)}", data_dir)


def data_settings(study: Study) -> dict[str, object]:
    """Returns what decides the study's data sets, apart from the points, as JSON has it."""
    made = {"set": str(dataset_builder(study.dataset).VERSION), "vocabulary_seed": study.seeds[0]}
    if study.dataset == SYNTHETIC:
        return {name: getattr(study, name) for name in _SIZES} | made
    options = {name: value for name, value in study.dataset_options.items() if name != "source_dir"}
    return json.loads(json.dumps({"dataset": study.dataset, "options": options})) | made


def prepare_sets(study: Study, data_dir: str, show: Callable[[str], None], points: Iterable[Point]) -> None:
    """Prepares what is missing of the data sets of some points; clean ones are always among them, see `sets_of`.

    Args:
      study: The study.
      data_dir: Where its data sets are.
      show: Called with a line per set that is prepared.
      points: What is going to be run; if nothing is, nothing is prepared.

    Raises:
      BadInput: Others of the same name lie there, or the data set cannot have these settings.
    """
    clips = study.pretraining(study.baseline).clips
    wanted = dict.fromkeys((noise, point.seed) for point in points for noise in (CLEAN, point.noise))
    if wanted:
        wanted = {(CLEAN, study.seeds[0]): None} | wanted  # the first one has the vocabulary
    for number, (noise, seed) in enumerate(wanted, start=1):
        with bad_input():
            found = prepare(dataset_builder(study.dataset), _config(study, clips, noise, seed), data_dir)
        if not found.was_there:
            show(f"[{number}/{len(wanted)}] data set {found.directory}")


def vocabulary_path(study: Study, data_dir: str) -> str:
    """Returns the word pieces of all points: those of the first clean set. The words are the same everywhere."""
    return open_set(study, CLEAN, study.seeds[0], data_dir).wordpiece_vocabulary_path


def sets_of(study: Study, point: Point, data_dir: str) -> tuple[data.PreparedDataset, data.PreparedDataset]:
    """Opens the data set of a point, and the clean one of the same scenes."""
    return open_set(study, point.noise, point.seed, data_dir), open_set(study, CLEAN, point.seed, data_dir)


def _name(noise, seed):
    return f"text{noise[0]:g}_audio{noise[1]:g}_seed{seed}"


def _config(study, clips, noise, seed):
    config_class = dataset_builder(study.dataset).config_class()
    known = {field.name for field in dataclasses.fields(config_class)}.difference(_OF_POINTS, _OF_CLIPS)
    if unknown := sorted(set(study.dataset_options) - known):
        raise BadInput(
            f"`study.dataset_options` should be some of {', '.join(sorted(known))}. Found {', '.join(unknown)}."
        )
    sizes = {name: getattr(study, name) for name in _SIZES} if study.dataset == SYNTHETIC else {}
    rates = (clips.clip_seconds, clips.image_size, clips.frames_per_second, clips.sample_rate_hz)
    return config_class(
        name=_name(noise, seed), seed=seed, text_noise=noise[0], audio_noise=noise[1],
        **sizes, **dict(zip(_OF_CLIPS, rates, strict=True)), **study.dataset_options,
    )  # fmt: skip
