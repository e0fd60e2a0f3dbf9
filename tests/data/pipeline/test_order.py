import itertools

import pytest
import tensorflow as tf

from data import DataError
from data.pipeline import order
from data.pipeline.order import clip_order, in_order

LENGTHS = (3, 5, 2, 4, 1, 6, 3)
CLIPS = sum(LENGTHS)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Seven files of the lengths above; a record is its file's and its own number."""
    directory = tmp_path_factory.mktemp("records")
    for shard, length in enumerate(LENGTHS):
        with tf.io.TFRecordWriter(str(directory / f"{shard}")) as writer:
            for record in range(length):
                writer.write(f"{shard}-{record}".encode())
    return tuple(str(directory / f"{shard}") for shard in range(len(LENGTHS)))


def take(clip_order_, count, start=0):
    return list(clip_order_.records(start).take(count).as_numpy_iterator())


@pytest.mark.parametrize("shuffle_window", [1, 7, 1000])
def test_every_epoch_holds_every_clip_once_in_another_order(paths, shuffle_window):
    clips = take(clip_order(paths, LENGTHS, seed=1, shuffle_window=shuffle_window), 3 * CLIPS)
    assert [position for position, _ in clips] == list(range(3 * CLIPS))
    records = [record for _, record in clips]
    epochs = [records[i : i + CLIPS] for i in range(0, 3 * CLIPS, CLIPS)]
    assert len(set(epochs[0])) == CLIPS
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_another_seed_gives_another_order(paths):
    one, same, other = (take(clip_order(paths, LENGTHS, seed=seed, shuffle_window=7), CLIPS) for seed in (1, 1, 2))
    assert one == same != other


def test_starting_anywhere_gives_the_rest_of_the_same_order(paths):
    whole = clip_order(paths, LENGTHS, seed=5, shuffle_window=7)
    clips = take(whole, 2 * CLIPS + 5)
    for start in (*range(0, 2 * CLIPS, 5), CLIPS - 1, CLIPS + 1, 2 * CLIPS + 4):
        assert take(whole, len(clips) - start, start) == clips[start:]


@pytest.fixture
def count_reads(monkeypatch):
    """Counts the records that are read."""
    reads = []
    original = tf.data.TFRecordDataset

    def counted(*arguments, **options):
        def note(record):
            reads.append(record)
            return record

        records = original(*arguments, **options)
        return records.map(lambda record: tf.py_function(note, [record], tf.string))

    monkeypatch.setattr(order.tf.data, "TFRecordDataset", counted)
    return reads


def test_a_restart_reads_no_more_than_one_window_it_does_not_use(paths, count_reads):
    whole = clip_order(paths, LENGTHS, seed=5, shuffle_window=7)
    assert whole.shards_per_window == 2
    longest = [sum(pair) for pair in itertools.permutations(LENGTHS, 2)]
    for start in (0, 3, 11, CLIPS - 1, CLIPS, 30 * CLIPS + 17, 10**12):
        count_reads.clear()
        # No window is fetched ahead here, so that exactly the first one is seen.
        window, skipped = whole.locate(start)
        next(iter(whole._read_window(tf.constant(window, tf.int64))))
        assert skipped < len(count_reads) <= max(longest)


def test_a_whole_pipeline_reads_one_window_and_the_one_fetched_ahead(paths, count_reads):
    whole = clip_order(paths, LENGTHS, seed=5, shuffle_window=7)
    take(whole, 1, start=1000 * CLIPS + 13)
    assert len(count_reads) <= 2 * (5 + 6)


def test_windows_hold_about_the_clips_asked_for(paths):
    for shuffle_window, shards in [(1, 1), (7, 2), (10, 3), (10**6, 7)]:
        sized = clip_order(paths, LENGTHS, seed=0, shuffle_window=shuffle_window)
        assert sized.shards_per_window == shards
        assert sized.windows_per_epoch == -(-7 // shards)


def test_a_window_mixes_its_files(paths):
    first = take(clip_order(paths, LENGTHS, seed=0, shuffle_window=1000), CLIPS)
    shards = [record.split(b"-")[0] for _, record in first]
    assert len(list(itertools.groupby(shards))) > len(LENGTHS)


def test_two_hosts_share_the_files_out(paths):
    hosts = [clip_order(paths, LENGTHS, seed=1, shuffle_window=7, pipelines=2, pipeline=host) for host in range(2)]
    seen = [{record for _, record in take(host, host.clips_per_epoch)} for host in hosts]
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == CLIPS


def test_files_without_records_are_left_out(paths):
    lengths = (*LENGTHS[:-1], 0)
    assert len(clip_order(paths, lengths, seed=0, shuffle_window=7).paths) == 6


def test_more_hosts_than_files_take_turns_at_the_order_of_one(paths):
    one = take(clip_order(paths, LENGTHS, seed=1, shuffle_window=7), 3 * CLIPS)
    hosts = [clip_order(paths, LENGTHS, seed=1, shuffle_window=7, pipelines=9, pipeline=host) for host in range(9)]
    taken = [take(host, CLIPS // 3) for host in hosts]
    assert [taken[place % 9][place // 9][1] for place in range(9 * (CLIPS // 3))] == [record for _, record in one]
    assert all(take(host, 3, start=5) == clips[5:8] for host, clips in zip(hosts, taken, strict=True))


def test_files_that_hold_nothing_are_refused(paths):
    with pytest.raises(DataError, match="Found none"):
        clip_order(paths, (0,) * len(LENGTHS), seed=0, shuffle_window=7)


@pytest.mark.parametrize("error", [-1, 1])
def test_wrong_lengths_stop_the_run(paths, error):
    lengths = (*LENGTHS[:-1], LENGTHS[-1] + error)
    with pytest.raises(tf.errors.InvalidArgumentError, match="do not hold as many records"):
        take(clip_order(paths, lengths, seed=0, shuffle_window=7), CLIPS)


def test_an_empty_file_stops_the_run(paths, tmp_path):
    (empty := tmp_path / "empty").write_bytes(b"")
    for files, lengths in (([str(empty)], (3,)), ([paths[0], str(empty)], (LENGTHS[0], 3))):
        with pytest.raises(tf.errors.InvalidArgumentError, match="do not hold as many records"):
            take(clip_order(tuple(files), lengths, seed=0, shuffle_window=1), 2 * LENGTHS[0] + 4)


def test_files_are_read_in_order(paths):
    records = list(in_order(paths, LENGTHS).as_numpy_iterator())
    assert records == list(tf.data.TFRecordDataset(list(paths)).as_numpy_iterator()) and len(records) == CLIPS


@pytest.mark.parametrize("error", [-1, 1])
@pytest.mark.parametrize("file", [0, len(LENGTHS) - 1])
def test_a_file_of_another_length_is_named(paths, file, error):
    lengths = [length + error * (number == file) for number, length in enumerate(LENGTHS)]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s)do not hold as many records.*{paths[file]}"):
        list(in_order(paths, lengths).as_numpy_iterator())
