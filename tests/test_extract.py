"""Extraction: clips of decoded videos, batches that do not matter, and the stage's tables."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from video2gif.core.config import ExtractParams, Params
from video2gif.core.errors import ItemError, TooManyFailed, UserError
from video2gif.core.items import Context, Counts
from video2gif.core.items import compute as really_compute
from video2gif.core.layout import Layout
from video2gif.core.mappers import ProcessMapper
from video2gif.core.shards import ShardReader
from video2gif.core.store import ItemStore, read_arrays, write_arrays
from video2gif.core.tables import DOWNLOADS, FEATURE_STATUS, FEATURES, SEGMENTS, SOURCES
from video2gif.core.work import Item, Outcome, Work
from video2gif.features import clips
from video2gif.features.backends import ClipMode, Forward
from video2gif.features.clips import clip_features, extraction, mirrored, video_pieces
from video2gif.features.network import Features
from video2gif.features.preprocess import load_mean
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_video
from video2gif.stages.extract import run

CHOSEN = ExtractParams(
    networks=["c3d"],
    frames_per_s=4.0,
    weights="random:0",
    mean="channel",
    clip_stride=16,
    mirror=False,
    mode="clips",
    backend="torch-fp32",
    max_failed_fraction=0.5,
)


def film(n_frames: int, seed: int) -> Iterator[np.ndarray]:
    """A bright square on colour, moving two pixels a frame: rgb24 (96, 128, 3)."""
    colour = np.random.default_rng(seed).integers(0, 160, 3, np.uint8)
    for n in range(n_frames):
        frame = np.full((96, 128, 3), colour)
        frame[30:60, (2 * n) % 90 : (2 * n) % 90 + 30] = 240
        yield frame


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    write_video(path, film(40, seed=1), fps=10)
    return path


# --- clips of a video ---


def test_clips_hold_the_decoded_frames_at_their_starts(video: Path) -> None:
    """Frame by frame, converted and resized on their own, with PyAV's own conversion."""
    with Decoder(video) as decoder:
        frames = [
            cv2.resize(frame.to_ndarray(format="bgr24"), (171, 128))[8:120, 29:141]
            for _, frame in decoder.frames()
        ]
    with Decoder(video) as decoder:
        found = list(video_pieces(decoder.frames(), [(3, 19), (11, 27), (24, 40)]))
    assert len(found) == 3
    for start, clip in zip([3, 11, 24], found, strict=True):
        np.testing.assert_array_equal(clip, frames[start : start + 16])


def test_without_clips_nothing_is_decoded() -> None:
    def frames() -> Iterator[object]:
        raise AssertionError("a frame was asked for")
        yield

    assert list(video_pieces(frames(), [])) == []  # type: ignore[arg-type]


def test_a_video_shorter_than_its_segments_is_an_item_error(video: Path) -> None:
    with Decoder(video) as decoder, pytest.raises(ItemError, match="40 frames decoded"):
        list(video_pieces(decoder.frames(), [(0, 16), (30, 46)]))


# --- batches ---


BATCH = 2


def fake_fc6(x_BCTHW: np.ndarray) -> np.ndarray:
    """4096 sums over the clip, each weighted differently left to right."""
    columns = x_BCTHW.mean(axis=(1, 2, 3)).astype(np.float64)
    return (columns @ np.random.default_rng(0).random((112, 4096))).astype(np.float32)


