"""Train the ranker on pairs of segments: whole tensors, no data loader, the same bytes each time.

Source: docs/paper.md, Network and Loss. What a step scores: ranking/batches.py.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from video2gif.core.config import TrainParams
from video2gif.core.errors import UserError
from video2gif.evaluation.videos import usable_gifs
from video2gif.ranking import fusion, linear, neighbourhood
from video2gif.ranking.batches import Block, block_of, paired
from video2gif.ranking.checkpoint import Checkpoint, TrainingState
from video2gif.ranking.context import ContextEncoder
from video2gif.ranking.member import Epoch, Member, Seen, below, named
from video2gif.ranking.model import (
    Ensemble,
    RankNet,
    Standardise,
    centred,
    clip_inputs,
    segment_means,
)
from video2gif.ranking.neighbourhood import Lesson
from video2gif.ranking.scorer import Model
from video2gif.ranking.subspace import Subspace
from video2gif.ranking.videos import Video

_FOLDS = 4  # Of the training videos, for what the fusion learns from; a last one is smaller.


@dataclass(frozen=True)
class Trained:
    """The model and how it came about."""

    model: Model
    history: list[Epoch]
    best: list[Epoch]
    """The epoch each member was taken from."""
    n_pairs: int
    """Training pairs in use: both segments have features."""


OnEpoch = Callable[[list[Epoch], int, int], None]
"""`report(epochs so far of all members, done, total)`, after each epoch."""


def train(
    videos: Sequence[Video],
    params: TrainParams,
    report: OnEpoch = lambda history, done, total: None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train `params.ensemble` members on the videos of split train, watching those of validation.

    Stops a member after `params.patience` epochs without a lower validation nMSD (without
    validation videos: without a lower training loss) and keeps its best epoch.
    With `checkpoint`, a training that was killed goes on from its last saved epoch and gives the
    same bytes as one that was not. Raises `UserError` when the training split holds no pair of
    segments with features.
    """
    training = [video for video in videos if video.split == "train"]
    if params.ranker == "neighbourhood":
        return _neighbourhood(training, params)
    context = ContextEncoder.fit(
        parts=params.context,
        categories=[video.category for video in training],
        tag_buckets=params.tag_buckets,
    )
    # One thread: sums in one order, so that equal inputs give equal bytes on one kind of CPU.
    with _threads(1):
        standardise = _fit(training, params)

        inputs = partial(clip_inputs, standardise=standardise, features=params.features)
        blocks = {v.video_id: block_of(v, inputs, context) for v in training}
        taught_ids = [name for name, block in blocks.items() if len(block.pairs)]
        if not taught_ids:
            raise UserError(_why_no_pairs(training))
        # A clip that no pair names has no part in any gradient.
        span = Subspace.of(torch.cat([paired(blocks[name]).x for name in taught_ids]))

        def seen(video: Video) -> Seen:
            block = blocks.get(video.video_id) or block_of(video, inputs, context)
            return Seen(video, block, replace(block, x=span.within(block.x)))

        taught = [seen(video) for video in training if video.video_id in taught_ids]
        held_out = [seen(v) for v in videos if v.split == "validation" and can_validate(v)]
        run = _Run(taught, held_out, span, params, report, checkpoint)
        members, best = run.all_members()
        fused = run.fusion() if params.fusion else None
        weights = run.linear() if params.fusion else None
    ensemble = Ensemble(standardise, tuple(members), params.features, weights)
    n_pairs = sum(len(one.block.pairs) for one in taught)
    if checkpoint:
        checkpoint.remove()
    return Trained(Model(ensemble, context, fused), run.history, best, n_pairs)


def _neighbourhood(training: Sequence[Video], params: TrainParams) -> Trained:
    """The ranker of ranking/neighbourhood.py: a positive's target is 1, a negative's 0."""
    with _threads(1):
        # `train.features` is about the network; this ranker makes its own surroundings.
        standardise = _fit(training, replace(params, features="own"))
        lessons = [_lesson(video, standardise) for video in training if video.n_clips.any()]
        n_pairs = sum(len(_scored_pairs(video)) for video in training)
        if not n_pairs:
            raise UserError(_why_no_pairs(training))
        learned = neighbourhood.fit(lessons, seed=params.seed, streams=params.streams)
    context = ContextEncoder.fit(parts=(), categories=(), tag_buckets=params.tag_buckets)
    ensemble = Ensemble(standardise, (), neighbourhood=learned)
    return Trained(Model(ensemble, context), [], [], n_pairs)


def _lesson(video: Video, standardise: Standardise) -> Lesson:
    """Its segments with features; those that no pair names only lend their surroundings."""
    n_clips = torch.from_numpy(video.n_clips)
    positive, negative = _scored_pairs(video).T
    target = torch.full((len(n_clips),), torch.nan)
    target[negative], target[positive] = 0.0, 1.0
    means = segment_means(standardise(torch.from_numpy(video.clips)), n_clips)
    trust = float(video.popularity.mean()) if len(video.popularity) else 0.0
    return Lesson(means[n_clips > 0], target[n_clips > 0], video.category, trust)


def _scored_pairs(video: Video) -> np.ndarray:
    """Pairs of two segments with features, (P, 2)."""
    return video.pairs[(video.n_clips[video.pairs] > 0).all(axis=1)]


