"""Train the ranker on pairs of segments: whole tensors, no data loader, the same bytes each time.

Source: PAPER.md, 'Network' and 'Loss'. The pairs of one video share its segments, so a step
scores every segment of a few videos once and indexes its pairs out of those scores: the cost is
that of the segments, not of the many more pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from video2gif.config import Train
from video2gif.errors import UserError
from video2gif.ranking.context import ContextEncoder
from video2gif.ranking.evaluation import usable_gifs, video_metrics
from video2gif.ranking.losses import pair_loss
from video2gif.ranking.model import Ensemble, Ranker, Standardise, segment_means
from video2gif.ranking.videos import N_FEATURES, Video


@dataclass(frozen=True)
class Epoch:
    """One row of plots/train.csv."""

    member: int
    epoch: int
    loss: float
    """Mean over the training pairs, with dropout, as optimised."""
    validation_nmsd: float
    """NaN without validation videos."""


@dataclass(frozen=True)
class Trained:
    """The model and how it came about."""

    ensemble: Ensemble
    context: ContextEncoder
    history: list[Epoch]
    best: list[Epoch]
    """The epoch each member was taken from."""
    n_pairs: int
    """Training pairs in use: both segments have features."""


@dataclass(frozen=True)
class _Block:
    """A video as tensors: its clips' inputs, its segments' clip counts, its pairs."""

    x: Tensor
    """(clips, inputs) float32."""
    n_clips: Tensor
    """(n,) int64."""
    pairs: Tensor
    """(P, 2) int64, rows of n_clips."""
    popularity: Tensor
    """(P,) float32."""
    video: Video


Report = Callable[[int, int], None]
"""`report(done, total)` epochs."""


def train(
    videos: Sequence[Video], params: Train, report: Report = lambda done, total: None
) -> Trained:
    """Train `params.ensemble` members on the videos of split train, watching those of validation.

    Stops a member after `params.patience` epochs without a lower validation nMSD (without
    validation videos: without a lower training loss) and keeps its best epoch.
    Raises `UserError` when the training split holds no pair of segments with features.
    """
    training = [video for video in videos if video.split == "train"]
    context = ContextEncoder.fit(
        parts=params.context,
        categories=[video.category for video in training],
        tag_buckets=params.tag_buckets,
    )
    # One thread: sums in one order, so that equal inputs give equal bytes on one kind of CPU.
    with _threads(1):
        standardise = _fit(training)
        blocks = [_paired(_block(video, context, standardise)) for video in training]
        blocks = [block for block in blocks if len(block.pairs)]
        if not blocks:
            raise UserError(_why_no_pairs(training))
        held_out = [
            _block(video, context, standardise)
            for video in videos
            if video.split == "validation" and can_validate(video)
        ]
        history: list[Epoch] = []
        members, best = [], []
        for member in range(params.ensemble):
            ranker, chosen = _train_member(member, blocks, held_out, params, history, report)
            members.append(ranker)
            best.append(chosen)
    n_pairs = sum(len(block.pairs) for block in blocks)
    return Trained(Ensemble(standardise, tuple(members)), context, history, best, n_pairs)


def can_validate(video: Video) -> bool:
    """Whether a video has a GIF to find and a segment to score."""
    return bool(usable_gifs(video.gifs, video.n_frames)) and bool(video.n_clips.any())


def _train_member(
    member: int,
    blocks: Sequence[_Block],
    held_out: Sequence[_Block],
    params: Train,
    history: list[Epoch],
    report: Report,
) -> tuple[Ranker, Epoch]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed + member)  # initial weights, dropout and order of videos
        ranker = Ranker(blocks[0].x.shape[1], params.hidden, params.dropout)
        optimiser = torch.optim.SGD(
            ranker.parameters(),
            lr=params.learning_rate,
            momentum=params.momentum,
            weight_decay=params.weight_decay,
            nesterov=params.momentum > 0,
            fused=True,  # one pass over the weights: the step costs a seventh
        )
        best, best_state = None, {}
        for number in range(params.epochs):
            loss = _train_epoch(ranker, optimiser, blocks, params)
            epoch = Epoch(member, number, loss, _validation_nmsd(ranker, held_out))
            history.append(epoch)
            report(member * params.epochs + number + 1, params.ensemble * params.epochs)
            if best is None or _criterion(epoch) < _criterion(best):
                best = epoch
                best_state = {name: value.clone() for name, value in ranker.state_dict().items()}
            if number - best.epoch >= params.patience:
                break
    assert best is not None  # params.epochs is at least 1
    ranker.load_state_dict(best_state)
    return ranker.eval(), best


def _criterion(epoch: Epoch) -> float:
    return epoch.loss if np.isnan(epoch.validation_nmsd) else epoch.validation_nmsd


def _train_epoch(
    ranker: Ranker, optimiser: torch.optim.Optimizer, blocks: Sequence[_Block], params: Train
) -> float:
    """One pass over all pairs, some videos a step; returns the mean loss of a pair."""
    ranker.train()
    total = 0.0
    for batch in batches([len(block.pairs) for block in blocks], params.batch_pairs):
        losses = _losses(ranker, [blocks[place] for place in batch], params)
        optimiser.zero_grad()
        losses.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(losses.detach().sum())
    return total / sum(len(block.pairs) for block in blocks)


def batches(n_pairs: Sequence[int], batch_pairs: int) -> Iterator[list[int]]:
    """Videos in random order, gathered until they hold `batch_pairs` pairs."""
    batch: list[int] = []
    for place in torch.randperm(len(n_pairs)).tolist():
        batch.append(place)
        if sum(n_pairs[member] for member in batch) >= batch_pairs:
            yield batch
            batch = []
    if batch:
        yield batch


def _losses(ranker: Ranker, batch: Sequence[_Block], params: Train) -> Tensor:
    """The loss of each pair of some videos: every segment scored once."""
    scores = segment_means(
        ranker(torch.cat([block.x for block in batch])),
        torch.cat([block.n_clips for block in batch]),
    )
    first = np.cumsum([0, *(len(block.n_clips) for block in batch)])
    pairs = torch.cat([block.pairs + int(at) for block, at in zip(batch, first, strict=False)])
    positive, negative = scores[pairs].unbind(dim=1)
    return pair_loss(
        params.loss,
        1 - positive + negative,
        delta=params.huber_delta,
        popularity=torch.cat([block.popularity for block in batch]),
    )


@torch.no_grad()
def _validation_nmsd(ranker: Ranker, held_out: Sequence[_Block]) -> float:
    if not held_out:
        return float("nan")
    ranker.eval()
    values = []
    for block in held_out:
        scores = segment_means(ranker(block.x), block.n_clips).numpy().astype(np.float64)
        gifs = usable_gifs(block.video.gifs, block.video.n_frames)
        values.append(video_metrics(gifs=gifs, spans=block.video.spans, scores=scores).nmsd)
    return float(np.mean(values))


def _fit(videos: Sequence[Video]) -> Standardise:
    clips = [torch.from_numpy(video.clips).float() for video in videos if len(video.clips)]
    return Standardise.fit(torch.cat(clips)) if clips else Standardise.none(N_FEATURES)


def _block(video: Video, context: ContextEncoder, standardise: Standardise) -> _Block:
    n_clips = torch.from_numpy(video.n_clips)
    columns = context.encode(
        category=video.category,
        tags=video.tags,
        spans_s=video.spans_s,
        duration_s=video.duration_s,
    )
    clip_context = torch.from_numpy(columns).repeat_interleave(n_clips, dim=0)
    # A pair with a segment too short for a clip teaches nothing: it has no score.
    scored = (video.n_clips[video.pairs] > 0).all(axis=1)
    return _Block(
        x=torch.cat([standardise(torch.from_numpy(video.clips)), clip_context], dim=1),
        n_clips=n_clips,
        pairs=torch.from_numpy(video.pairs[scored]),
        popularity=torch.from_numpy(video.popularity[scored]).float(),
        video=video,
    )


def _paired(block: _Block) -> _Block:
    """The block without the segments that no pair names: they need no score in training."""
    used, rows = torch.unique(block.pairs, return_inverse=True)
    keep = torch.zeros(len(block.n_clips), dtype=torch.bool)
    keep[used] = True
    return _Block(
        x=block.x[keep.repeat_interleave(block.n_clips)],
        n_clips=block.n_clips[keep],
        pairs=rows.reshape(-1, 2),
        popularity=block.popularity,
        video=block.video,
    )


def _why_no_pairs(training: Sequence[Video]) -> str:
    n_gifs = sum(len(video.gifs) for video in training)
    n_pairs = sum(len(video.pairs) for video in training)
    n_featured = sum(bool(video.n_clips.any()) for video in training)
    return (
        f"train: nothing to learn from: the training split has {len(training)} videos"
        f" ({n_featured} with features), {n_gifs} placed GIFs and {n_pairs} pairs, none of them"
        " between two segments with features; add videos with GIFs to the manifest, or lower"
        " label.positive_overlap, label.test_fraction or label.validation_fraction"
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
