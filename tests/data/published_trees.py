"""Small trees of real files in published layouts: recordings to be recognized, and lists; see the fixture `trees`."""

import pathlib
import runpy

import numpy as np

write_media = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "media_files.py"))["write_media"]
FLASH_SECONDS = 0.1
GRAY = (60, 60, 60)


def flash_and_click(times, at):
    """Whether the picture is bright and the sound loud at each of the times: for a tenth of a second from `at` on."""
    return (times >= at - 1e-6) & (times < at + FLASH_SECONDS - 1e-6)


def flashing_frames(times, at, color, size):
    """Frames of one color, uint8 [times, height, width, 3], white in the flash."""
    frames = np.empty((len(times), *size, 3), np.uint8)
    frames[:] = np.where(flash_and_click(times, at)[:, None, None, None], 250, np.array(color))
    return frames


def clicking_sound(seconds, at, rate_hz, channels):
    """Silence and, in the click, a tone of 1000 Hz; float32 [channels, samples]."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    click = flash_and_click(times, at) * 0.6 * np.cos(2000 * np.pi * (times - at))
    return np.tile(click.astype(np.float32), (channels, 1))


def write_flash(
    path,
    seconds=1.0,
    at=0.5,
    *,
    color=GRAY,
    size=(48, 64),
    frames_per_second=10,
    times=None,
    rotation=0,
    sound=True,
    sample_rate_hz=16000,
    channels=1,
):
    """Writes a real media file by its suffix, in any case of letters: a flash and a click at the same second.

    Args:
      path: Where; a .wav file has the click alone. Folders are made.
      seconds: How long; one tenth is one frame.
      at: When the flash and the click begin; beyond the end there is none.
      color: Of the frames before and after, RGB in 0 ... 255.
      size: Height and width; both even in mp4, mov and mkv (H.264).
      frames_per_second: Of a video of a constant rate.
      times: When each frame is shown, in seconds, for a variable rate.
      rotation: Degrees by which a player turns the frames, as phones write it into mp4.
      sound: Whether a video has a sound track.
      sample_rate_hz, channels: Of the sound; webm (Opus) knows 8, 16, 24 and 48 kHz.
    """
    shown = np.arange(round(seconds * frames_per_second)) / frames_per_second if times is None else np.array(times)
    is_sound = path.suffix.lower() == ".wav"
    return write_media(
        path,
        None if is_sound else flashing_frames(shown, at, color, size),
        clicking_sound(seconds, at, sample_rate_hz, channels) if sound else None,
        frames_per_second,
        sample_rate_hz,
        rotation,
        times,
    )


def write_list(path, lines, newline="\n", mark=False):
    """Writes lines of text, UTF-8; with other line ends or with a byte order mark, as copies from Windows have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\ufeff" * mark + newline.join([*lines, ""])).encode())


def write_broken(path):
    """Writes a file that is no media file, whatever it is called."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("not a media file")


def flash_frame(record):
    """Returns the index of the brightest frame of a record."""
    return int(record["video"].mean(axis=(1, 2, 3)).argmax())


def click_seconds(record, sample_rate_hz):
    """Returns when the sound of a record becomes loud."""
    return float(np.flatnonzero(np.abs(record["audio"].astype(int)) > 8000)[0] / sample_rate_hz)


def require_in_step(record, at, frames_per_second, sample_rate_hz):
    """Fails unless flash and click are where they were planted, and so within one frame of each other."""
    assert flash_frame(record) == round(at * frames_per_second)
    assert abs(click_seconds(record, sample_rate_hz) - at) < 0.02


def middle_color(record, frame=0):
    """Returns the mean color of the middle of a frame, float [3]."""
    pixels = record["video"][frame]
    height, width = pixels.shape[:2]
    return pixels[height // 4 : -height // 4, width // 4 : -width // 4].mean(axis=(0, 1))