def can_validate(video: Video) -> bool:
    """Whether a video has a GIF to find and a segment to score."""
    return bool(usable_gifs(video.gifs, video.n_frames)) and bool(video.n_clips.any())


class _Run:
    """A training with everything it needs."""

    def __init__(
        self,
        taught: Sequence[Seen],
        held_out: Sequence[Seen],
        span: Subspace,
        params: TrainParams,
        report: OnEpoch,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._taught, self._held_out, self._params = taught, held_out, params
        self._span = span
        self._report, self._checkpoint = report, checkpoint
        self.history: list[Epoch] = []
        # With one video there is none left to learn from when it is held out: the network stands
        # alone.
        folds = min(_FOLDS, len(taught)) if params.fusion and len(taught) > 1 else 0
        self._folds = [range(start, len(taught), folds) for start in range(folds)]

    def all_members(self) -> tuple[list[RankNet], list[Epoch]]:
        """The networks of the ensemble and the epoch each was taken from."""
        members, best = [], []
        for number in range(self._params.ensemble):
            member = self._trained(number, self._taught)
            assert member.best is not None  # params.epochs is at least 1
            members.append(member.chosen())
            best.append(member.best)
        return members, best

    def fusion(self) -> fusion.Fusion:
        """What the fusion learns from rankers that have not seen the video they score."""
        differences = []
        # Numbers go on after the ensemble's: each has a seed, and a place in the checkpoint, of its
        # own.
        for number, fold in enumerate(self._folds, start=self._params.ensemble):
            others = [one for place, one in enumerate(self._taught) if place not in fold]
            ranker, weights = self._trained(number, others).chosen(), self._linear(others)
            for place in fold:
                differences.append(_differences(self._taught[place], ranker, weights))
        return fusion.fit(differences)

    def linear(self) -> Tensor:
        """The linear ranker of all videos, on inputs as they are."""
        return self._span.full(self._linear(self._taught)[None])[0]

    def _linear(self, taught: Sequence[Seen]) -> Tensor:
        n_inputs = taught[0].block.x.shape[1]
        return linear.fit([paired(one.small) for one in taught], n_inputs)

    def _trained(self, number: int, taught: Sequence[Seen]) -> Member:
        """Member `number`; those after the ensemble's are trained for the fusion alone."""
        blocks = [paired(one.small) for one in taught]
        n_inputs = taught[0].block.x.shape[1]
        total = (self._params.ensemble + len(self._folds)) * self._params.epochs
        # Whoever calls this keeps the random numbers that it had.
        with torch.random.fork_rng(devices=[]):
            member = Member(number, self._span, self._held_out, n_inputs, self._params)
            self._resume(member)
            while member.goes_on():
                member.epoch(blocks)
                done = number * self._params.epochs + len(member.history)
                self._report([*self.history, *member.history], done, total)
                if self._checkpoint and self._checkpoint.is_due():
                    self._save(member, self._checkpoint)
        # The curve shows the networks that are kept.
        if number < self._params.ensemble:
            self.history += member.history
        return member

    def _resume(self, member: Member) -> None:
        found = self._checkpoint.load() if self._checkpoint else None
        own = found and _member_state(found, member.number)
        if own:
            member.restore(own)

    def _save(self, member: Member, checkpoint: Checkpoint) -> None:
        # Members that are done stay in the file: a resumed run reads them instead of training.
        tensors, notes = checkpoint.load() or ({}, {})
        own, own_notes = member.state()
        kept = {name: t for name, t in tensors.items() if not name.startswith(f"{member.number}.")}
        checkpoint.save(
            {**kept, **named(str(member.number), own)}, {**notes, str(member.number): own_notes}
        )


def _member_state(state: TrainingState, number: int) -> TrainingState | None:
    tensors, notes = state
    own = notes.get(str(number))
    return None if own is None else (below(str(number), tensors), own)


def _scores(ranker: RankNet, block: Block) -> np.ndarray:
    with torch.no_grad():
        scores = segment_means(ranker.eval()(block.x), block.n_clips)
    return scores.numpy().astype(np.float64)


def _differences(one: Seen, ranker: RankNet, weights: Tensor) -> np.ndarray:
    """Inputs of the fusion, the positive's less the negative's, of a video's pairs: (P, 10).

    `weights` (r,): of the linear ranker, in coordinates of the training span.
    """
    # `chosen` takes inputs as they are; the linear weights are still in coordinates of the span.
    network = _scores(ranker, one.block)
    plain = segment_means(one.small.x @ weights, one.block.n_clips).numpy()
    scored = ~np.isnan(network)
    inputs = np.full((len(network), len(fusion.FUSED)), np.nan)
    inputs[scored] = fusion.ranks(network[scored], plain[scored], one.video.cues[scored])
    positive, negative = one.block.pairs.numpy().T
    return inputs[positive] - inputs[negative]


def _fit(videos: Sequence[Video], params: TrainParams) -> Standardise:
    clips = [torch.from_numpy(video.clips) for video in videos if len(video.clips)]
    if params.features == "centred":
        clips = [centred(part) for part in clips]
    width = videos[0].clips.shape[1] if videos else 0
    return Standardise.fit(torch.cat(clips).float()) if clips else Standardise.none(width)


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
