"""The data sets of the programs that train on labeled clips."""

import data

SPLITS = ("train", "validation", "test")


def open_labeled(name: str, data_dir: str, multi_label: bool = False) -> data.PreparedDataset:
    """Opens a data set.

    Args:
      name: Its name.
      data_dir: Where the data sets are.
      multi_label: Whether its clips may have several classes.

    Raises:
      data.DataError: It is not there, has no classes or too many for a clip, or lacks a split.
    """
    prepared = data.open_dataset(name, data_dir)
    if not prepared.class_names:
        raise data.DataError(f"{prepared.directory} should have classes, for a classifier to learn. Found none.")
    if prepared.multi_label and not multi_label:
        raise data.DataError(
            f"{prepared.directory} should have one class per clip for this program. Found a multi-label set; "
            "experiments.finetune takes it."
        )
    for split in SPLITS:
        prepared.require_split(split)
    return prepared
