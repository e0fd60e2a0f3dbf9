"""From high dynamic range and wide gamut to what an ordinary screen shows.

FFmpeg's scaler keeps the numbers as they are, which look flat and dark, and PyAV comes without the filter
for it (zscale). Transfer functions: ITU-R BT.2100; the roll-off: ITU-R BT.2390-11, 5.4; white at 203 nits: BT.2408.
"""

from __future__ import annotations

import functools

import av
import numpy as np

_PQ, _HLG, _BT2020_PRIMARIES = 16, 18, 9  # FFmpeg's numbers
_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0
_DISPLAY_GAMMA = 2.4  # BT.1886
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020


def kind_of(codec: av.VideoCodecContext) -> str:
    """Returns what a track has beyond an ordinary video: `PQ`, `HLG`, `BT.2020` or nothing."""
    if codec.color_trc in (_PQ, _HLG):
        return "PQ" if codec.color_trc == _PQ else "HLG"
    return "BT.2020" if codec.color_primaries == _BT2020_PRIMARIES else ""


def tone_mapped(pixels: np.ndarray, kind: str) -> np.ndarray:
    """Returns uint8 `[height, width, 3]` in BT.709 colors.

    Args:
      pixels: uint16 `[height, width, 3]`, RGB as coded, in BT.2020 colors.
      kind: what `kind_of` says.
    """
    nits = _nits(kind)[pixels]
    if kind == "HLG":  # the system gamma of a screen of 1,000 nits
        nits *= np.maximum(nits @ _LUMINANCE / _PEAK_NITS, 1e-9)[..., None] ** 0.2
    nits = np.maximum(nits @ _BT2020_TO_BT709.T, 0.0)
    if kind != "BT.2020":
        brightest = nits.max(axis=-1, keepdims=True)
        nits *= _rolled_off(brightest) / np.maximum(brightest, 1e-6)
    return np.rint(255.0 * np.minimum(nits / _WHITE_NITS, 1.0) ** (1.0 / _DISPLAY_GAMMA)).astype(np.uint8)


@functools.cache
def _nits(kind: str) -> np.ndarray:
    """Returns what each coded value is on screen, float32 `[65536]`; of HLG the scene's light, before the screen."""
    coded = np.arange(65536) / 65535.0
    if kind == "PQ":
        return _from_pq(coded).astype(np.float32)
    if kind == "HLG":
        scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        return (_PEAK_NITS * scene).astype(np.float32)
    return (_WHITE_NITS * coded**_DISPLAY_GAMMA).astype(np.float32)


def _from_pq(coded: np.ndarray) -> np.ndarray:
    root = coded ** (1 / 78.84375)
    return 10000.0 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def _to_pq(nits: np.ndarray | float) -> np.ndarray:
    power = (np.asarray(nits) / 10000.0) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


@functools.cache
def _roll_off_table() -> tuple[np.ndarray, np.ndarray]:
    """Returns nits of the content and of the screen: the same up to a knee, then bent below white."""
    coded = np.linspace(0.0, 1.0, 2048)
    white = _to_pq(_WHITE_NITS) / _to_pq(_PEAK_NITS)
    knee = 1.5 * white - 0.5
    along = np.clip((coded - knee) / (1 - knee), 0.0, 1.0)
    bent = (2 * along**3 - 3 * along**2 + 1) * knee + (along**3 - 2 * along**2 + along) * (1 - knee)
    bent += (3 * along**2 - 2 * along**3) * white
    on_screen = np.where(coded < knee, coded, bent)
    peak = _to_pq(_PEAK_NITS)
    return _from_pq(coded * peak).astype(np.float32), _from_pq(on_screen * peak).astype(np.float32)


def _rolled_off(nits: np.ndarray) -> np.ndarray:
    return np.interp(nits, *_roll_off_table()).astype(np.float32)
