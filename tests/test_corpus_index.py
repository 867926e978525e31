"""Corpus search: the scan against plain numpy, the index against the scan, GIFs against truth."""

import hashlib
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from exhaustive import search_exhaustively
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from moving import moving_frames

from video2gif.core.config import Params
from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS
from video2gif.fingerprint.phash import WINDOWS
from video2gif.fingerprint.read import Fingerprints
from video2gif.fingerprint.track import THUMB_SIDE, Track
from video2gif.make.analysis import fingerprint_file
from video2gif.make.match import corpus_index, match_corpus
from video2gif.matching.corpus.index import Index, IndexWriter, kept_frames
from video2gif.matching.corpus.kernels import within
from video2gif.matching.corpus.queries import PLANES, RADIUS
from video2gif.matching.corpus.search import search_corpus, verify
from video2gif.media.encode import write_gif, write_video
from video2gif.stages import fingerprint

REPO = Path(__file__).parents[1]
PARAMS = Params.load(REPO / "params.yaml")
HASHES = hnp.arrays(np.uint64, st.integers(0, 40))


def track(hashes: np.ndarray, *, fps: float = 10.0, quality: float = 1.0) -> Track:
    """Frames whose every column is the same hash."""
    n = len(hashes)
    return Track(
        np.arange(n) / fps,
        n / fps,
        np.repeat(hashes[:, None], 1 + len(WINDOWS), axis=1),
        np.full(n, quality, np.float32),
        np.zeros((n, THUMB_SIDE, THUMB_SIDE), np.uint8),
    )


def film(seed: int, n: int = 400) -> np.ndarray:
    """Hashes of shots of 25 frames, each some 4 bits from the one before."""
    rng = np.random.default_rng(seed)
    turned = np.bitwise_and.reduce(rng.integers(0, 2**64, (4, n), dtype=np.uint64))
    turned[::25] = rng.integers(0, 2**64, len(turned[::25]), dtype=np.uint64)
    return np.bitwise_xor.accumulate(turned)


