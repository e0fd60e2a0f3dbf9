"""Captions to token ids, in the graph; id 0 is padding, and there are no begin or end marks."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text

from data.errors import DataError
from data.source.regular_files import require_no_pipe

WORDPIECE_SPECIAL = ("[PAD]", "[UNK]")
WORD_SPECIAL = ("<pad>", "<unk>")
# FastBertTokenizer refuses a vocabulary of special tokens only, which is what captions that hold
# nothing give. This piece never occurs: the tokenizer turns control characters into spaces first.
_UNREACHABLE = "\x01"


def split_words(captions: tf.Tensor) -> tf.RaggedTensor:
    """Splits captions as VATT's word-level tokenizer does.

    Lower case, punctuation removed ("don't" becomes "dont"), split on white space.

    Args:
      captions: String [captions], UTF-8.

    Returns:
      Ragged string [captions, (words)].
    """
    lower = tf.strings.lower(captions, encoding="utf-8")
    return tf.strings.split(tf.strings.regex_replace(lower, r"[[:punct:]\p{P}]", ""))


class _Tokenizer(tf.Module):
    """What both share; a `tf.Module`, so that a SavedModel carries the tables along."""

    def __init__(self, vocabulary_path: str, vocabulary_size: int, words: int) -> None:
        super().__init__()
        self.vocabulary_path = vocabulary_path
        self.vocabulary_size = vocabulary_size
        self.words = words

    def __call__(self, captions: tf.Tensor) -> tf.Tensor:
        """Turns strings [...] into int32 [..., words]."""
        dense = self._ids(tf.reshape(captions, [-1])).to_tensor(shape=[None, self.words])
        return tf.reshape(dense, tf.concat([tf.shape(captions), [self.words]], axis=0))

    def lengths(self, captions: tf.Tensor) -> tf.Tensor:
        """Counts the tokens of strings [...] before they are cut to `words`: int32 [...]."""
        counts = self._ids(tf.reshape(captions, [-1])).row_lengths()
        return tf.reshape(tf.cast(counts, tf.int32), tf.shape(captions))

    def _ids(self, captions: tf.Tensor) -> tf.RaggedTensor:
        """Turns strings [captions] into int32 [captions, (tokens)]."""
        raise NotImplementedError


class WordPieceTokenizer(_Tokenizer):
    """WordPiece as in BERT: lower case, accents stripped, the longest known piece first.

    Args:
      vocabulary_path: One piece per line, `[PAD]` first and `[UNK]` second.
      words: Length of the result; longer captions are cut, shorter ones padded.

    Raises:
      DataError: The vocabulary is missing or does not begin like that.
    """

    def __init__(self, vocabulary_path: str, words: int) -> None:
        vocabulary = _read_vocabulary(vocabulary_path, WORDPIECE_SPECIAL)
        super().__init__(vocabulary_path, len(vocabulary), words)
        self._tokenizer = tf_text.FastBertTokenizer(
            [*vocabulary, _UNREACHABLE], token_out_type=tf.int32, lower_case_nfd_strip_accents=True
        )

    def _ids(self, captions: tf.Tensor) -> tf.RaggedTensor:
        return self._tokenizer.tokenize(captions)


class WordTokenizer(_Tokenizer):
    """The word-level tokenizer that VATT used for HowTo100M; see `split_words`.

    Args:
      vocabulary_path: One word per line, `<pad>` first; `<unk>` second, or somewhere else as in VATT's own file.
      words: Length of the result; longer captions are cut, shorter ones padded.

    Raises:
      DataError: The vocabulary is missing or lacks these.
    """

    def __init__(self, vocabulary_path: str, words: int) -> None:
        vocabulary = _read_vocabulary(vocabulary_path, WORD_SPECIAL[:1])
        if "<unk>" not in vocabulary:
            raise DataError(f"The vocabulary {vocabulary_path} should have a line <unk>, for words it does not know.")
        super().__init__(vocabulary_path, len(vocabulary), words)
        ids = tf.lookup.KeyValueTensorInitializer(
            vocabulary, tf.range(len(vocabulary)), key_dtype=tf.string, value_dtype=tf.int32
        )
        self._table = tf.lookup.StaticHashTable(ids, default_value=vocabulary.index("<unk>"))

    def _ids(self, captions: tf.Tensor) -> tf.RaggedTensor:
        words = split_words(captions)
        return words.with_flat_values(self._table.lookup(words.flat_values))


def _read_vocabulary(path: str, special: tuple[str, ...]) -> list[str]:
    try:
        require_no_pipe(path)
        with tf.io.gfile.GFile(path) as file:
            vocabulary = file.read().split("\n")
    except (OSError, tf.errors.OpError, UnicodeDecodeError) as error:
        raise DataError(
            f"Cannot read the vocabulary {path} ({getattr(error, 'message', error)}). `experiments.prepare_data` "
            "writes it next to the records; prepare the data set again."
        ) from error
    if vocabulary and not vocabulary[-1]:
        vocabulary.pop()
    if tuple(vocabulary[: len(special)]) != special or len(set(vocabulary)) != len(vocabulary):
        raise DataError(
            f"The vocabulary {path} should begin with the lines {', '.join(special)} and name every "
            f"token once. Found {vocabulary[:2]} at the beginning. Is it the other tokenizer's?"
        )
    return vocabulary
