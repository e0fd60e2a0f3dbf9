"""The stamps of Tux Paint from a small tree in the installed layout: real PNGs, SVGs, Ogg files and names."""

import collections
import itertools
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

import data
from data.errors import DataError
from data.preparing.tally import Tally
from data.sets.tuxpaint import Tuxpaint, TuxpaintConfig

PLAIN = [f"plants/plant{number}" for number in range(12)]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="60pt" height="60pt"><rect width="60pt" height="60pt" fill="#00a000"/></svg>'
SETTINGS = dict(clip_seconds=1.0, image_size_px=32, sample_rate_hz=16000)


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees) -> pathlib.Path:
    root = tmp_path_factory.mktemp("stamps")

    def write(stem, color, english, spoken=(), **names):
        (root / stem).parent.mkdir(parents=True, exist_ok=True)
        if color:
            Image.new("RGBA", (60, 40), (*color, 255)).save(root / f"{stem}.png")
        if english is not None:
            lines = [english, *(f"{language}.utf8={name}" for language, name in names.items())]
            (root / f"{stem}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for ending in spoken:
            sound = trees.clicking_sound(0.4, 0.1, 48000, 1)
            trees.write_media(root / f"{stem}_desc{ending}", sound=sound, sample_rate_hz=48000)

    write("animals/frog", (200, 30, 30), "A frog.", ["_fr.ogg", ".ogg"], fr="Une grenouille.", de="Ein Frosch.")
    write("animals/toad", (30, 30, 200), "A toad.", ["_fr.ogg"], fr="Une  grenouille")
    write("animals/tree_frog", None, "a frog!", ["_fr.ogg", "_lt.ogg"], fr="Une rainette.")
    (root / "animals/tree_frog.svg").write_text(SVG, encoding="utf-8")
    write("animals/frog_mirror", (200, 30, 30), None)
    write(
        "food/apple",
        (90, 90, 90),
        "An apple.",
        ["_fr.ogg", "_fr.wav", "_pt_BR.wav"],
        fr="Une pomme.",
        pt_BR="Uma maçã.",
    )
    (root / "food/apple.svg").write_text(SVG, encoding="utf-8")
    write("food/mute", (1, 1, 1), "A mute.", fr="Un muet.")
    write("food/broken", (1, 1, 1), "A broken one.", ["_fr.ogg"], fr="Un cassé.")
    (root / "food/broken.png").write_bytes((root / "food/broken.png").read_bytes()[:60])
    write("food/nameless", (1, 1, 1), " ", ["_fr.ogg"], fr="Rien.")
    write("symbols/letter", (1, 1, 1), "The letter A.", ["_fr.ogg"], fr="La lettre A.")
    write("loose", (1, 1, 1), "A loose one.", ["_fr.ogg"], fr="Un autre.")
    for number, stem in enumerate(PLAIN):
        write(stem, (20 * number, 99, 99), f"Plant {number}.", ["_fr.ogg"], fr=f"Plante {number}.")
    return root


@pytest.fixture(scope="module")
def listing(source):
    """A function (settings) -> what the stamps give, by clip id."""

    def read(**settings):
        config = TuxpaintConfig(source_dir=str(source), **SETTINGS | settings)
        return config, {video.name: video for video in config.listed.videos}

    return read


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(
        dataset="tuxpaint", source_dir=str(source), data_dir=str(data_dir), languages=["fr"], text_noise=1.0, audio_noise=0.5,
        validation_fraction=0.3, **SETTINGS,
    )  # fmt: skip
    return data_dir


def test_a_picture_gives_a_clip_in_each_language_in_which_it_is_spoken_and_written(listing):
    config, clips = listing()
    assert set(clips) == {
        "animals/frog@fr", "animals/frog@en", "animals/toad@fr", "animals/tree_frog@fr", "food/apple@fr", "food/apple@pt_BR",
        "food/broken@fr", *(f"{stem}@fr" for stem in PLAIN),
    }  # fmt: skip
    assert config.listed.class_names == ("animals", "food", "plants")
    apple = clips["food/apple@fr"]
    assert (apple.path, apple.sound_path, apple.label) == ("food/apple.png", "food/apple_desc_fr.ogg", 1)
    assert [cue.text for cue in apple.cues] == ["Une pomme."]
    assert clips["animals/frog@en"].sound_path == "animals/frog_desc.ogg"
    assert config.listed.skipped == {
        "no file has its name": ["animals/frog_mirror"],
        "it lies in no folder, so it has no class": ["loose"],
        "its English name is empty": ["food/nameless"],
        "its name is not both spoken and written in any of the languages": ["food/mute"],
        "the name that is spoken is not written": ["animals/tree_frog@lt"],
    }


def test_the_languages_the_captions_and_the_symbols_are_options(listing):
    assert {name for name in listing(languages=["pt_BR", "en"])[1]} == {"food/apple@pt_BR", "animals/frog@en"}
    _, clips = listing(every_language=True, symbols=True)
    assert [cue.text for cue in clips["animals/frog@fr"].cues] == ["A frog.", "Une grenouille."]
    assert "symbols/letter@fr" in clips


def test_no_picture_and_no_name_is_in_two_splits(listing):
    for test_fraction in (0.1, 0.2, 0.4):
        _, clips = listing(test_fraction=test_fraction, validation_fraction=0.3)
        splits = collections.defaultdict(set)
        for video in clips.values():
            splits[video.path].add(video.split)
            for cue in video.cues:
                splits[" ".join(cue.text.lower().replace(".", "").split())].add(video.split)
        assert all(len(found) == 1 for found in splits.values())
        # Linked by a name in English, in French.
        assert len({clips[f"animals/{name}@fr"].split for name in ("frog", "toad", "tree_frog")}) == 1
        assert {video.split for video in clips.values()} == {"train", "validation", "test"}


def records_of(config, videos):
    tally = Tally()
    return list(itertools.chain(*(Tuxpaint.make_records(config, video, tally) for video in videos))), tally


def test_the_picture_is_seen_and_the_name_is_heard(listing, trees):
    config, clips = listing()
    records, _ = records_of(
        config, [clips[name] for name in ("animals/frog@fr", "animals/frog@en", "animals/tree_frog@fr")]
    )
    for record, color in zip(records, ((200, 30, 30), (200, 30, 30), (0, 160, 0)), strict=True):
        assert np.asarray(record["video"]).shape == (10,) and record["audio"].shape == (16000,)
        frames = [np.asarray(data.open_jpeg(frame)) for frame in record["video"]]
        assert frames[0].shape == (32, 32, 3) and not np.array_equal(frames[0], frames[-1])
        np.testing.assert_allclose(frames[0][16, 16], color, atol=12)
        click = trees.click_seconds(record, 16000)
        assert 0.08 < click < 0.75 and not np.abs(record["audio"][: int(16000 * (click - 0.05))]).max() > 300
        assert (record["text_aligned"], record["audio_aligned"], record["label"]) == (1, 1, 0)
    french, english, _ = records
    assert french["video"] != english["video"]  # moves otherwise
    again, _ = records_of(config, [clips["animals/frog@fr"]])
    assert again[0]["video"] == french["video"] and np.array_equal(again[0]["audio"], french["audio"])
    other, _ = records_of(listing(seed=1)[0], [clips["animals/frog@fr"]])
    assert other[0]["video"] != french["video"]


def test_a_longer_name_is_cut_off_and_a_damaged_picture_is_skipped(listing):
    config, clips = listing(clip_seconds=0.2)
    (record,), _ = records_of(config, [clips["animals/frog@fr"]])
    assert record["audio"].shape == (3200,) and np.abs(record["audio"]).max() > 1000
    records, tally = records_of(config, [clips["food/broken@fr"]])
    assert not records and tally.counts["videos_bad"] == 1
    assert tally.notes[0][:2] == ("skipped", "food/broken@fr") and "the picture cannot be decoded" in tally.notes[0][2]


def test_swapped_names_and_sounds_are_another_pictures_of_the_split(listing):
    noisy = dict(languages=["fr"], text_noise=1.0, audio_noise=1.0, validation_fraction=0.3)
    _, clean = listing(languages=["fr"], validation_fraction=0.3)
    _, clips = listing(**noisy)
    names = {video.cues[0].text: video for video in clean.values()}
    sounds = {video.sound_path: video for video in clean.values()}
    for name, video in clips.items():
        told, heard = names[video.cues[0].text], sounds[video.sound_path]
        assert (told.split, heard.split) == (video.split, video.split) == (clean[name].split,) * 2
        if video.split == "test":
            assert video == clean[name]
        else:
            assert heard.path != video.path and told.path != video.path
            linked = {f"animals/{each}.{kind}" for each in ("frog", "toad", "tree_frog") for kind in ("png", "svg")}
            assert not {told.path, video.path} <= linked
    _, text_alone = listing(**noisy | {"audio_noise": 0.0})
    assert {name: video.cues for name, video in text_alone.items()} == {
        name: video.cues for name, video in clips.items()
    }
    assert all(video.sound_path == clean[name].sound_path for name, video in text_alone.items())


def test_records_know_what_was_swapped(prepared, read_records):
    records, opened = read_records("tuxpaint", prepared), data.open_dataset("tuxpaint", str(prepared))
    report = json.loads((pathlib.Path(opened.directory) / "prepare_report.json").read_text())
    for split, clips in records.items():
        swapped = {"text": 0, "audio": 0}
        for name, record in clips.items():
            own = name.removesuffix("@fr").replace("plants/plant", "Plante ") + "."
            if name.startswith("plants/"):
                assert record["text_aligned"] == (record["captions"]["text"][0].decode() == own)
            for kind in swapped:
                swapped[kind] += 1 - record[f"{kind}_aligned"]
        assert report["misaligned"][split] == swapped
        assert swapped["text"] == (0 if split == "test" else len(clips))
    assert report["languages"] == {"fr": 17} and sum(report["clips"].values()) == report["videos_used"] == 16
    assert list(report["skipped"]).count("no file has its name") == 1
    assert any("the picture cannot be decoded" in reason for reason in report["skipped"])
    assert opened.class_names == ("animals", "food", "plants")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"languages": ["fr", "xx"]},
            "--languages should be some of en,fr,lt,pt_BR, which are spoken in .*. Found xx.",
        ),
        ({"languages": ["lt"]}, "Found none whose name is spoken and written"),
        ({"text_noise": 1.5}, "text_noise should be a probability"),
        ({"test_fraction": 0.5}, r"test_fraction should be a share in \[0, 0.5\)"),
        ({"image_size_px": 8}, "image_size_px at least 16"),
    ],
)
def test_what_makes_no_sense_is_refused(listing, settings, message):
    with pytest.raises(DataError, match=message):
        listing(**settings)


def test_a_folder_without_stamps_is_refused(tmp_path):
    with pytest.raises(DataError, match="should hold stamps of Tux Paint"):
        TuxpaintConfig(source_dir=str(tmp_path))
