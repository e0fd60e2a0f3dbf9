"""Colors come back as they were, whatever a file says its luma and chroma mean."""

import fractions

import av
import numpy as np
import pytest

from data.media.reader import MediaFormat, MediaReader

pytestmark = pytest.mark.every_python

COLORS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (0, 0, 0), (255, 255, 255)])
# Share of red and of blue in the luma (ITU-R BT.601 and BT.709), and FFmpeg's numbers for the two.
MATRICES = {"BT.601": (0.299, 0.114, 6), "BT.709": (0.2126, 0.0722, 1)}
# Zero and span of the luma, span of the chroma, and FFmpeg's numbers.
RANGES = {"limited": (16, 219, 224, 1), "full": (0, 255, 255, 2)}


def luma_and_chroma(color, matrix, color_range):
    """Y, Cb and Cr of a color, by the definition of the standards."""
    red_share, blue_share, _ = MATRICES[matrix]
    zero, luma_span, chroma_span, _ = RANGES[color_range]
    red, green, blue = color / 255
    luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
    chroma = (blue - luma) / (2 - 2 * blue_share), (red - luma) / (2 - 2 * red_share)
    return [round(zero + luma_span * luma), *(min(255, round(128 + chroma_span * value)) for value in chroma)]


def write_colors(path, codec, matrix, color_range, tagged=True):
    """One frame of each color, without any conversion between the numbers above and the encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = 32, 48, "yuv420p", 1_000_000
        if tagged:
            stream.codec_context.colorspace = MATRICES[matrix][2]
            stream.codec_context.color_range = RANGES[color_range][3]
        for index, color in enumerate(COLORS):
            frame = av.VideoFrame(48, 32, "yuv420p")
            for plane, level in zip(frame.planes, luma_and_chroma(color, matrix, color_range), strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            frame.pts, frame.time_base = index, fractions.Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_colors(path):
    (clip,) = MediaReader(path, MediaFormat(10.0, 256, 16000)).clips(10.0)
    return clip.frames[:, 8:-8, 8:-8].mean(axis=(1, 2))


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
@pytest.mark.parametrize("color_range", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
def test_the_files_matrix_and_range_are_used(tmp_path, codec, matrix, color_range):
    path = tmp_path / "colors.mkv"
    write_colors(path, codec, matrix, color_range)
    np.testing.assert_allclose(read_colors(path), COLORS, atol=4)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_file_that_says_nothing_is_taken_for_limited_bt601(tmp_path, codec):
    path = tmp_path / "colors.mkv"
    write_colors(path, codec, "BT.601", "limited", tagged=False)
    np.testing.assert_allclose(read_colors(path), COLORS, atol=6)
