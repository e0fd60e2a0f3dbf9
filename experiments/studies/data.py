"""The study's data sets: of each seed one per noise, alike in all but the noise."""

from collections.abc import Callable, Iterable

import data
from data import Synthetic, SyntheticConfig, prepare
from experiments.running.command_line import bad_input
from experiments.studies.config import CLEAN, Point, Study


def open_set(noise: tuple[float, float], seed: int, data_dir: str) -> data.PreparedDataset:
    """Opens one of the study's data sets.

    Raises:
      BadInput: It has not been prepared.
    """
    with bad_input():
        return data.open_dataset(f"{Synthetic.name}/{_name(noise, seed)}", data_dir)


def prepare_sets(study: Study, data_dir: str, show: Callable[[str], None], points: Iterable[Point]) -> None:
    """Prepares what is missing of the data sets of some points; clean ones are always among them, see `sets_of`.

    Args:
      study: The study.
      data_dir: Where its data sets are.
      show: Called with a line per set that is prepared.
      points: What is going to be run; if nothing is, nothing is prepared.

    Raises:
      BadInput: Others of the same name lie there, or the clips' rates cannot be rendered.
    """
    clips = study.pretraining(study.baseline).clips
    wanted = dict.fromkeys((noise, point.seed) for point in points for noise in (CLEAN, point.noise))
    if wanted:
        wanted = {(CLEAN, study.seeds[0]): None} | wanted  # the first one has the vocabulary
    for number, (noise, seed) in enumerate(wanted, start=1):
        with bad_input():
            found = prepare(Synthetic, _config(study, clips, noise, seed), data_dir)
        if not found.was_there:
            show(f"[{number}/{len(wanted)}] data set {found.directory}")


def vocabulary_path(study: Study, data_dir: str) -> str:
    """Returns the word pieces of all points: those of the first clean set. The narrators' words are the same everywhere."""
    return open_set(CLEAN, study.seeds[0], data_dir).wordpiece_vocabulary_path


def sets_of(point: Point, data_dir: str) -> tuple[data.PreparedDataset, data.PreparedDataset]:
    """Opens the data set of a point, and the clean one of the same scenes."""
    return open_set(point.noise, point.seed, data_dir), open_set(CLEAN, point.seed, data_dir)


def _name(noise, seed):
    return f"text{noise[0]:g}_audio{noise[1]:g}_seed{seed}"


def _config(study, clips, noise, seed):
    return SyntheticConfig(
        name=_name(noise, seed), seed=seed, text_noise=noise[0], audio_noise=noise[1],
        train_clips=study.train_clips, validation_clips=study.validation_clips, test_clips=study.test_clips,
        clip_seconds=clips.clip_seconds, image_size_px=clips.image_size,
        frames_per_second=clips.frames_per_second, sample_rate_hz=clips.sample_rate_hz,
    )  # fmt: skip
