"""Each cue on made pictures in which only it differs, and the defects that follow from them."""

import cv2
import numpy as np
import pytest

from video2gif.fingerprint.cues import NAMES, Previous, cues, detail
from video2gif.fingerprint.defects import clean_frames, clean_parts, frame_defects, run_means

SIDE = 256
FPS = 25.0


def texture(seed: int = 1, *, shift: float = 0.0, zoom: float = 1.0) -> np.ndarray:
    """A smooth picture of blobs, uint8 (256, 256), moved to the right or enlarged in the middle."""
    small = np.random.default_rng(seed).random((16, 16)).astype(np.float32)
    large = cv2.resize(small, (SIDE + 128, SIDE + 128), interpolation=cv2.INTER_CUBIC)
    middle = (SIDE + 128) / 2
    move = np.array(
        [[zoom, 0, middle * (1 - zoom) + shift - 64], [0, zoom, middle * (1 - zoom) - 64]]
    )
    moved = cv2.warpAffine(large, move, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
    return (40 + 150 * moved.clip(0, 1)).astype(np.uint8)


def with_square(picture: np.ndarray, x: int) -> np.ndarray:
    found = picture.copy()
    found[90:150, x : x + 60] = 250
    return found


def cues_of(pictures: list[np.ndarray]) -> dict[str, np.ndarray]:
    table = table_of(pictures)
    return {name: table[:, place] for place, name in enumerate(NAMES)}


def table_of(pictures: list[np.ndarray]) -> np.ndarray:
    colour = [np.repeat(one[..., None], 3, axis=2) for one in pictures]
    luma = np.stack([cv2.resize(one, (64, 64), interpolation=cv2.INTER_AREA) for one in pictures])
    return cues(luma, [detail(one) for one in colour], Previous())


def card(text: str = "GET READY") -> np.ndarray:
    picture = np.full((SIDE, SIDE), 252, np.uint8)
    cv2.putText(picture, text, (20, 140), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 90, 4)
    return picture


def test_an_object_that_moves_is_motion():
    found = cues_of([with_square(texture(), x) for x in (60, 66, 72)])
    still = cues_of([texture()] * 3)
    assert (found["motion"][1:] > 5).all()
    assert (still["motion"] == 0).all()
    assert found["motion"][0] == found["change"][0] == 0  # Nothing is before the first frame.


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param([texture(shift=2.0 * k) for k in range(3)], id="shift"),
        pytest.param([texture(zoom=1 + 0.01 * k) for k in range(3)], id="zoom"),
    ],
)
def test_the_cameras_own_move_is_taken_out(moved: list[np.ndarray]):
    found = cues_of(moved)
    assert (found["change"][1:] > 2).all()
    assert (found["motion"][1:] < 0.25 * found["change"][1:]).all()
    assert (found["relit"][1:] > 0.8 * found["change"][1:]).all()  # Light explains nothing of it.


def test_a_change_of_light_is_taken_out():
    found = cues_of([(texture() * gain).astype(np.uint8) for gain in (1.0, 0.8, 0.6)])
    assert (found["change"][1:] > 10).all()
    assert (found["relit"][1:] < 0.05 * found["change"][1:]).all()
    assert (found["motion"][1:] < 0.05 * found["change"][1:]).all()


