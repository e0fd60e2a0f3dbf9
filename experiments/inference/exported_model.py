"""A trained model as a SavedModel, which needs TensorFlow and nothing of this project."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable

import tensorflow as tf

import vatt
from data import ClipSpec, WordPieceTokenizer
from experiments.inference.file_embeddings import named_outputs
from experiments.inference.trained_model import TrainedModel
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.run_lock import only_writer

DESCRIPTION_FILE = "export.json"
_MEANINGS = {
    "features": "pooled features of {}, not normalized",
    "video_audio": "embedding of {} in the video-audio space, not normalized: compare by cosine",
    "video_text": "embedding of {} in the video-text space, not normalized: compare by cosine",
}


def signatures(model: vatt.VATT, tokenizer: Callable[[tf.Tensor], tf.Tensor] | None) -> dict[str, Callable]:
    """Returns a graph for each modality: `video`, `audio`, and `text` where there is a tokenizer. Any batch size will do.

    They take `video` float32 [batch, frames, height, width, 3], `waveform` float32 [batch, samples], both in [-1, 1], and
    `text` strings [batch]. They return `features_video`, `video_audio_video` and so on, float32 [batch, dim].
    """

    shapes = model.input_shapes

    def video(video):
        video = _of_shape(video, shapes["video"], "video")
        return named_outputs(model({"video": video}, training=False), "video")

    def audio(waveform):
        waveform = _of_shape(waveform, shapes["waveform"], "waveform")
        return named_outputs(model({"waveform": waveform}, training=False), "audio")

    def text(text):
        return named_outputs(model({"text": tokenizer(text)[:, tf.newaxis]}, training=False), "text")

    inputs = {
        "video": (video, tf.TensorSpec([None, *shapes["video"]], tf.float32, name="video")),
        "audio": (audio, tf.TensorSpec([None, *shapes["waveform"]], tf.float32, name="waveform")),
        "text": (text, tf.TensorSpec([None], tf.string, name="text")),
    }
    return {
        modality: tf.function(run, autograph=False).get_concrete_function(spec)
        for modality, (run, spec) in inputs.items()
        if modality in model.modalities and (modality != "text" or tokenizer is not None)
    }


def _of_shape(values: tf.Tensor, shape: tuple[int, ...], name: str) -> tf.Tensor:
    """Refuses other shapes when it runs: a loaded signature would cut them off in silence."""
    message = f"`{name}` should have the shape [batch, {', '.join(map(str, shape))}]"
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(values)[1:], shape, message)]):
        return tf.identity(values)


def check_target(directory: str) -> pathlib.Path:
    """Returns where a SavedModel is to be written.

    Raises:
      BadInput: There is something, or there is no folder to put it into and none can be made.
    """
    target = pathlib.Path(directory)
    try:
        if (
            target.exists() or target.is_symlink() or target.name == ".."
        ):  # a link that leads nowhere is found only by the rename
            raise BadInput(f"--output should not exist yet. {target} does; remove it or choose another name.")
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"--output should lie in a folder that can be created. {target.parent} cannot: {error}"
        ) from error
    return target


def write_saved_model(trained: TrainedModel, target: pathlib.Path) -> dict:
    """Writes the SavedModel and, in its directory, what it takes and gives: `export.json`.

    Args:
      trained: The model.
      target: The directory to write, see `check_target`. It appears whole or not at all.

    Returns:
      What `export.json` holds.

    Raises:
      BadInput: Another program writes it.
      RunFailed: It cannot be written.
    """
    folder = target.with_name(f".{target.name}.incomplete")
    try:
        with only_writer(folder, "export"):
            return _publish(trained, folder / "model", target)
    finally:
        with contextlib.suppress(OSError):  # another program has begun to write there
            folder.rmdir()


def _publish(trained: TrainedModel, unfinished: pathlib.Path, target: pathlib.Path) -> dict:
    try:
        if unfinished.exists():
            shutil.rmtree(unfinished)  # of an export that was killed
        description = _write(trained, unfinished)
        os.rename(unfinished, target)
    except (OSError, tf.errors.OpError) as error:
        raise RunFailed(f"{target} could not be written: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return description


def _write(trained: TrainedModel, directory: pathlib.Path) -> dict:
    model, tokenizer = trained.model, trained.tokenizer
    module, functions = tf.Module(), signatures(model, tokenizer)
    module.weights = model.variables  # not the model: Keras would trace every layer for itself
    if "text" in functions:
        module.tokenizer, module.vocabulary = tokenizer, tf.saved_model.Asset(tokenizer.vocabulary_path)
    tf.saved_model.save(module, str(directory), signatures=functions)
    description = _describe(trained, functions)
    (directory / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return description


def _describe(trained: TrainedModel, functions: dict[str, Callable]) -> dict:
    clips, wordpiece = trained.settings.clips, isinstance(trained.tokenizer, WordPieceTokenizer)
    return {
        "use": [
            "import tensorflow as tf",
            *(
                ["import tensorflow_text  # the text signature's tokenizer is in it"]
                if wordpiece and "text" in functions
                else []
            ),
            "model = tf.saved_model.load(DIRECTORY)",
            'model.signatures["video"](video=...)',
        ],
        "checkpoint": trained.checkpoint,
        "step": trained.step,
        "clip_seconds": clips.clip_seconds,
        "inputs": {modality: _input(modality, clips) for modality in functions},
        "outputs": {
            modality: {
                name: {"dim": spec.shape[-1], "is": _MEANINGS[name.removesuffix(f"_{modality}")].format(modality)}
                for name, spec in function.structured_outputs.items()
            }
            for modality, function in functions.items()
        },
    }


def _input(modality: str, clips: ClipSpec) -> dict:
    size = clips.image_size
    if modality == "video":
        shape = ["batch", clips.frames, size, size, 3]
        rate = clips.frames / clips.clip_seconds
        return {"name": "video", "dtype": "float32", "shape": shape, "range": [-1, 1], "frames_per_second": rate}
    if modality == "audio":
        shape, rate = ["batch", clips.waveform_samples], clips.sample_rate_hz
        return {"name": "waveform", "dtype": "float32", "shape": shape, "range": [-1, 1], "sample_rate_hz": rate}
    return {
        "name": "text",
        "dtype": "string",
        "shape": ["batch"],
        "tokens": clips.words,
        "vocabulary": "assets/vocabulary.txt",
    }
