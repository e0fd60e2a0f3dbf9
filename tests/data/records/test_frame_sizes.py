import numpy as np

from data.records.frame_sizes import largest_frame


def test_the_largest_frame_holds_wide_and_tall_ones_of_all_sets(write_dataset, clip, tmp_path, open_prepared):
    def one_set(name, *shapes):
        videos = [np.zeros([1, *shape, 3], np.uint8) for shape in shapes]
        data_dir = write_dataset(
            tmp_path / name, [clip(i, video=video) for i, video in enumerate(videos)], shards=min(2, len(shapes))
        )
        return open_prepared("tiny", data_dir)[0]

    landscape, portrait = one_set("landscape", (24, 32), (20, 48), (24, 24)), one_set("portrait", (40, 24))
    assert largest_frame([landscape], "train") == (24, 48)
    assert largest_frame([landscape, portrait], "train") == (40, 48)
    assert largest_frame([landscape], "test") is None


def test_damaged_records_are_passed_over(write, clip):
    opened, _ = write([clip(0, video=np.zeros([1, 24, 32, 3], np.uint8)), clip(1)], shards=2)
    for path in opened.shard_paths["train"]:
        with open(path, "r+b") as file:
            content = bytearray(file.read())
            content[len(content) // 2 :] = b"\0" * (len(content) - len(content) // 2)
            file.seek(0)
            file.write(content[: len(content) - 5])
    assert largest_frame([opened], "train") in (None, (24, 32))
    for path in opened.shard_paths["train"]:
        open(path, "wb").close()
    assert largest_frame([opened], "train") is None
