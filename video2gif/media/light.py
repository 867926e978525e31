"""From the light of HDR and wide-gamut video to what an ordinary screen shows: SDR, BT.709.

GIFs, JPEGs and networks know ordinary pictures only. An HDR signal shown as if it were one looks
grey; its white (75 % of HLG, 203 nits of PQ: ITU-R BT.2408, table 1) has to become white again.
Up to 85 % of that light nothing but the coding changes, so that a film that was coded as HDR comes
back as it was. Brighter light, up to 1,000 nits, is pressed into the rest of the range.

All of it is table look-ups, sums and products of float32, each rounded as IEEE 754 says: equal
pixels give equal bytes on every processor.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

Hdr = Literal["", "PQ", "HLG"]
Gamut = Literal["BT.709", "P3", "BT.2020"]

_CODES = 1 << 16
_WHITE_NITS = 203.0
_PEAK = 1000 / _WHITE_NITS  # HLG's nominal peak, and what most PQ films are graded for.
_KNEE = 0.85  # Of white. docs/benchmarks/gif.md compares knees.
_SDR_GAMMA = 2.4  # ITU-R BT.1886 for a black of no light
# HLG's display gamma at 1,000 nits is 1.2. BT.2100 (table 5) raises the pixel's luminance to it;
# ffmpeg's zscale, and so most converted files, each channel. Nothing in a file says which was
# meant. This share of luminance lies within ΔE 3 of both: docs/benchmarks/gif.md.
_HLG_GAMMA, _BY_LUMINANCE = 1.2, 0.48
_LUMA_2020 = (0.2627, 0.6780, 0.0593)
_CHROMATICITIES: dict[Gamut, tuple[float, ...]] = {
    # x and y of red, green and blue; white is D65 in all: BT.709, SMPTE EG 432-1, BT.2020.
    "BT.709": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    "P3": (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    "BT.2020": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
}
_D65 = (0.3127, 0.3290)
_AT_ONCE = 1 << 17  # Pixels whose sums fit into the processor's cache.


@dataclass(frozen=True)
class Light:
    """What the numbers of a picture mean, where that is not plain SDR in BT.709."""

    hdr: Hdr
    """The transfer function of high dynamic range, or "" for BT.1886."""
    gamut: Gamut


def as_sdr(codes: np.ndarray, light: Light) -> np.ndarray:
    """RGB uint16 (h, w, 3) of full range → uint8 (h, w, 3) for an ordinary screen."""
    shown = np.empty(codes.shape, np.uint8)
    flat, into = codes.reshape(-1, 3), shown.reshape(-1, 3)
    for start in range(0, len(flat), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        into[part] = _mapped(flat[part], light)
    return shown


def luma_709(rgb: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3) → its luma by ITU-R BT.709, uint8 (h, w), 0 to 255."""
    weights = np.array([13933, 46871, 4732], np.uint32)  # of 65,536: 0.2126, 0.7152, 0.0722
    return ((rgb @ weights + (1 << 15)) >> 16).astype(np.uint8)


def _mapped(codes: np.ndarray, light: Light) -> np.ndarray:
    linear = _linear_table(light.hdr)
    channels = [linear[codes[:, number]] for number in range(3)]
    if light.hdr == "HLG":
        scene = [_scene_table()[codes[:, number]] for number in range(3)]
        gain = _root_table("ootf")[_root_codes(_weighted(scene, _LUMA_2020))]
        channels = [channel * gain for channel in channels]
    channels = [_weighted(channels, row) for row in _to_709(light.gamut)]
    if light.hdr:
        brightest = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
        gain = _compressed(brightest)
        channels = [channel * gain for channel in channels]
    code_of = _root_table("code")
    return np.stack([code_of[_root_codes(channel)] for channel in channels], axis=1)


def _compressed(brightest: np.ndarray) -> np.ndarray:
    """By how much to dim a pixel whose brightest channel is so many times white: in (0, 1].

    The whole pixel is dimmed, so its hue stays. Above the knee Reinhard's curve with a white point
    (Photographic tone reproduction, SIGGRAPH 2002, equation 4), which starts with a slope of 1.
    """
    room = np.float32(1 - _KNEE)
    over = np.maximum(brightest - np.float32(_KNEE), np.float32(0)) / room
    most = np.float32((_PEAK - _KNEE) / (1 - _KNEE))
    pressed = over * (1 + over / (most * most)) / (1 + over)
    wanted = np.float32(_KNEE) + room * pressed
    return np.where(over > 0, wanted / np.maximum(brightest, np.float32(_KNEE)), np.float32(1))


def _weighted(channels: list[np.ndarray], weights: tuple[float, ...]) -> np.ndarray:
    red, green, blue = (
        channel * np.float32(weight) for channel, weight in zip(channels, weights, strict=True)
    )
    return (red + green) + blue


def _root_codes(light: np.ndarray) -> np.ndarray:
    """Where light of 0 to 1 stands in a table over its square root: fine where the eye is."""
    root = np.sqrt(np.clip(light, np.float32(0), np.float32(1)))
    return (root * np.float32(_CODES - 1) + np.float32(0.5)).astype(np.int32)


@cache
def _linear_table(hdr: Hdr) -> np.ndarray:
    """Light of each code, as a multiple of white; HLG's without what its luminance decides."""
    code = np.arange(_CODES) / (_CODES - 1)
    if hdr == "PQ":
        light = _pq_nits(code) / _WHITE_NITS
    elif hdr == "HLG":
        light = _PEAK * _hlg_scene(code) ** (1 + (_HLG_GAMMA - 1) * (1 - _BY_LUMINANCE))
    else:
        light = code**_SDR_GAMMA
    return light.astype(np.float32)


@cache
def _scene_table() -> np.ndarray:
    """The scene's light, 0 to 1, of each code of HLG."""
    return _hlg_scene(np.arange(_CODES) / (_CODES - 1)).astype(np.float32)


@cache
def _root_table(name: Literal["ootf", "code"]) -> np.ndarray:
    light = (np.arange(_CODES) / (_CODES - 1)) ** 2
    if name == "ootf":
        return (light ** ((_HLG_GAMMA - 1) * _BY_LUMINANCE)).astype(np.float32)
    return np.round(255 * light ** (1 / _SDR_GAMMA)).astype(np.uint8)


def _pq_nits(code: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084's EOTF."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = code ** (1 / m2)
    return 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def _hlg_scene(code: np.ndarray) -> np.ndarray:
    """The inverse of ARIB STD-B67's OETF (ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


@cache
def _to_709(gamut: Gamut) -> tuple[tuple[float, ...], ...]:
    """The rows of the matrix from linear RGB of `gamut` to that of BT.709."""
    matrix = np.linalg.inv(_to_xyz("BT.709")) @ _to_xyz(gamut)
    return tuple(tuple(float(weight) for weight in row) for row in matrix.round(6))


def _to_xyz(gamut: Gamut) -> np.ndarray:
    """From linear RGB to CIE XYZ, float64 (3, 3). (SMPTE RP 177)"""
    x, y = np.array(_CHROMATICITIES[gamut]).reshape(3, 2).T
    primaries = np.stack([x / y, np.ones(3), (1 - x - y) / y])
    white = np.array([_D65[0] / _D65[1], 1, (1 - _D65[0] - _D65[1]) / _D65[1]])
    return primaries * np.linalg.solve(primaries, white)
