import base64

import numpy as np
import pytest
from PIL import Image

from data.errors import DataError
from data.media.moving_pictures import open_picture, pan_and_zoom
from data.source.tree import SourceTree


def svg(size, inside=""):
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}">{inside}</svg>'


@pytest.mark.parametrize("size", ["30", "30px", "30pt", "2cm"])
def test_an_svg_is_drawn_in_the_width_asked_for(tmp_path, size):
    (tmp_path / "a.SVG").write_text(svg(size, '<rect width="100%" height="100%" fill="#c80000"/>'), encoding="utf-8")
    picture = open_picture(SourceTree(tmp_path), "a.SVG", 48)
    assert picture.size == (48, 48) and picture.mode == "RGBA" and picture.getpixel((24, 24)) == (200, 0, 0, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pngs_of_every_kind_are_opened(tmp_path, mode):
    Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    assert open_picture(SourceTree(tmp_path), "a.png", 48).getpixel((3, 2)) == (255, 255, 255, 255)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.svg", b"<svg"), ("a.svg", b"\xff\xfe"), ("a.png", b"GIF89a"), ("a.png", b""), ("a.svg", svg("0").encode())],
)
def test_what_is_no_picture_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="the picture cannot be decoded"):
        open_picture(SourceTree(tmp_path), name, 48)


@pytest.mark.parametrize("kind", ["plain", "xlink", "escaped", "filter"])
def test_an_svg_cannot_take_a_file_of_the_machine_along(tmp_path, kind):
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "secret.png")
    place = f"{tmp_path}/secret.png"
    inside = {
        "plain": f'<image href="{place}" width="30" height="30"/>',
        "xlink": f'<image xmlns:x="http://www.w3.org/1999/xlink" x:href="{place}" width="30" height="30"/>',
        "escaped": f'<image href="&#x2f;{place[1:]}" width="30" height="30"/>',
        "filter": f'<filter id="f"><feImage href="{place}"/></filter><rect width="9" height="9" filter="url(#f)"/>',
    }[kind]
    blue = '<rect x="20" y="20" width="10" height="10" fill="#0000ff"/>'
    (tmp_path / "a.svg").write_text(svg("30", inside + blue), encoding="utf-8")
    picture = open_picture(SourceTree(tmp_path), "a.svg", 30)
    assert picture.getpixel((5, 5))[3] == 0 and picture.getpixel((25, 25)) == (0, 0, 255, 255)


def test_images_within_an_svg_are_drawn_but_take_no_file_along(tmp_path):
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    red = base64.b64encode((tmp_path / "red.png").read_bytes()).decode()
    own = f'<image href="data:image/png;base64,{red}" width="30" height="30"/>'
    linking = svg("30", f'<image href="{tmp_path}/red.png" width="30" height="30"/>')
    nested = f'<image href="data:image/svg+xml;base64,{base64.b64encode(linking.encode()).decode()}" width="30" height="30"/>'
    for inside, extrema in ((own, (255, 255)), (nested, (0, 0))):
        (tmp_path / "a.svg").write_text(svg("30", inside), encoding="utf-8")
        assert open_picture(SourceTree(tmp_path), "a.svg", 30).getextrema()[3] == extrema


def test_the_view_moves_over_the_whole_way_and_stays_on_the_ground():
    picture = Image.new("RGBA", (90, 30), (10, 20, 30, 255))
    draw = lambda seed: pan_and_zoom(picture, 6, 24, np.random.default_rng(seed))  # noqa: E731
    frames = draw(0)
    assert frames.shape == (6, 24, 24, 3) and frames.dtype == np.uint8
    assert np.array_equal(frames, draw(0)) and not np.array_equal(frames, draw(1))
    assert all(not np.array_equal(first, second) for first, second in zip(frames, frames[1:], strict=False))
    for seed in range(20):
        frames = draw(seed)
        corners = frames[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.min() >= 10 and (corners.reshape(-1, 3).max(axis=0) >= 150).all()
        shares = (frames[..., 0] < 100).mean(axis=(1, 2))
        assert (shares > 0.1).all()  # the picture is in sight
