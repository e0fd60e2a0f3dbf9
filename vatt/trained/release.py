"""Checkpoints of the published VATT code (google-research/vatt), read into this toolbox's model."""

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf

from vatt.heads import JointHead
from vatt.model import VATT
from vatt.trained.checkpoint_list import readable_checkpoint

_BASE = "model/layer_with_weights-0/_base_layer/"
_HEAD = "model/layer_with_weights-0/_head_layer/_bridge_heads/0/"
_UNIFIED = f"{_BASE}unified_backbone/unified_transformer/"
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_SHORT = {"video": "vid", "audio": "aud", "text": "txt"}
_PATCHES = {"vit": "voxel_to_patch", "wat": "wave_to_patch", "spt": "spectrum_to_patch"}
_AXES = {
    "video": ("temporal", "vertical", "horizontal"),
    "audio": ("temporal", "spectoral"),  # sic
    "text": ("temporal",),
}
_UNREADABLE = (ValueError, RuntimeError, IndexError, tf.errors.OpError)  # IndexError: the file ends early
_WORDS = (f"{_UNIFIED}raw_to_embeddings/text/embeddings", f"{_BASE}txt_backbone/embedding/embeddings")


class ReleaseError(ValueError):
    """The checkpoint is not one of the published code, or not of this model."""


def import_release(source: str, model: VATT) -> dict[str, dict[str, object]]:
    """Assigns every weight and moving statistic of a published checkpoint to a model.

    Args:
      source: A checkpoint of the published code, without the ending: .../ckpt-500000.
      model: Of the architecture that the checkpoint has, with `release_compatible=True`; its variables exist.

    Returns:
      What matched: the published key, with our variable's name and shape.

    Raises:
      ReleaseError: There is no such checkpoint; or a variable of either has no counterpart, or one of another size. Nothing
        is assigned then.
    """
    with open_release(source) as reader:
        shapes = {
            key.removesuffix(_SUFFIX): tuple(shape)
            for key, shape in reader.get_variable_to_shape_map().items()
            if key.startswith("model/") and "/.OPTIMIZER_SLOT/" not in key
        }
        ours = published_keys(model)
        problems = _problems(shapes, ours, model)
        if problems:
            raise ReleaseError(f"{source} does not fit the model:\n" + "\n".join(problems))
        values = {key: _read(reader, source, key) for key in ours}
    for key, variable in ours.items():
        variable.assign(values[key].reshape(variable.shape))
    return {
        key: {"published_shape": shapes[key], "variable": variable.name, "shape": tuple(variable.shape)}
        for key, variable in ours.items()
    }


@contextlib.contextmanager
def open_release(source: str) -> Iterator:
    """Opens a checkpoint for the time of a `with` statement.

    Raises:
      ReleaseError: There is none, or it cannot be read.
    """
    with readable_checkpoint(os.fspath(source).removesuffix(".index")) as readable:
        yield _opened(readable, source)


def _opened(readable, source):
    try:
        return tf.train.load_checkpoint(readable)
    except _UNREADABLE as error:
        raise ReleaseError(
            f"{source} should be a checkpoint without its ending, such as .../ckpt-500000. Found none there: "
            f"{str(error).splitlines()[0]}"
        ) from error


def release_facts(source: str) -> tuple[int, int | None]:
    """Returns the step at which a published checkpoint was written (0 if it does not say) and how many words it knows.

    Raises:
      ReleaseError: See `open_release`.
    """
    with open_release(source) as reader:
        shapes = reader.get_variable_to_shape_map()
        words = next((shapes[key + _SUFFIX][0] for key in _WORDS if key + _SUFFIX in shapes), None)
        counter = f"optimizer/iter{_SUFFIX}"
        return (int(_read(reader, source, "optimizer/iter")) if counter in shapes else 0), words


def _read(reader, source, key):
    try:
        return reader.get_tensor(key + _SUFFIX)
    except _UNREADABLE as error:
        raise ReleaseError(
            f"{source} is damaged or incomplete: {key} cannot be read ({str(error).splitlines()[0]})"
        ) from error


def published_keys(model: VATT) -> dict[str, tf.Variable]:
    """Returns the published code's key of each of a model's variables, without the ending that all keys have.

    Raises:
      ReleaseError: The model has a part whose published keys are unknown: a BERT or linear text tower, a joint head.
    """
    unknown = {"bert", "linear"} & set(model.kinds.values())
    if unknown or isinstance(model.head, JointHead):
        what = f"a text tower of the kind {min(unknown)!r}" if unknown else "a joint head"
        raise ReleaseError(f"The keys of {what} are unknown. Published are ut_medium, bbs, mbs, lbs and their towers.")
    keys = {}
    for modality, kind in model.kinds.items():
        tower = {"ut": _unified_tower, "t5": _t5_tower}.get(kind, _single_tower)
        keys |= tower(model, modality)
    return keys | ({} if model.head is None else _head(model.head))


def _unified_tower(model, modality):
    embedding = model.embeddings[modality]
    return {
        **_named(f"{_UNIFIED}raw_to_embeddings/{modality}", embedding.pieces),
        **_named(f"{_UNIFIED}pre_proj/{modality}", embedding.projection),
        **_positions(f"{_UNIFIED}pos_embedding_lookup/{modality}", embedding.positions, modality),
        f"{_UNIFIED}{_SHORT[modality]}_agg_embedding": embedding.aggregation,
        **_encoder(f"{_UNIFIED}tx", model.encoders[modality]),
        **_named(f"{_UNIFIED}post_proj/{modality}", model.feature_projections[modality]),
    }


