"""Data sets that come as features of clips and human labels, without any pixels.

`read_youtube` and `read_tvsum` read YouTube Highlights and TVSum as UMT packs them: a folder with

    annotations.json   {video id: {domain, fps, clip, match}} or {video id: {domain, anno, …}}
    splits.json        {domain: {"train": [ids], "val": [ids]}}
    features           <anything>.npz with one array (clips, width) a video, or folders of files

`clip_features` finds the features of a video in such a folder: in the one npz of all videos, or, as
UMT and lighthouse lay them out, in files `<folder>/<id>.npy`, `<folder>/<id>.npz` or
`<folder>/<id>_<stream>.npy`. All that belong to one video are set side by side, in the order of
their paths.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from video2gif.core.errors import UserError
from video2gif.core.readers import Unreadable, parsed_json

GivenSplit = Literal["train", "test"]

_PARTS: dict[str, GivenSplit] = {"train": "train", "val": "test"}
_Labels = tuple[np.ndarray, np.ndarray, float]  # Times, grades, trust.

UNCHECKED_TRUST = 0.3
"""Chosen by cross-validation inside the training split (docs/benchmarks/highlights.md)."""
_TVSUM_CLIP_S = 2.0
_MOST_SPARE_CLIPS = 2  # Streams of one video end a clip or two apart; more is another video's.


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenVideo:
    """A video of n clips in order of time, known by features and by what people said of it."""

    video_id: str
    domain: str
    part: GivenSplit
    """`test` for what the data set calls val: papers report on it."""
    times_s: np.ndarray
    """(n + 1,) float64: when each clip begins, and the end of the last."""
    features: np.ndarray
    """(n, width) float16."""
    grades: np.ndarray
    """(n, people) float64, higher is better liked; of YouTube Highlights (n, 1): 1, 0, −1."""
    trust: float = 1.0
    """How far its grades are to be trusted in training, in (0, 1]."""

    @property
    def truth(self) -> np.ndarray:
        """(n,) bool: clips above 0. Of use where the grades are YouTube Highlights'."""
        return self.grades[:, 0] > 0


def read_youtube(folder: Path) -> list[GivenVideo]:
    """YouTube Highlights (Sun et al., ECCV 2014), by id. Raises `UserError`.

    `clip` holds [first, last] frames; a clip begins where half of the one before it has passed,
    so each stands here for the time until the next begins. `match`: 1 highlight, 0 borderline, −1
    not. Ids without labels or features are left out, as the papers do. Labels come from matching
    videos with edits of them; those of videos that people were asked about as well (`mturk`) are
    trusted fully, the others by `UNCHECKED_TRUST`.
    """

    def labelled(video: dict[str, Any]) -> _Labels:
        frames = np.array(video["clip"], np.float64)
        times = np.append(frames[:, 0], frames[-1, 1]) / float(video["fps"])
        trust = 1.0 if video.get("mturk") else UNCHECKED_TRUST
        return times, np.array(video["match"], np.float64)[:, None], trust

    return list(_videos(folder, labelled))


def read_tvsum(folder: Path) -> list[GivenVideo]:
    """TVSum (Song et al., CVPR 2015) with clips of two seconds, by id. Raises `UserError`.

    `anno`: [clips][20 annotators], grades 1 to 5.
    """

    def labelled(video: dict[str, Any]) -> _Labels:
        grades = np.array(video["anno"], np.float64)
        return np.arange(len(grades) + 1) * _TVSUM_CLIP_S, grades, 1.0

    return list(_videos(folder, labelled))


def manifest_table(
    videos: Sequence[GivenVideo], *, best_share: float = 0.15, saturation_views: float = 100_000
) -> pd.DataFrame:
    """A manifest whose videos are files `clips/<id>.npz` beside it, their liked spans declared.

    A span is a run of clips above 0 (YouTube Highlights), or of clips whose mean grade lies in the
    best `best_share` of the video (the usual length of a TVSum summary). `saturation_views`:
    `label.popularity_views` of the project; `views` are such that the popularity is the trust.
    """
    rows = []
    for video in videos:
        fixed = {
            "video_id": video.video_id,
            "video_url": f"clips/{video.video_id}.npz",
            "category": video.domain,
            "split": video.part,
        }
        spans = runs(liked(video, best_share=best_share))
        for number, (start, end) in enumerate(spans, start=1):
            rows.append(
                {
                    **fixed,
                    "gif_id": f"{video.video_id}-{number}",
                    # The clips' own clock begins at 0, as that of a video's frames does.
                    "start_s": video.times_s[start] - video.times_s[0],
                    "end_s": video.times_s[end] - video.times_s[0],
                    # `labels.overlap.popularity` turned round: of so many views the popularity is
                    # the trust.
                    "views": (1 + saturation_views) ** video.trust - 1,
                }
            )
        if not spans:
            rows.append({**fixed, "gif_id": ""})
    table = pd.DataFrame(rows)
    table.insert(2, "gif_url", "")
    return table


