"""Record files that cannot be read are named."""

import pathlib

import pytest
import tensorflow as tf

from experiments.running.command_line import RunFailed
from experiments.running.damaged_data import damage_named

NOT_OPENED = {
    "removed": lambda path: None,
    "a folder": pathlib.Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("how", NOT_OPENED)
def test_a_file_that_cannot_be_opened_is_named(tmp_path, how):
    path = tmp_path / "tiny-train.tfrecord-00000-of-00001"
    NOT_OPENED[how](path)
    with pytest.raises(RunFailed, match=rf"^{path} cannot be read: [^\[;{{]+\. Put the file back"):
        with damage_named(lambda: [f"{tmp_path}/another", str(path)]):
            next(iter(tf.data.TFRecordDataset(str(path))))


def test_an_error_of_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(tf.errors.NotFoundError), damage_named(lambda: [f"{tmp_path}/another"]):
        next(iter(tf.data.TFRecordDataset(f"{tmp_path}/missing")))
