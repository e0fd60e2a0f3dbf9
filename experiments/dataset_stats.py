"""Shows what is in a prepared data set: counts, durations, missing modalities, and some example clips.

Example:
  python -m experiments.dataset_stats --dataset=synthetic --data_dir=data_dir

Writes stats.html, a self-contained page, and stats.json next to the records, or into --output_dir. Every record is
read; only the frames that are shown are decoded.

Exit codes: 0 done, 1 the result cannot be written, 2 no such data set, or damaged records.
"""

import os
import sys

import tqdm
from absl import flags

from experiments.running.command_line import BadInput, RunFailed, bad_input, loading, run

_DATASET = flags.DEFINE_string("dataset", None, "Name of the data set; name/config/version picks one of several.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the prepared data are.")
_CLIPS = flags.DEFINE_integer("clips", 24, "Clips to show.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the choice of clips to show.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Directory of the result (default: next to the records).")


def main(_: list[str]) -> int:
    """Reads the data set, writes the page and the figures, prints a summary."""
    if not _DATASET.value or not _DATA_DIR.value:
        raise BadInput("--dataset and --data_dir are needed; see --help for an example.")

    with loading():  # late: --help need not wait for TensorFlow
        from data import open_dataset
        from experiments.dataset_checks.page import build_page

    with bad_input():
        prepared = open_dataset(_DATASET.value, _DATA_DIR.value)
        splits, whole, cards = _read(prepared)
    output_dir = _OUTPUT_DIR.value or prepared.directory
    figures = {name: summary.to_json(prepared.class_names) for name, summary in {**splits, "all": whole}.items()}
    try:
        _write(output_dir, build_page(prepared, splits, whole, cards), figures)
    except OSError as error:
        raise RunFailed(f"{output_dir} cannot be written ({error}); give another --output_dir.") from error
    for name, values in figures.items():
        print(_line(name, values))
    print(f"page: {os.path.join(output_dir, 'stats.html')}")
    return 0


def _line(name, values):
    lacking = ", ".join(f"{count:,} without {what}" for what, count in values["clips_without"].items() if count)
    line = f"{name}: {values['clips']:,} clips, {values['hours']:.2f} hours, {values['source_files']:,} files"
    return f"{line}; {lacking}" if lacking else line


def _read(prepared):
    """Returns what is in each split, what is in all of them together, and the clips to show."""
    from data import read_stored_clips, shards_of
    from experiments.dataset_checks.contact_sheet import RandomClips
    from experiments.dataset_checks.summary import SplitSummary, merged

    shards, shown = shards_of(prepared), RandomClips(_CLIPS.value, _SEED.value)
    by_shard = {shard.path: SplitSummary() for shard in shards}
    with tqdm.tqdm(total=sum(shard.records for shard in shards), unit=" clips", mininterval=1) as progress:
        for shard in shards:
            for clip in read_stored_clips(shard):
                by_shard[shard.path].add(clip, prepared)
                shown.offer(clip, shard.split, prepared)
                progress.update()
    splits = {split: merged([by_shard[path] for path in paths]) for split, paths in prepared.shard_paths.items()}
    return splits, merged(list(by_shard.values())), shown.cards()


def _write(output_dir, page, figures):
    import tensorflow as tf

    from data import as_os_errors, renamed_when_done, write_json

    with as_os_errors(output_dir):
        tf.io.gfile.makedirs(output_dir)
    with (
        renamed_when_done(os.path.join(output_dir, "stats.html")) as temporary,
        tf.io.gfile.GFile(temporary, "w") as file,
    ):
        file.write(page)
    write_json(os.path.join(output_dir, "stats.json"), figures, for_people=True)


if __name__ == "__main__":
    # Reading needs no GPU: it must not occupy one, nor say that there is none.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.exit(run(main))
