"""Record files that cannot be read are named."""

import pathlib

import pytest
import tensorflow as tf

from data.pipeline.order import in_order
from experiments.running.command_line import RunFailed
from experiments.running.damaged_data import damage_named, named_if_damaged

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


def test_batches_pass_until_a_file_has_lost_records(tmp_path):
    paths = [str(tmp_path / name) for name in ("whole", "short")]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            writer.write(b"record")
    passed = []
    with pytest.raises(RunFailed, match=f"check_data names the files. They are among: {paths[1]}"):
        passed.extend(named_if_damaged(in_order(paths, [1, 2]), paths))
    assert len(list(named_if_damaged(in_order(paths, [1, 1]), paths))) == 2
