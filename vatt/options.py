"""The arguments of `VATT`."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence

from vatt.presets import Tower
from vatt.sizes import MOST_LAYERS, MOST_UNITS, check_sizes


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """The arguments of `VATT`, with their defaults; only `preset` may come without its name.

    Attributes:
      preset: A name in `vatt.PRESETS`: "ut_medium" (modality-agnostic), "mbs" (modality-specific), "vit_base" (one tower).
      frames: Frames in a clip.
      image_size: Height and width of a frame, pixels.
      waveform_samples: Samples of a clip's waveform.
      sample_rate_hz: Sampling rate of the audio; only spectrograms depend on it.
      vocabulary_size: Token ids, 0 (padding) included.
      words: Token ids in a caption.
      modalities: Build only these towers of the preset; with fewer than two there is no head.
      video: Another tower than the preset's: a name such as "vit_large", or a `Tower`; likewise the next two.
      audio: "wat_..." reads the waveform, "spt_..." a log-mel spectrogram of it.
      text: "t5_..." has relative positions, "bert_..." absolute ones, "linear" is no Transformer.
      head: "fine_and_coarse", or "joint": one space of size `video_audio_dim` for all.
      layers: Encoder blocks of every tower, if not the preset's; likewise the next four, see `Size`.
      width: Size of a token.
      heads: Attention heads.
      head_dim: Size of a head.
      feed_forward: Size of the feed-forward hidden layer.
      word_dim: Size of a word vector before it is projected to `width`.
      feature_dim: Size of the pooled features in the modality-agnostic model (elsewhere the tower's width).
      video_audio_dim: Size of the fine space.
      video_text_dim: Size of the coarse space.
      video_patch: Frames, rows and columns of a patch.
      waveform_patch: Samples of a patch.
      spectrogram_patch: Windows and mel bands of a patch.
      mel_bands: Bands of a spectrogram.
      pad_patches: Fill up with zeros what does not fill a patch (the paper's formula), or cut it off (published code; default).
      drop_token_rate: Share of the video and waveform tokens that training drops.
      dropout: Rate of every dropout.
      recompute: Compute the blocks' activations again in the backward pass instead of keeping them.
      paper_head: See `FineAndCoarseHead`; the published code's head is the default, its results are the published ones.
      release_compatible: What the next switches are where they are `None`.
      shared_drop: One DropToken subset for the whole batch (published code) instead of one per clip (paper; default).
      normalize_positions: A LayerNorm on the positions (published code), or none (paper; default).
      positions_from_edges: Align the patches' edges where positions are stretched (published code), or their centers.
      transposed_spectrogram_positions: See `AxialPositions` (published code), or in order (default).
      convolution_init: See `Patches` (published code), or a linear map's (default).
      kept_tokens_of_tables: DropToken keeps as many tokens of every clip as of one of the size given here (published code),
        or the same share of every clip (default).
      position_dropout: Rate after the positions are added: 0.1 whatever `dropout` is (published code), 0 (paper), or the
        same as `dropout` (default).
      frozen_words: Keep the word vectors as they are (published code), or learn them (paper; default).
      name: The Keras model's name.
    """

    preset: str = "ut_medium"
    _: dataclasses.KW_ONLY
    frames: int = 32
    image_size: int = 224
    waveform_samples: int = 153_600
    sample_rate_hz: int = 48_000
    vocabulary_size: int = 65_536
    words: int = 16
    modalities: Sequence[str] | None = None
    video: str | Tower | None = None
    audio: str | Tower | None = None
    text: str | Tower | None = None
    head: str = "fine_and_coarse"
    layers: int | None = None
    width: int | None = None
    heads: int | None = None
    head_dim: int | None = None
    feed_forward: int | None = None
    word_dim: int | None = None
    feature_dim: int | None = None
    video_audio_dim: int | None = None
    video_text_dim: int | None = None
    video_patch: tuple[int, int, int] = (4, 16, 16)
    waveform_patch: int = 128
    spectrogram_patch: tuple[int, int] = (16, 5)
    mel_bands: int = 80
    pad_patches: bool = False
    drop_token_rate: float = 0.5
    dropout: float = 0.1
    recompute: bool = False
    paper_head: bool = False
    release_compatible: bool = False
    shared_drop: bool | None = None
    normalize_positions: bool | None = None
    positions_from_edges: bool | None = None
    transposed_spectrogram_positions: bool | None = None
    convolution_init: bool | None = None
    kept_tokens_of_tables: bool | None = None
    position_dropout: float | None = None
    frozen_words: bool | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            most = _MOST.get(field.name)
            if most is not None and (value := getattr(self, field.name)) is not None:
                check_sizes(field.name, value, most, least=0 if field.name in _OF_CLIPS else 1)


_LONGEST = 2**31 - 1  # TensorFlow's kernels count in int32
_OF_CLIPS = ("frames", "image_size", "waveform_samples", "words")  # 0 for a modality that the model lacks
_MOST = {
    **dict.fromkeys(("frames", "waveform_samples", "sample_rate_hz", "vocabulary_size"), _LONGEST),
    **dict.fromkeys(("image_size", "words"), 2**16),
    "layers": MOST_LAYERS,
    **dict.fromkeys(
        (
            "width", "heads", "head_dim", "feed_forward", "word_dim", "feature_dim", "video_audio_dim", "video_text_dim",
            "video_patch", "waveform_patch", "spectrogram_patch", "mel_bands",
        ),
        MOST_UNITS,
    ),
}  # fmt: skip


def takes_model_options(constructor: Callable[..., None]) -> Callable[..., None]:
    """Decorates `__init__(self, *args, **kwargs)`: gives it the signature and the annotations of `ModelOptions`.

    `help` shows them, and gin reads names, defaults and types there.
    """
    constructor = functools.wraps(ModelOptions.__init__)(constructor)
    constructor.__signature__ = inspect.signature(ModelOptions.__init__)  # for readers that do not look behind wrappers
    return constructor
