"""Data sets, media, text and the input pipeline; knows no model."""

from data.augmentation import Augmentation
from data.dataset import PreparedDataset, open_dataset
from data.errors import DataError
from data.file_clips import FileClip, read_clips
from data.pipeline import distributed_train_batches, eval_batches, mixed_clips, train_batches, training_files
from data.service import DataService, connect_service
from data.spec import ClipSpec
from data.tokenizers import WordPieceTokenizer, WordTokenizer
from data.vocabulary import build_vocabularies

__all__ = [
    "Augmentation",
    "ClipSpec",
    "DataError",
    "DataService",
    "FileClip",
    "PreparedDataset",
    "WordPieceTokenizer",
    "WordTokenizer",
    "build_vocabularies",
    "connect_service",
    "distributed_train_batches",
    "eval_batches",
    "mixed_clips",
    "open_dataset",
    "read_clips",
    "train_batches",
    "training_files",
]
