import time

import pytest
import tensorflow as tf

from data import WordPieceTokenizer, WordTokenizer, build_vocabularies
from data.text import vocabulary

PIECES, WORDS = "vocabulary_wordpiece.txt", "vocabulary_words.txt"


def read(directory, name):
    return (directory / name).read_text(encoding="utf-8").splitlines()


def narrations(clips):
    """Four sentences per clip out of a vocabulary of about 1,000 words."""
    for clip in range(clips):
        for sentence in range(4):
            numbers = [(7 * clip + 13 * sentence + 31 * word) % 997 for word in range(8)]
            yield "A red square moves: " + " ".join(f"thing{number}" for number in numbers)


def test_words_come_by_frequency_then_spelling(tmp_path):
    build_vocabularies(["The cat. The dog!", "the bird", "Über cat"], str(tmp_path))
    assert read(tmp_path, WORDS) == ["<pad>", "<unk>", "the", "cat", "bird", "dog", "über"]


def test_frequent_words_become_pieces_of_their_own(tmp_path):
    build_vocabularies(["the jumping cat"] * 20 + ["Émile"], str(tmp_path))
    pieces = read(tmp_path, PIECES)
    assert pieces[:2] == ["[PAD]", "[UNK]"] and {"the", "jumping", "cat"} <= set(pieces)
    tokenizer = WordPieceTokenizer(str(tmp_path / PIECES), words=3)
    ids = tokenizer(tf.constant("The JUMPING cat")).numpy()
    assert [pieces[i] for i in ids] == ["the", "jumping", "cat"]
    # Every character of the captions is a piece, so that none of them reads as unknown.
    assert 1 not in tokenizer(tf.constant(["emile", "them jump", "tac"])).numpy()


def test_sizes_are_upper_bounds(tmp_path):
    build_vocabularies(narrations(50), str(tmp_path), wordpiece_size=60, word_size=20)
    assert 50 <= len(read(tmp_path, PIECES)) <= 60
    assert len(read(tmp_path, WORDS)) == 20


def test_captions_beyond_the_maximum_are_not_read(tmp_path):
    def captions():
        yield from ["one", "two"]
        raise AssertionError("read too far")

    build_vocabularies(captions(), str(tmp_path), maximum_captions=2)
    assert read(tmp_path, WORDS) == ["<pad>", "<unk>", "one", "two"]


@pytest.mark.parametrize("captions", [[], ["", "  "]])
def test_without_captions_only_the_special_tokens_are_written(tmp_path, captions):
    build_vocabularies(captions, str(tmp_path))
    assert read(tmp_path, PIECES) == ["[PAD]", "[UNK]"]
    assert read(tmp_path, WORDS) == ["<pad>", "<unk>"]
    text = tf.constant(["a word"])
    pieces = WordPieceTokenizer(str(tmp_path / PIECES), words=3)(text)
    words = WordTokenizer(str(tmp_path / WORDS), words=3)(text)
    assert pieces.numpy().tolist() == words.numpy().tolist() == [[1, 1, 0]]


def test_the_order_of_the_captions_does_not_matter(tmp_path):
    captions = list(narrations(30))
    files = []
    for ordered in (captions, captions[::-1], sorted(captions)):
        build_vocabularies(ordered, str(tmp_path), wordpiece_size=100, word_size=50)
        files.append((read(tmp_path, PIECES), read(tmp_path, WORDS)))
    assert files[0] == files[1] == files[2]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    build_vocabularies(["old"], str(tmp_path))

    def full_disk(*arguments, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(vocabulary.tf.io.gfile, "rename", full_disk)
    with pytest.raises(OSError, match="No space left"):
        build_vocabularies(["new"], str(tmp_path))
    assert "old" in read(tmp_path, WORDS) and "new" not in read(tmp_path, WORDS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [PIECES, WORDS]


def test_two_thousand_clips_take_seconds(tmp_path):
    begin = time.monotonic()
    build_vocabularies(narrations(2000), str(tmp_path))
    assert time.monotonic() - begin < 20
    assert "thing996" in read(tmp_path, WORDS)