def noisy(hashes: np.ndarray, bits: int, seed: int = 0) -> np.ndarray:
    """Hashes with so many bits turned over, others in each."""
    rng = np.random.default_rng(seed)
    turned = np.argsort(rng.random((len(hashes), 64)), axis=1)[:, :bits].astype(np.uint64)
    return hashes ^ (np.uint64(1) << turned).sum(axis=1, dtype=np.uint64)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Twenty films of forty seconds."""
    folder = tmp_path_factory.mktemp("index")
    writer = IndexWriter(folder, planes=PLANES[:1])
    for number in range(20):
        writer.add(f"film{number}", track(film(number)))
    writer.finish()
    return Index(folder)


@settings(max_examples=60, deadline=None)
@given(hashes=HASHES, queries=HASHES, radius=st.integers(0, 64))
def test_the_scan_finds_every_pair_within_the_radius(
    hashes: np.ndarray, queries: np.ndarray, radius: int
) -> None:
    apart = np.bitwise_count(hashes[:, None] ^ queries)
    row, query = np.nonzero(apart <= radius)
    found = within(hashes, queries, radius=radius)
    assert found.row.tolist() == row.tolist()
    assert found.query.tolist() == query.tolist()
    assert found.distance.tolist() == apart[row, query].tolist()


def test_the_scan_makes_room_for_more_hits_than_expected() -> None:
    hashes = np.zeros(600_000, np.uint64)
    assert len(within(hashes, np.zeros(2, np.uint64), radius=0).row) == 1_200_000


@pytest.mark.parametrize("reach", [0, 1])
@pytest.mark.parametrize("bits", [0, 4, 8, 12])
def test_the_index_finds_only_pairs_of_the_scan_and_most_of_them(
    index: Index, bits: int, reach: int
) -> None:
    plane = PLANES[0]
    queries = noisy(np.asarray(index.hashes[plane][::7]), bits)
    scan = within(index.hashes[plane], queries, radius=RADIUS)
    found = index.near(plane, queries, radius=RADIUS, reach=reach)
    exact = dict(zip(zip(scan.query, scan.row, strict=True), scan.distance, strict=True))
    pairs = list(zip(found.query, found.row, strict=True))
    assert len(set(pairs)) == len(pairs)
    assert all(exact[pair] == d for pair, d in zip(pairs, found.distance, strict=True))
    own = {(q, r) for q, r in exact if r == 7 * q}
    # Keys of 3 bits: of a pair 12 bits apart, four of them hold 0.6 errors each.
    assert len(own & set(pairs)) >= (1.0 if bits == 0 or reach == 1 else 0.8) * len(own) - 2


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, -1.0])
@pytest.mark.parametrize("bits", [0, 8])
def test_a_planted_gif_is_found_where_it_was_cut(index: Index, speed: float, bits: int) -> None:
    gif_s, start_s = 3.0, 11.0
    from_s = start_s if speed > 0 else start_s + gif_s
    frames = ((from_s + speed * np.arange(0, gif_s, 0.1)) * 10 + 1e-6).astype(int)
    best = search_corpus(track(noisy(film(7)[frames], bits)), index)[0]
    assert best.video_id == "film7"
    assert not best.mirror
    assert best.start_s == pytest.approx(start_s, abs=0.3)
    assert best.end_s == pytest.approx(start_s + abs(speed) * gif_s, abs=0.3)
    assert best.speed * speed > 0


def test_the_index_gives_the_exhaustive_answer_first(index: Index) -> None:
    for number in range(20):
        gif = track(noisy(film(number)[100:130], 10, seed=number))
        (ours, *_), (theirs, *_) = search_corpus(gif, index), search_exhaustively(gif, index)
        assert (ours.video_id, ours.mirror) == (theirs.video_id, theirs.mirror)
        assert ours.start_s == pytest.approx(theirs.start_s, abs=0.3)


def test_frames_without_a_picture_are_not_searched_for(index: Index) -> None:
    assert search_corpus(track(film(3)[:30], quality=0.0), index) == []


def test_kept_frames_drop_flat_ones_and_repetitions_but_keep_half_a_second() -> None:
    hashes = np.array([7, 7, 7, 7, 7, 7, 7, 2**60 - 1, 7], np.uint64)
    assert kept_frames(track(hashes)).tolist() == [0, 5, 7, 8]
    assert kept_frames(track(hashes, quality=0.2)).tolist() == []


def test_an_index_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="missing"):
        Index(tmp_path)
    with pytest.raises(UserError, match="0 frames with a picture"):
        IndexWriter(tmp_path / "empty").finish()
    (tmp_path / "meta.json").write_text('{"version": 0}')
    with pytest.raises(EnvironmentProblem, match="version 0"):
        Index(tmp_path)


def test_a_table_that_does_not_fit_into_memory_is_written_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in (("whole", 1 << 25), ("parts", 100)):
        monkeypatch.setattr("video2gif.matching.corpus.index._SORTED_AT_ONCE", rows)
        monkeypatch.setattr("video2gif.matching.corpus.index._BLOCK", 1000)
        writer = IndexWriter(tmp_path / name)
        for number in range(10):
            writer.add(f"{number}", track(film(number)))
        writer.finish()
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()} == whole


def test_released_pages_come_back(index: Index) -> None:
    before = search_corpus(track(film(5)[50:80]), index)
    index.release()
    assert search_corpus(track(film(5)[50:80]), index) == before


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """One store for the tests below: each file is fingerprinted once."""
    return Context(ItemStore(tmp_path_factory.mktemp("store")), SerialMapper())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, context: Context) -> Layout:
    """Two fingerprinted videos, and beside them GIFs that no manifest names."""
    layout = Layout(tmp_path_factory.mktemp("project"))
    layout.media.mkdir(parents=True)
    for seed, name in enumerate("ab"):
        write_video(layout.media / f"{name}.mp4", moving_frames(160, seed=seed), fps=25)
    fingerprint_videos(layout, "ab", context)
    cut = moving_frames(160, seed=1)[90:150:2]
    write_gif(layout.root / "cut.gif", cut, delays_cs=8)
    write_gif(layout.root / "mirrored.gif", [f[:, ::-1] for f in cut], delays_cs=8)
    write_gif(layout.root / "other.gif", moving_frames(160, seed=9)[90:150:2], delays_cs=8)
    return layout


def fingerprint_videos(layout: Layout, names: str, context: Context) -> None:
    rows = [
        {"kind": "video", "id": name, "path": f"{name}.mp4", "status": "ok", "reason": ""}
        | {"sha256": hashlib.sha256((layout.media / f"{name}.mp4").read_bytes()).hexdigest()}
        for name in names
    ]
    frame = pd.DataFrame(rows, columns=DOWNLOADS.schema.names)
    numbers = ["bytes", "n_frames", "fps_num", "fps_den", "width", "height"]
    DOWNLOADS.write(layout.downloads, frame.fillna(dict.fromkeys(numbers, 0)))
    fingerprint.run(layout, PARAMS, context)


@pytest.mark.parametrize("name", ["cut", "mirrored"])
def test_a_gif_of_unknown_source_is_matched_in_its_video(
    project: Layout, context: Context, name: str
) -> None:
    (best, *_) = match_corpus(project.root / f"{name}.gif", project, PARAMS, context)
    assert str(best.video) == "b"
    assert best.match is not None
    assert best.match.status == "matched"
    assert best.match.mirror == (name == "mirrored")
    assert best.match.span is not None
    assert best.match.span.start_s == pytest.approx(90 / 25, abs=0.1)
    assert best.match.span.end_s == pytest.approx(150 / 25, abs=0.1)


def test_a_gif_of_no_known_video_has_no_source(project: Layout, context: Context) -> None:
    assert match_corpus(project.root / "other.gif", project, PARAMS, context) == []


def test_a_project_without_fingerprints_says_so(tmp_path: Path, context: Context) -> None:
    with pytest.raises(EnvironmentProblem, match="dvc repro"):
        match_corpus(tmp_path / "any.gif", Layout(tmp_path), PARAMS, context)


def test_the_index_is_made_again_only_when_the_fingerprints_changed(
    project: Layout, context: Context, tmp_path: Path
) -> None:
    layout = Layout(shutil.copytree(project.root, tmp_path / "project"))
    assert len(corpus_index(layout, Fingerprints.open(layout)).video_ids) == 2
    written = (layout.corpus_index / "meta.json").stat()
    corpus_index(layout, Fingerprints.open(layout))
    assert (layout.corpus_index / "meta.json").stat() == written
    fingerprint_videos(layout, "b", context)
    assert corpus_index(layout, Fingerprints.open(layout)).video_ids == ["b"]
    assert match_corpus(layout.root / "cut.gif", layout, PARAMS, context)[0].video == Path("b")


@pytest.mark.realdata
@pytest.mark.slow
def test_real_gifs_find_their_own_video_and_others_none(realdata: Path, tmp_path: Path) -> None:
    videos = sorted((realdata / "videos").iterdir())
    manifest = pd.read_csv(realdata / "manifest.csv")
    context = Context.default()

    def tracked(path: Path, kind: Literal["video", "gif"]) -> Track:
        return fingerprint_file(path, kind, PARAMS, context)[1].track

    tracks = {video.stem: tracked(video, "video") for video in videos}
    writer = IndexWriter(tmp_path / "index")
    for video_id, video in tracks.items():
        writer.add(video_id, video)
    writer.finish()
    index = Index(tmp_path / "index")
    for gif_id, gif_url, video_id in manifest[["gif_id", "gif_url", "video_id"]].to_numpy():
        assert search_corpus(tracked(realdata / gif_url, "gif"), index)[0].video_id == video_id, (
            gif_id
        )
    strangers = sorted((realdata / "pairs" / "_no_source").glob("*.gif"))
    assert strangers
    for path in strangers:
        gif = tracked(path, "gif")
        limits = {"min_confidence": PARAMS.match.min_confidence, "min_frames": 4}
        assert verify(gif, search_corpus(gif, index), tracks.__getitem__, **limits) == []
