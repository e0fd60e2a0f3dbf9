"""The work of `experiments.embed`: files and sentences to features.npz, and the search."""

import glob
import os
import pathlib
import sys

import numpy as np
from absl import flags

from experiments.inference.features_file import is_features_file, read_features, require_width
from experiments.inference.file_batches import FileBatches, printable
from experiments.inference.file_embeddings import Embedder, embed_files, embed_texts
from experiments.inference.retrieval import cosines
from experiments.inference.search import best_clips, format_hits, ranking_note
from experiments.inference.trained_model import TrainedModel, fingerprint, open_run
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.npz_file import write_npz
from experiments.running.own_files import require_new_or_own
from experiments.running.plain_text import for_terminal

FLAGS = flags.FLAGS


def run(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    files, texts, windows = _files([*FLAGS.inputs, *arguments[1:]]), _texts(), _windows()
    _check_flags(files, texts)
    _check_output()
    earlier = read_features(pathlib.Path(FLAGS.features)) if FLAGS.features else {}
    run = open_run(FLAGS.checkpoint or str(earlier["checkpoint"]))
    _check_model(run, texts, earlier)
    embedder = Embedder(run.model)
    clips = _embedded_files(embedder, run, files, windows) if files else earlier
    sentences = _embedded_texts(embedder, run, [*texts, *FLAGS.search])
    if earlier:
        require_width(pathlib.Path(FLAGS.features), earlier, sentences["video_text_text"].shape[1])
    if FLAGS.output:
        mine = {name: values[: len(texts)] for name, values in sentences.items()} if texts else {}
        write_npz(pathlib.Path(FLAGS.output), {**clips, **mine, **_origin(run)})
        print(f"Output: {FLAGS.output} ({len(clips.get('file', ()))} clips, {len(texts)} texts)")
    _search(run, clips, sentences, len(texts))
    return 0


def _files(patterns: list[str]) -> list[str]:
    """Returns the files that paths and patterns stand for, each once, in the order given."""
    files = {}
    for pattern in patterns:
        if os.path.isdir(pattern):
            raise BadInput(f"--inputs should name files. {pattern} is a folder; write '{pattern.rstrip('/')}/*'.")
        # A file may have a name that looks like a pattern.
        found = (
            [pattern] if os.path.exists(pattern) else sorted(filter(os.path.isfile, glob.glob(pattern, recursive=True)))
        )
        if not found:
            raise BadInput(f"--inputs should name files that exist. Found none for {pattern!r}.")
        files |= dict.fromkeys(found)
    return list(files)


def _texts() -> list[str]:
    if not FLAGS.texts:
        return []
    try:
        lines = pathlib.Path(FLAGS.texts).read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--texts should be a UTF-8 text file. {FLAGS.texts} cannot be read: {error}") from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise BadInput(f"--texts should hold one sentence per line. {FLAGS.texts} is empty.")
    if blank := len(lines) - len(texts):
        print(
            f"{blank} of {len(lines)} lines of {for_terminal(printable(FLAGS.texts))} are blank and have no row.",
            file=sys.stderr,
        )
    return texts


def _windows() -> int | None:
    if FLAGS.windows == "all":
        return None
    try:
        windows = int(FLAGS.windows)
    except ValueError:  # no number, or one of thousands of digits
        windows = 0
    if windows < 1:
        raise BadInput(f"--windows should be a number from 1, or 'all'. Found {FLAGS.windows!r}.")
    return windows


def _check_flags(files: list[str], texts: list[str]) -> None:
    if not FLAGS.checkpoint and not FLAGS.features:
        raise BadInput("--checkpoint is needed; see --help for an example.")
    if FLAGS.features and (files or texts or FLAGS.output):
        raise BadInput("--features should be used with --search, without --inputs, --texts and --output.")
    if not FLAGS.features and not files and (FLAGS.search or not texts):
        raise BadInput("--inputs is needed, or --features with an earlier output; see --help for an example.")
    if not FLAGS.output and not FLAGS.search:
        raise BadInput("--output or --search is needed, otherwise the embeddings would be lost.")


def _check_output() -> None:
    """Finds out now, not after hours of work, whether there is a place for the output, and nothing else in it."""
    if not FLAGS.output:
        return
    folder = os.path.dirname(os.path.abspath(FLAGS.output))
    if os.path.isdir(FLAGS.output):
        raise BadInput(f"--output should be a file, such as {FLAGS.output.rstrip('/')}/features.npz. Found a folder.")
    require_new_or_own(pathlib.Path(FLAGS.output), "--output", is_features_file)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"--output should lie in a folder that can be created. {folder} cannot: {error.strerror}."
        ) from error
    if not os.access(folder, os.W_OK):
        raise BadInput(f"--output should lie in a folder that can be written to. {folder} cannot.")


