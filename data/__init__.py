"""Data sets, media, text and the input pipeline; knows no model."""

from data.augmentation import Augmentation
from data.dataset import PreparedDataset, open_dataset
from data.errors import DataError
from data.file_clips import FileClip, read_clips
from data.pipeline import distributed_train_batches, eval_batches, train_batches
from data.spec import ClipSpec
from data.tokenizers import WordPieceTokenizer, WordTokenizer
from data.vocabulary import build_vocabularies

__all__ = [
    "Augmentation",
    "ClipSpec",
    "DataError",
    "FileClip",
    "PreparedDataset",
    "WordPieceTokenizer",
    "WordTokenizer",
    "build_vocabularies",
    "distributed_train_batches",
    "eval_batches",
    "open_dataset",
    "read_clips",
    "train_batches",
]