def fake_network(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for x_BCTHW in batches:
        assert x_BCTHW.shape == (BATCH, 3, 16, 112, 112)
        yield fake_fc6(x_BCTHW)


def eager_network(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Reads all of its input before it gives anything back, as a pipeline may."""
    yield from list(fake_network(batches))


@pytest.fixture(scope="module")
def some_clips() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return list(rng.integers(0, 256, (5, 16, 112, 112, 3), np.uint8))


def features_of(
    clips: list[np.ndarray], *, mirror: bool = False, network: Forward = fake_network
) -> np.ndarray:
    mean = load_mean("channel")
    return clip_features(clips, network=network, mean_THWC=mean, mirror=mirror, batch=BATCH)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_clip_gets_its_row_whatever_the_batches(
    count: int, some_clips: list[np.ndarray]
) -> None:
    alone = [features_of([clip])[0] for clip in some_clips[:count]]
    together = features_of(some_clips[:count])
    assert together.dtype == np.float16
    np.testing.assert_array_equal(together, alone)
    ahead = features_of(some_clips[:count], network=eager_network)
    np.testing.assert_array_equal(ahead, alone)


def test_no_clips_give_no_rows() -> None:
    assert features_of([]).shape == (0, 4096)


def test_mirrored_features_are_the_mean_of_both_and_blind_to_mirroring(
    some_clips: list[np.ndarray],
) -> None:
    clip = some_clips[0]
    flipped = np.ascontiguousarray(clip[:, :, ::-1])
    found = features_of([clip], mirror=True).astype(float)
    expected = (features_of([clip]).astype(float) + features_of([flipped])) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-3)  # float16 rounds before the mean here.
    np.testing.assert_allclose(features_of([flipped], mirror=True), found, rtol=1e-3)


def test_mirroring_exchanges_left_and_right_and_keeps_channels_innermost() -> None:
    x = np.random.default_rng(0).normal(size=(2, 16, 4, 5, 3)).transpose(0, 4, 1, 2, 3)
    np.testing.assert_array_equal(mirrored(x), x[..., ::-1])
    assert mirrored(x).transpose(0, 2, 3, 4, 1).flags.c_contiguous


def test_fc6_beyond_float16_is_an_item_error(some_clips: list[np.ndarray]) -> None:
    for value in (1e6, np.nan):
        with pytest.raises(ItemError, match="float16") as caught:
            clip_features(
                some_clips[:1],
                network=lambda batches, v=value: (
                    np.full((len(x), 4096), v, np.float32) for x in batches
                ),
                mean_THWC=load_mean("channel"),
                mirror=False,
                batch=BATCH,
            )
        assert caught.value.cause == "overflow"


# --- dense ---


def mean_network(mode: ClipMode) -> Forward:
    """Features that say which frames a clip holds: their mean, 4096 times."""

    def forward(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for x in batches:
            firsts = range(0, x.shape[2] - 15, 8) if mode == "dense" else [0]
            rows = [x[:, :, first : first + 16].mean(axis=(1, 2, 3, 4)) for first in firsts]
            yield np.repeat(np.concatenate(rows)[:, None], 4096, axis=1)

    return forward


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("stride", [8, 16])
def test_dense_features_stand_for_the_same_clips(
    stride: int, mirror: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments longer than a stretch, of one clip, of none: the same rows in both modes."""
    write_video(tmp_path / "film.mp4", film(190, seed=2), fps=10)
    monkeypatch.setattr(clips, "_network", lambda *args: mean_network(args[-1]))
    found = {}
    for mode in ("clips", "dense"):
        clips.work(
            out=tmp_path / mode,
            params={
                "clip_stride": stride,
                "mirror": mirror,
                "mode": mode,
                "backend": "torch-fp32",
                "weights": "",
                "mean": "",
            },
            path=str(tmp_path / "film.mp4"),
            segments=[(0, 150), (150, 155), (155, 172), (172, 190)],
            weights="random:0",
            mean="channel",
        )
        found[mode] = read_arrays((tmp_path / mode).read_bytes())[0]
    n_clips = {8: [17, 0, 1, 1], 16: [9, 0, 1, 1]}[stride]
    assert found["clips"]["n_clips"].tolist() == found["dense"]["n_clips"].tolist() == n_clips
    assert len(found["dense"]["features"]) == sum(n_clips)
    np.testing.assert_allclose(found["dense"]["features"], found["clips"]["features"], rtol=2e-3)
    assert len(np.unique(found["clips"]["features"][:, 0])) > sum(n_clips) / 2


# --- items ---


def test_features_are_read_back_by_segment(tmp_path: Path) -> None:
    fc6 = np.arange(3 * 4, dtype=np.float16).reshape(3, 4)
    out = tmp_path / "item"
    write_arrays(out, {"features": fc6, "n_clips": np.array([2, 0, 1], np.int32)}, {})
    made = extraction(CHOSEN, root=tmp_path)
    found = made.read(out.read_bytes(), np.zeros((3, 2), int))
    assert [part.tolist() for part in found.by_segment] == [fc6[:2].tolist(), [], fc6[2:].tolist()]
    assert [len(part) for part in Features.none(made.network, 2).by_segment] == [0, 0]


def test_an_items_key_follows_bytes_segments_and_params_but_not_paths(tmp_path: Path) -> None:
    def key(
        chosen: ExtractParams = CHOSEN, *, sha256: str = "a", name: str = "v", end: int = 16
    ) -> str:
        made = extraction(chosen, root=tmp_path)
        item = made.item("video:v", sha256=sha256, path=Path(name), spans=np.array([[0, end]]))
        return made.work.key(item.inputs)

    assert key() == key(name="elsewhere")
    other_stride = ExtractParams(**{**vars(CHOSEN), "clip_stride": 8})
    other_seed = ExtractParams(**{**vars(CHOSEN), "weights": "random:1"})
    dense = ExtractParams(**{**vars(CHOSEN), "mode": "dense"})
    keys = [key(), key(sha256="b"), key(end=17), key(other_stride), key(other_seed), key(dense)]
    assert len(set(keys)) == len(keys)


def test_weights_that_cannot_be_used_stop_the_stage_before_any_item(tmp_path: Path) -> None:
    chosen = ExtractParams(**{**vars(CHOSEN), "weights": "models/none.safetensors"})
    with pytest.raises(UserError, match=r"models/none\.safetensors"):
        extraction(chosen, root=tmp_path)


# --- the stage ---


def project(root: Path, *, broken: int = 1) -> Layout:
    """Two good videos of 40 frames, the second with a GIF, and `broken` ones; segments are cut."""
    layout = Layout(root)
    layout.media.mkdir(parents=True)
    names = ["good0", "good1", *(f"wrong{n}" for n in range(broken))]
    for seed, name in enumerate(names):
        if name.startswith("good"):
            write_video(layout.media_file(f"{name}.mp4"), film(40, seed), fps=10)
        else:
            layout.media_file(f"{name}.mp4").write_text("no video")
    DOWNLOADS.write(
        layout.downloads,
        [
            {"kind": "video", "id": name, "path": f"{name}.mp4", "sha256": name, "status": "ok"}
            for name in names
        ],
    )
    SOURCES.write(
        layout.sources,
        [{"video_id": name, "gif_id": "g" if name == "good1" else ""} for name in names],
    )
    SEGMENTS.write(
        layout.segments,
        [
            {"video_id": name, "segment_id": i, "start_frame": start, "end_frame": end}
            for name in names
            for i, (start, end) in enumerate([(0, 17), (17, 24), (24, 40)])
        ],
    )
    return layout


def params(**changes: object) -> Params:
    section = ExtractParams(**{**vars(CHOSEN), **changes})
    return SimpleNamespace(extract=section)  # type: ignore[return-value]


def written(layout: Layout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(layout.features_of("c3d").iterdir())}


def test_every_segment_has_a_row_and_every_video_a_status(tmp_path: Path) -> None:
    layout = project(tmp_path / "one")
    context = Context(ItemStore(tmp_path / "store"), ProcessMapper(1))
    assert run(layout, params(), context) == Counts(computed=2, quarantined=1)

    index = FEATURES.read(layout.features_of("c3d") / "index.parquet")
    assert index["n_clips"].tolist() == [1, 0, 1, 1, 0, 1, 0, 0, 0]
    assert index["segment_id"].tolist() == [0, 1, 2] * 3
    status = FEATURE_STATUS.read(layout.features_of("c3d") / "status.parquet").set_index("video_id")
    assert status["status"].tolist() == ["ok", "ok", "quarantined"]
    assert status.at["wrong0", "reason"].startswith("not_media: ")
    assert status["backend"].tolist() == ["torch-fp32", "torch-fp32", ""]
    assert status["mode"].tolist() == ["clips", "clips", ""]
    assert status["cosine"].tolist()[:2] == [1.0, 1.0]

    shards = ShardReader(layout.features_of("c3d"))
    rows = [
        shards.rows(row.shard, "features", row.row, row.n_clips)
        for row in index.itertuples()
        if row.n_clips
    ]
    fc6 = np.concatenate(rows).astype(np.float64)
    assert fc6.shape == (4, 4096)
    assert len(np.unique(fc6.round(3), axis=0)) == 4  # Each clip has features of its own.

    # Once more: all reused. From nothing, in two processes instead of one: the same bytes.
    before = written(layout)
    assert run(layout, params(), context) == Counts(reused=2, quarantined=1)
    assert written(layout) == before
    parallel = Context(ItemStore(tmp_path / "other"), ProcessMapper(2))
    assert run(layout, params(), parallel).computed == 2
    assert written(layout) == before


def test_videos_with_gifs_come_first(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def compute(stage: str, work: Work, items: list[Item], context: Context) -> list[Outcome]:
        asked.extend(item.id for item in items)
        return really_compute(stage, work, items, context)

    monkeypatch.setattr("video2gif.features.together.compute", compute)
    run(project(tmp_path), params(), context)
    assert asked == ["video:good1", "video:good0", "video:wrong0"]


def test_too_many_failures_stop_the_stage_after_its_tables_are_written(
    tmp_path: Path, context: Context
) -> None:
    layout = project(tmp_path, broken=1)
    SEGMENTS.write(
        layout.segments,
        [{"video_id": "wrong0", "segment_id": 0, "start_frame": 0, "end_frame": 16}],
    )
    with pytest.raises(TooManyFailed, match="1 of 1 items failed"):
        run(layout, params(), context)
    assert (layout.features_of("c3d") / "status.parquet").is_file()