def liked(video: GivenVideo, *, best_share: float) -> np.ndarray:
    """(n,) bool: the clips that people chose, as `manifest_table` says."""
    if video.grades.shape[1] == 1:
        return video.truth
    mean = video.grades.mean(axis=1)
    above: np.ndarray = mean > np.quantile(mean, 1 - best_share)
    return above


def runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """[start, end) of each run of true clips or frames."""
    # With a zero at either end every run has both of its edges.
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


READERS: dict[str, Callable[[Path], list[GivenVideo]]] = {
    "youtube-highlights": read_youtube,
    "tvsum": read_tvsum,
}
"""By the name that `video2gif dataset given` takes."""


def _videos(folder: Path, labelled: Callable[[dict[str, Any]], _Labels]) -> Iterator[GivenVideo]:
    annotations, splits = (_json(folder / f"{name}.json") for name in ("annotations", "splits"))
    features = clip_features(folder)
    placed = {
        video_id: (domain, _PARTS[part])
        for domain, parts in splits.items()
        for part, ids in parts.items()
        for video_id in ids
    }
    for video_id in sorted(placed.keys() & annotations.keys()):
        found = features(video_id)
        if found is None:
            continue
        try:
            times_s, grades, trust = labelled(annotations[video_id])
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise UserError(f"{folder}/annotations.json: {video_id}: {error!r}") from None
        if len(found) != len(grades):
            raise UserError(
                f"{folder}: {video_id} has {len(found)} clips of features and {len(grades)} of"
                " labels; both must be of the same clips"
            )
        domain, part = placed[video_id]
        yield GivenVideo(
            video_id=video_id,
            domain=domain,
            part=part,
            times_s=times_s,
            features=found,
            grades=grades,
            trust=trust,
        )


def clip_features(folder: Path) -> Callable[[str], np.ndarray | None]:
    """A function from a video's id to its features (clips, width) float16; None: none are there.

    Streams that end up to two clips apart are cut to the shortest. Raises `UserError` for a file
    that is no array of clips.
    """
    packed = sorted(folder.glob("*.npz"))
    if packed:
        # Nothing is read yet: an npz reads an array when it is asked for.
        archive = np.load(packed[0], allow_pickle=False)
        names = set(archive.files)
        return lambda video_id: _clips(packed[0], archive[video_id]) if video_id in names else None
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".npy", ".npz"))

    def streams(video_id: str) -> np.ndarray | None:
        # One id may begin like another. Then the numbers of clips tell (`_MOST_SPARE_CLIPS`).
        own = [p for p in files if p.stem == video_id or p.stem.startswith(f"{video_id}_")]
        parts = [_clips(path, _array(path)) for path in own]
        lengths = [len(part) for part in parts]
        if parts and max(lengths) - min(lengths) > _MOST_SPARE_CLIPS:
            raise UserError(f"{own[0]}: streams of {lengths} clips; they are not one video's")
        return np.hstack([part[: min(lengths)] for part in parts]) if parts else None

    return streams


def _array(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else loaded[loaded.files[0]]
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{path}: not a numpy file of features: {error}") from None


def _clips(path: Path, found: np.ndarray) -> np.ndarray:
    if found.ndim != 2 or not len(found) or not np.issubdtype(found.dtype, np.floating):
        raise UserError(f"{path}: {found.dtype} {found.shape}; needs floats (clips, width)")
    with np.errstate(over="ignore"):  # The next line looks.
        half = found.astype(np.float16)
    if not np.isfinite(half).all():
        raise UserError(f"{path}: a number that is not finite as float16")
    return half


def _json(path: Path) -> Any:
    try:
        return parsed_json(path.read_bytes())
    except (OSError, Unreadable) as error:
        raise UserError(f"{path}: {error}") from None