def _single_tower(model, modality):
    embedding = model.embeddings[modality]
    # Checkpoints of one backbone alone lack the part of the name that says which.
    prefix = f"{_BASE}{_SHORT[modality]}_backbone/_base/" if len(model.modalities) > 1 else "model/_base/"
    return {
        **_named(f"{prefix}{_PATCHES[model.kinds[modality]]}", embedding.pieces),
        **_positions(f"{prefix}pos_embedding_lookup", embedding.positions, modality),
        f"{prefix}agg_embedding": embedding.aggregation,
        **_encoder(f"{prefix}tx", model.encoders[modality]),
    }


def _t5_tower(model, modality):
    prefix, embedding, encoder = f"{_BASE}txt_backbone/", model.embeddings[modality], model.encoders[modality]
    keys = {
        **_named(f"{prefix}embedding", embedding.pieces),
        **_named(f"{prefix}pre_proj", embedding.projection),
        f"{prefix}agg_embedding": embedding.aggregation,
        f"{prefix}base_lm/final_layer_norm/weight": encoder.norm.scale,
    }
    for index, block in enumerate(encoder.blocks):
        layer = f"{prefix}base_lm/layers/{index}/"
        keys[f"{layer}self_attention/layer_norm/weight"] = block.attention_norm.scale
        keys |= _attention(f"{layer}self_attention/attention", block.attention)
        keys |= _feed_forward(f"{layer}feed_forward", block)
    relative = f"{prefix}base_lm/layers/0/self_attention/attention/relative_attention_bias/embeddings"
    return {**keys, relative: encoder.relative_positions.weights[0]}


def _encoder(prefix, encoder):
    keys = _named(f"{prefix}/final_layer_norm", encoder.norm)
    for index, block in enumerate(encoder.blocks):
        layer = f"{prefix}/layers/{index}/"
        keys |= _named(f"{layer}layer_norm", block.attention_norm)
        keys |= _attention(f"{layer}mha", block.attention)
        keys |= _feed_forward(f"{layer}feed_forward", block)
    return keys


def _attention(prefix, attention):
    layers = dict(q=attention.query, k=attention.key, v=attention.value, o=attention.output_projection)
    return {key: weight for name, layer in layers.items() for key, weight in _named(f"{prefix}/{name}", layer).items()}


def _feed_forward(prefix, block):
    return {
        **_named(f"{prefix}/layer_norm", block.feed_forward_norm),
        **_named(f"{prefix}/mlp/wi", block.hidden),
        **_named(f"{prefix}/mlp/wo", block.output_projection),
    }


def _positions(prefix, positions, modality):
    tables = zip(_AXES[modality], positions.tables, strict=False)
    keys = {f"{prefix}/{axis}_position_embeddings/embeddings": table for axis, table in tables}
    return keys if positions.layer_norm is None else {**keys, **_named(f"{prefix}/layernorm", positions.layer_norm)}


def _head(head):
    layers = {
        "vid_to_hid": head.video_hidden,
        "hid_to_va/pre_bn": head.video_hidden_norm,
        "hid_to_va/dense": head.video_to_audio,
        "hid_to_va/bn": head.video_to_audio_norm,
        "va_to_vat/dense": head.video_to_text,
        "va_to_vat/bn": head.video_to_text_norm,
        "aud_to_va": head.audio_to_video,
        "txt_to_vat": head.text_to_video,
    }
    return {key: weight for name, layer in layers.items() for key, weight in _named(_HEAD + name, layer).items()}


def _named(prefix, layer):
    """Returns a layer's own variables under the names that Keras gives their attributes."""
    names = ("kernel", "bias", "embeddings", "gamma", "beta", "moving_mean", "moving_variance")
    return {f"{prefix}/{name}": getattr(layer, name) for name in names if getattr(layer, name, None) is not None}


def _problems(shapes, ours, model):
    """Returns a line for everything that has no counterpart, or one of another size."""
    lines = [f"  {key} {list(shapes[key])} is only in the checkpoint" for key in sorted(set(shapes) - set(ours))]
    lines += [f"  {key} {list(ours[key].shape)} is only in the model" for key in sorted(set(ours) - set(shapes))]
    expected = {key: _published_shape(variable, model) for key, variable in ours.items()}
    lines += [
        f"  {key} is {list(shapes[key])} in the checkpoint and {list(shape)} in the model"
        for key, shape in expected.items()
        if key in shapes and shapes[key] != shape
    ]
    named = {id(variable) for variable in ours.values()}
    return lines + [
        f"  {variable.name} of the model has no key" for variable in model.variables if id(variable) not in named
    ]


def _published_shape(variable, model):
    """Returns the shape that the published code gives a variable: patch kernels and AGG tokens have other axes there."""
    for embedding in model.embeddings.values():
        if variable is getattr(embedding, "aggregation", None):
            return (variable.shape[-1],)
        if variable is getattr(embedding.pieces, "kernel", None):
            return (*embedding.pieces.patch, embedding.pieces.channels, variable.shape[-1])
    return tuple(variable.shape)
