import pytest
import tensorflow as tf

from data import DataError, WordPieceTokenizer, WordTokenizer

pytestmark = pytest.mark.every_python

PIECES = ["[PAD]", "[UNK]", "un", "##aff", "##able", "cafe", "naive", "!", "play", "##ing"]
PIECES += ["日", "本"]
WORDS = ["<pad>", "<unk>", "dont", "stop", "the", "über", "straße", "café", "日本"]


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def wordpiece(tmp_path):
    return WordPieceTokenizer(write(tmp_path / "pieces.txt", PIECES), words=4)


@pytest.fixture
def word_level(tmp_path):
    return WordTokenizer(write(tmp_path / "words.txt", WORDS), words=4)


@pytest.mark.parametrize(
    ("caption", "ids"),
    [
        ("unaffable", [2, 3, 4, 0]),
        ("UnaffAble Playing", [2, 3, 4, 8]),  # Cut: ##ing would be the fifth.
        ("CAFÉ naïve!", [5, 6, 7, 0]),
        ("日本", [10, 11, 0, 0]),
        ("play zebra", [8, 1, 0, 0]),
        ("  \t play\nplay ", [8, 8, 0, 0]),
        ("", [0, 0, 0, 0]),
    ],
)
def test_wordpiece_takes_the_longest_piece_first(wordpiece, caption, ids):
    assert wordpiece(tf.constant([caption])).numpy().tolist() == [ids]
    assert wordpiece.vocabulary_size == len(PIECES)


@pytest.mark.parametrize(
    ("caption", "ids"),
    [
        ("Don't stop, the...", [2, 3, 4, 0]),
        ("ÜBER Straße", [5, 6, 0, 0]),
        ("«Café» – 日本。", [7, 8, 0, 0]),
        ("the zebra the stop dont", [4, 1, 4, 3]),
        ("?! ...", [0, 0, 0, 0]),
    ],
)
def test_words_are_lower_case_without_punctuation(word_level, caption, ids):
    assert word_level(tf.constant([caption])).numpy().tolist() == [ids]
    assert word_level.vocabulary_size == len(WORDS)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 2)])
@pytest.mark.parametrize("name", ["wordpiece", "word_level"])
def test_every_leading_shape_works_in_a_graph(request, name, shape):
    tokenizer = request.getfixturevalue(name)
    ids = tf.function(tokenizer)(tf.fill(shape, "stop playing"))
    assert ids.shape == (*shape, 4) and ids.dtype == tf.int32


def test_the_other_tokenizers_vocabulary_is_refused(tmp_path):
    path = write(tmp_path / "words.txt", WORDS)
    with pytest.raises(DataError, match="should begin with the lines .PAD., .UNK."):
        WordPieceTokenizer(path, words=4)


def test_a_token_named_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="every token once"):
        WordTokenizer(write(tmp_path / "words.txt", [*WORDS, "the"]), words=4)


def test_a_missing_vocabulary_names_the_file_and_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"missing\.txt.*prepare the data set again"):
        WordTokenizer(str(tmp_path / "missing.txt"), words=4)


def test_lengths_count_what_is_cut_off(wordpiece, word_level):
    captions = tf.constant([["unaffable playing", "", "play"]])
    assert wordpiece.lengths(captions).numpy().tolist() == [[5, 0, 1]]
    assert word_level.lengths(tf.constant(["the the the the the zebra", "!"])).numpy().tolist() == [6, 0]