def test_brightness_and_contrast_are_those_of_luma():
    dim, bright = (texture() // 4), texture()
    found = cues_of([dim, bright])
    assert found["brightness"] == pytest.approx([dim.mean(), bright.mean()], abs=1)
    assert found["contrast"][0] < 0.3 * found["contrast"][1]
    assert found["brightest"][0] < 64 < found["brightest"][1]


def test_black_bars_are_measured_and_left_out():
    boxed = texture()
    boxed[:32], boxed[-32:] = 16, 16
    found = cues_of([texture(), boxed])
    assert found["bars"] == pytest.approx([0, 0.25], abs=0.02)
    assert found["brightness"][1] == pytest.approx(texture()[32:-32].mean(), abs=2)
    assert found["plain"][1] == pytest.approx(detail_of(texture()[32:-32]), abs=0.05)
    assert cues_of([np.zeros((SIDE, SIDE), np.uint8)])["bars"] == [0]  # All black is no letterbox.


def detail_of(gray: np.ndarray) -> float:
    return detail(np.repeat(gray[..., None], 3, axis=2)).plain


def test_a_card_of_text_is_two_levels_and_a_picture_is_not():
    found = cues_of([texture(), card()])
    assert found["plain"][0] < 0.4
    assert found["plain"][1] > 0.9


def test_a_blurred_picture_is_less_sharp_at_the_same_contrast():
    crisp = with_square(texture(), 60)
    blurred = cv2.GaussianBlur(crisp, (0, 0), 4)
    found = cues_of([crisp, blurred])
    assert found["contrast"][1] == pytest.approx(found["contrast"][0], rel=0.3)
    assert found["sharpness"][1] < 0.7 * found["sharpness"][0]


def test_blocks_do_not_matter():
    pictures = [with_square(texture(), x) for x in range(40, 80, 4)]
    previous = Previous()
    luma = np.stack([cv2.resize(p, (64, 64), interpolation=cv2.INTER_AREA) for p in pictures])
    details = [detail(np.repeat(one[..., None], 3, axis=2)) for one in pictures]
    parts = [cues(luma[a:b], details[a:b], previous) for a, b in ((0, 3), (3, 4), (4, len(luma)))]
    np.testing.assert_array_equal(np.concatenate(parts), table_of(pictures))


# --- defects ---


def moving(n: int) -> list[np.ndarray]:
    return [with_square(texture(), 40 + 3 * (k % 40)) for k in range(n)]


def faded(pictures: list[np.ndarray], gains: np.ndarray) -> list[np.ndarray]:
    return [(one * gain).astype(np.uint8) for one, gain in zip(pictures, gains, strict=True)]


CLIPS = {
    "good": moving(40),
    "black": [one // 12 for one in moving(40)],
    "blank": [np.full((SIDE, SIDE), 128, np.uint8)] * 40,
    "card": [card()] * 40,
    "fading": faded(moving(40), np.linspace(1, 0.05, 40)),
    "flash": [with_square(texture(), 40)] * 20 + [with_square(texture(2), 40)] * 20,
}


@pytest.mark.parametrize("name", [name for name in CLIPS if name not in ("good", "flash")])
def test_a_defect_is_found_where_it_is_the_only_difference(name: str):
    pts_s = np.arange(40) / FPS
    found = frame_defects(table_of(CLIPS[name]), pts_s, ())
    assert found[name].mean() > 0.7
    good = frame_defects(table_of(CLIPS["good"]), pts_s, ())
    assert not any(flags.any() for flags in good.values())


def test_a_lamp_in_the_dark_is_a_dark_picture_and_a_letterbox_is_not():
    """Dark edges are measured as bars; the lamp between them is bright, what one sees is not."""
    lamp = [np.full((SIDE, SIDE), 8, np.uint8) for _ in range(40)]
    boxed = [one.copy() for one in moving(40)]
    for k in range(40):
        lamp[k][60:68, 40 + k : 60 + k] = 220
        boxed[k][: SIDE // 8], boxed[k][-SIDE // 8 :] = 16, 16
    assert table_of(lamp)[:, NAMES.index("brightness")].min() > 40
    pts_s = np.arange(40) / FPS
    assert frame_defects(table_of(lamp), pts_s, ())["black"].all()
    assert not frame_defects(table_of(boxed), pts_s, ())["black"].any()


def test_a_cut_is_no_fade():
    table = table_of(CLIPS["flash"])
    assert clean_frames(table, np.arange(40) / FPS, (20,)).all()


def test_the_clean_part_leaves_out_a_fade_at_the_end():
    gains = np.concatenate([np.ones(40), np.linspace(1, 0, 15)])
    table = table_of(faded(moving(55), gains))
    edges_s = np.arange(56) / FPS
    (part,) = clean_parts(table, edges_s, np.array([[0, 55]]), ())
    assert not part.is_defective
    assert part.run[0] == 0
    assert 30 <= part.run[1] <= 45
    means = run_means(table, [part])
    assert means["motion"] == pytest.approx(table[1 : part.run[1], NAMES.index("motion")].mean())


def test_a_short_shot_without_any_defect_is_good_and_a_still_is_not():
    edges_s = np.arange(41) / FPS
    (short,) = clean_parts(table_of(moving(40)), edges_s, np.array([[10, 22]]), ())
    assert not short.is_defective
    (still,) = clean_parts(table_of([texture()] * 40), edges_s, np.array([[0, 40]]), ())
    assert still.is_defective
    assert still.defects == ("still",)
