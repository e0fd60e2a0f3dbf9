"""Data sets, media, text and the input pipeline, independent of any model. Other packages import only the names below."""

from data.errors import DataError, PreparationError
from data.media.reader import INT16_RANGE, DecodedClip
from data.pipeline.augmentation import Augmentation, random_crop_box
from data.pipeline.batches import distributed_train_batches, eval_batches, mixed_clips, train_batches, training_files
from data.pipeline.file_clips import FileClip, read_clips
from data.pipeline.finishing import AUGMENT_ON, finish_clips, float_bytes, stored_bytes
from data.pipeline.order import WRONG_LENGTHS
from data.pipeline.pair_weights import PairWeights
from data.pipeline.service import OUT_OF_STEP, DataService, connect_service
from data.pipeline.spec import ClipSpec
from data.preparing.parallel import interleave
from data.preparing.prepare import prepare
from data.preparing.unit_runners import in_processes, in_this_process, on_beam
from data.records.damage import Damage, drop_damaged, file_damage, first_damage, unreadable
from data.records.prepared_dataset import PreparedDataset, open_dataset, open_labeled
from data.records.schema import dataset_info, make_record, open_jpeg
from data.records.sources import SourceFacts
from data.records.stored_clips import (
    Shard,
    StoredClip,
    parse_clip,
    read_record,
    read_records,
    read_split,
    read_stored_clips,
    shards_of,
)
from data.sets.by_name import dataset_builder
from data.sets.synthetic import Synthetic, SyntheticConfig
from data.source.archives import open_source
from data.source.regular_files import require_no_pipe
from data.source.storage import join as join_path
from data.source.written_files import as_os_errors, renamed_when_done, write_json
from data.text.cues import Cue
from data.text.tokenizers import WordPieceTokenizer, WordTokenizer
from data.text.vocabulary import build_vocabularies

__all__ = [
    "AUGMENT_ON",
    "INT16_RANGE",
    "OUT_OF_STEP",
    "WRONG_LENGTHS",
    "Augmentation",
    "ClipSpec",
    "Cue",
    "Damage",
    "DataError",
    "DataService",
    "DecodedClip",
    "FileClip",
    "PairWeights",
    "PreparationError",
    "PreparedDataset",
    "Shard",
    "SourceFacts",
    "StoredClip",
    "Synthetic",
    "SyntheticConfig",
    "WordPieceTokenizer",
    "WordTokenizer",
    "as_os_errors",
    "build_vocabularies",
    "connect_service",
    "dataset_builder",
    "dataset_info",
    "distributed_train_batches",
    "drop_damaged",
    "eval_batches",
    "file_damage",
    "finish_clips",
    "float_bytes",
    "first_damage",
    "in_processes",
    "in_this_process",
    "interleave",
    "join_path",
    "make_record",
    "mixed_clips",
    "on_beam",
    "open_dataset",
    "open_jpeg",
    "open_labeled",
    "open_source",
    "parse_clip",
    "prepare",
    "random_crop_box",
    "read_clips",
    "read_record",
    "read_records",
    "read_split",
    "read_stored_clips",
    "renamed_when_done",
    "require_no_pipe",
    "shards_of",
    "stored_bytes",
    "train_batches",
    "training_files",
    "unreadable",
    "write_json",
]
