"""Builds the vocabularies of both tokenizers from the captions of the training split."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf
from tensorflow_text.python.ops import bert_tokenizer
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as learner

from data.source.written_files import renamed_when_done
from data.text.tokenizers import WORD_SPECIAL, WORDPIECE_SPECIAL, split_words

WORDPIECE_FILE = "vocabulary_wordpiece.txt"
WORD_FILE = "vocabulary_words.txt"

_CAPTIONS_AT_ONCE = 4096
_JOINER = "##"
# The learner's time grows with the number of different words (seconds for 100,000).
_MAXIMUM_LEARNER_WORDS = 100_000


def build_vocabularies(
    captions: Iterable[str],
    directory: str,
    *,
    wordpiece_size: int = 30_522,
    word_size: int = 2**16,
    maximum_captions: int = 2_000_000,
) -> None:
    """Writes `vocabulary_wordpiece.txt` and `vocabulary_words.txt`.

    Equal captions in any order give equal files. Without captions (a folder of videos that has
    none is normal) the files hold the special tokens only.

    Args:
      captions: The training captions, UTF-8; read once.
      directory: Where to write; each file is written under another name first, then renamed.
      wordpiece_size: At most this many pieces (BERT's size). Characters come first, so a very small
        size cuts off characters, which then read as `[UNK]`.
      word_size: At most this many words, the most frequent (VATT's 2^16); ties by spelling.
      maximum_captions: Captions after these are not read (our choice, to bound the time).
    """
    pieces, words = _count(itertools.islice(captions, maximum_captions))
    _write_lines(os.path.join(directory, WORDPIECE_FILE), _learn_pieces(pieces, wordpiece_size))
    frequent = [*WORD_SPECIAL, *(word for word, _ in _by_frequency(words))]
    _write_lines(os.path.join(directory, WORD_FILE), frequent[:word_size])


def _count(captions: Iterable[str]) -> tuple[collections.Counter, collections.Counter]:
    """Counts the words as either tokenizer splits them."""
    pieces, words = collections.Counter(), collections.Counter()
    split_bert_words = bert_tokenizer.BasicTokenizer(lower_case=True).tokenize
    for batch in _batches(captions):
        pieces.update(_words_of(split_bert_words, batch))
        words.update(_words_of(split_words, batch))
    return pieces, words


def _batches(captions: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(captions)
    while batch := list(itertools.islice(iterator, _CAPTIONS_AT_ONCE)):
        yield batch


def _words_of(split: Callable[[tf.Tensor], tf.RaggedTensor], captions: list[str]) -> list[str]:
    with tf.device("CPU:0"):
        return [word.decode() for word in split(tf.constant(captions)).flat_values.numpy()]


def _by_frequency(counts: collections.Counter) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _learn_pieces(counts: collections.Counter, size: int) -> list[str]:
    if not counts:
        return list(WORDPIECE_SPECIAL)
    vocabulary = learner.learn(
        _by_frequency(counts)[:_MAXIMUM_LEARNER_WORDS],
        vocab_size=size,
        reserved_tokens=list(WORDPIECE_SPECIAL),
        lower_thresh=1,
        joiner=_JOINER,
    )
    return _cut(vocabulary, size)


def _cut(vocabulary: list[str], size: int) -> list[str]:
    """Drops the rarest pieces, since the learner may overshoot; single characters stay longest."""
    special, rest = vocabulary[: len(WORDPIECE_SPECIAL)], vocabulary[len(WORDPIECE_SPECIAL) :]
    rest.sort(key=lambda piece: len(piece.removeprefix(_JOINER)) > 1)
    return [*special, *rest][:size]


def _write_lines(path: str, lines: list[str]) -> None:
    with renamed_when_done(path) as temporary, tf.io.gfile.GFile(temporary, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