def _check_model(run: TrainedModel, texts: list[str], earlier: dict[str, np.ndarray]) -> None:
    wants_text = bool(texts or FLAGS.search)
    modalities = run.model.modalities
    if wants_text and "text" not in modalities:
        raise BadInput(f"{run.checkpoint} has no text path, only {', '.join(modalities)}: remove --texts and --search.")
    if FLAGS.search and "video" not in modalities:
        raise BadInput(f"{run.checkpoint} has no video path, only {', '.join(modalities)}: remove --search.")
    if wants_text and run.tokenizer is None:
        raise BadInput(f"the run of {run.checkpoint} has no vocabulary, so sentences cannot be embedded.")
    if earlier and str(earlier["checkpoint_fingerprint"]) != fingerprint(run.checkpoint):
        raise BadInput(
            f"{FLAGS.features} was written with another checkpoint ({earlier['checkpoint']}) than {run.checkpoint}; their "
            "embeddings cannot be compared. Give that one as --checkpoint, or embed the files again."
        )


def _embedded_files(
    embedder: Embedder, run: TrainedModel, files: list[str], windows: int | None
) -> dict[str, np.ndarray]:
    batches = FileBatches(files, run.settings.clips, windows, FLAGS.batch_size)
    clips = embed_files(embedder, batches)
    if batches.skipped:
        print(f"{len(batches.skipped)} of {len(files)} files were skipped.", file=sys.stderr)
    if batches.short:
        file, count = next(iter(batches.short.items()))
        print(
            f"{len(batches.short)} of {len(files)} files are too short for {windows} different windows, or their end cannot be "
            f"decoded, such as {for_terminal(printable(file))}, which gave {count}.",
            file=sys.stderr,
        )
    if not clips:
        raise RunFailed("none of the files could be embedded; the reasons are above.")
    return clips


def _embedded_texts(embedder: Embedder, run: TrainedModel, texts: list[str]) -> dict[str, np.ndarray]:
    if not texts:
        return {}
    tokenizer = run.tokenizer
    lengths, tokens = tokenizer.lengths(texts).numpy(), tokenizer(texts).numpy()
    if cut := np.sum(lengths > tokenizer.words):
        print(
            f"{cut} of {len(texts)} texts are longer than the model's {tokenizer.words} tokens and were cut.",
            file=sys.stderr,
        )
    if empty := np.sum(lengths == 0):
        print(f"{empty} of {len(texts)} texts have no words; their embeddings mean nothing.", file=sys.stderr)
    batches = np.array_split(tokens, range(FLAGS.batch_size, len(tokens), FLAGS.batch_size))
    return {"text": np.array(texts, dtype=str), **embed_texts(embedder, batches)}


def _origin(run: TrainedModel) -> dict[str, np.ndarray]:
    return {
        "checkpoint": np.array(run.checkpoint),
        "checkpoint_step": np.array(run.step),
        "checkpoint_fingerprint": np.array(fingerprint(run.checkpoint)),
    }


def _search(run: TrainedModel, clips: dict[str, np.ndarray], sentences: dict[str, np.ndarray], first: int) -> None:
    """Prints what is found for the sentences from the `first` on, after a note if that says little."""
    if not FLAGS.search:
        return
    if not clips["has_video"].any():
        raise RunFailed("no clip has a video: there is nothing to search.")
    queries = sentences["video_text_text"][first:]
    if note := ranking_note(run, cosines(queries, clips["video_text_video"][clips["has_video"]])):
        print("\n" + note)
    for text, query in zip(FLAGS.search, queries, strict=True):
        print("\n" + format_hits(text, best_clips(query, clips, FLAGS.top)))
