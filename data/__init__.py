"""Data sets, media, text and the input pipeline; knows no model."""

from data.errors import DataError
from data.pipeline.augmentation import Augmentation
from data.pipeline.batches import distributed_train_batches, eval_batches, mixed_clips, train_batches, training_files
from data.pipeline.file_clips import FileClip, read_clips
from data.pipeline.service import DataService, connect_service
from data.pipeline.spec import ClipSpec
from data.records.prepared_dataset import PreparedDataset, open_dataset
from data.text.tokenizers import WordPieceTokenizer, WordTokenizer
from data.text.vocabulary import build_vocabularies

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
