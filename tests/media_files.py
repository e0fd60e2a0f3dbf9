"""Writes small media files of any kind, with FFmpeg's own encoders; tests load it with `runpy`."""

import fractions

import av
import numpy as np

MILLISECOND = fractions.Fraction(1, 1000)
HEIGHT, WIDTH = 48, 64
CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "pcm_s16le"),
    ".flv": ("flv", "aac"),
    ".m4a": (None, "aac"),
    ".wav": (None, "pcm_s16le"),
    ".flac": (None, "flac"),
    ".mp3": (None, "libmp3lame"),
    ".ogg": (None, "libopus"),
}


def write_media(path, frames=None, sound=None, frames_per_second=10, sample_rate_hz=48000, rotation=0, times=None):
    """Frames uint8 [frames, height, width, 3]; sound in [-1, 1], [samples] or [channels, samples]; returns the path.

    With `times`, seconds in whole milliseconds, each frame has its own (not in avi, which has a fixed rate).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    video_codec, sound_codec = CODECS[path.suffix.lower()]
    with av.open(str(path), "w") as container:
        video = audio = None
        if frames is not None:
            video = container.add_stream(video_codec, rate=frames_per_second)
            video.height, video.width, video.pix_fmt = *frames.shape[1:3], "yuv420p"
            video.bit_rate = 2_000_000
            if times is not None:
                video.codec_context.time_base = MILLISECOND
            if rotation:
                video.set_display_rotation(rotation)
        if sound is not None:
            sound = np.atleast_2d(np.asarray(sound, np.float32))
            layout = {1: "mono", 2: "stereo"}[len(sound)]
            audio = container.add_stream(sound_codec, rate=sample_rate_hz, layout=layout)
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
            block.sample_rate, block.pts, block.time_base = sample_rate_hz, 0, fractions.Fraction(1, sample_rate_hz)
            # The resampler before the encoder takes no block of no samples.
            packets = [*(audio.encode(block) if sound.size else ()), *audio.encode(None)]
            container.mux(packets)
        for index, pixels in enumerate(frames if video is not None else ()):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = round(times[index] / MILLISECOND), MILLISECOND
            container.mux(video.encode(picture))
        if video is not None:
            container.mux(video.encode(None))
    return path


def moving_square(count, height=48, width=64, square=12):
    """Frames [count, height, width, 3]: a bright square goes from left to right over a ramp that brightens downward."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = np.linspace(20, 120, height, dtype=np.uint8)[None, :, None, None]
    for index, frame in enumerate(frames):
        left = (width - square) * index // max(1, count - 1)
        frame[height // 3 : height // 3 + square, left : left + square] = (250, 200, 40)
    return frames


def tone(seconds, sample_rate_hz, hertz=440.0, level=0.4):
    """A sine, float32 [samples]."""
    times = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    return (level * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def hertz(audio, rate=16000):
    """Returns the loudest frequency of a sound [samples]."""
    return np.abs(np.fft.rfft(audio)).argmax() * rate / len(audio)


def gray(levels):
    return np.broadcast_to(np.asarray(levels, np.uint8)[:, None, None, None], (len(levels), HEIGHT, WIDTH, 3))


def write_tracks(
    path, frames=None, sounds=(), codec="libx264", times=None, ticks=10, edit=None, configure=None, rate=16000
):
    """Frames [frames, height, width, 3] at `times` in ticks; sounds [channels, samples] each; `edit` changes packets."""
    with av.open(str(path), "w") as container:
        video = None
        if frames is not None:
            video = container.add_stream(codec, rate=10)
            video.height, video.width, video.pix_fmt = *frames.shape[1:3], "yuv420p"
            video.codec_context.time_base, video.bit_rate = fractions.Fraction(1, ticks), 2_000_000
        layouts = {1: "mono", 2: "stereo"}
        sound_codec = "pcm_s16le" if path.suffix in (".avi", ".mov", ".nut") else "aac"
        tracks = [container.add_stream(sound_codec, rate=rate, layout=layouts[len(sound)]) for sound in sounds]
        if configure:
            configure(video, *tracks)
        for track, sound in zip(tracks, sounds, strict=True):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, np.float32), "fltp", layouts[len(sound)])
            block.sample_rate, block.pts, block.time_base = rate, 0, fractions.Fraction(1, rate)
            container.mux([*track.encode(block), *track.encode(None)])
        for index, pixels in enumerate(() if frames is None else frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            picture.pts = index if times is None else times[index]
            picture.time_base = fractions.Fraction(1, ticks)
            container.mux(list(map(edit or (lambda packet: packet), video.encode(picture))))
        if video is not None:
            container.mux(list(map(edit or (lambda packet: packet), video.encode(None))))
    return path
