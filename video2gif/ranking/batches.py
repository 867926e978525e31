"""What one step of training scores: the segments of some videos, and which of them form pairs.

The pairs of one video share its segments, so a step scores each segment once and indexes all its
pairs out of those scores: the cost is that of the segments, not of the many more pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from video2gif.ranking.context import ContextEncoder
from video2gif.ranking.videos import Video


@dataclass(frozen=True)
class Block:
    """Segments as tensors: their clips' inputs, their clip counts, and pairs of them."""

    x: Tensor
    """(clips, inputs) float32."""
    n_clips: Tensor
    """(n,) int64."""
    pairs: Tensor
    """(P, 2) int64, rows of n_clips: a positive and a negative."""
    popularity: Tensor
    """(P,) float32."""


Inputs = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Clips, context and clip counts of a video → what the network sees (`model.clip_inputs`)."""


def block_of(video: Video, inputs: Inputs, context: ContextEncoder) -> Block:
    """A video's segments. A pair with a segment too short for a clip teaches nothing: left out."""
    columns = context.encode(
        category=video.category,
        tags=video.tags,
        spans_s=video.spans_s,
        duration_s=video.duration_s,
    )
    n_clips = torch.from_numpy(video.n_clips)
    scored = (video.n_clips[video.pairs] > 0).all(axis=1)
    return Block(
        x=inputs(torch.from_numpy(video.clips), torch.from_numpy(columns), n_clips),
        n_clips=n_clips,
        pairs=torch.from_numpy(video.pairs[scored]),
        popularity=torch.from_numpy(video.popularity[scored]).float(),
    )


def paired(block: Block) -> Block:
    """The block without the segments that no pair names: they need no score in training."""
    # `used` rises, so segments keep their order; `rows` are the pairs by their new numbers.
    used, rows = torch.unique(block.pairs, return_inverse=True)
    return replace(_segments(block, used), pairs=rows.reshape(-1, 2))


def merge(blocks: Sequence[Block]) -> Block:
    """The segments and pairs of several blocks as one."""
    first = np.cumsum([0, *(len(block.n_clips) for block in blocks)])
    return Block(
        x=torch.cat([block.x for block in blocks]),
        n_clips=torch.cat([block.n_clips for block in blocks]),
        # A segment's number grows by the segments of the blocks before it.
        pairs=torch.cat([b.pairs + int(at) for b, at in zip(blocks, first, strict=False)]),
        popularity=torch.cat([block.popularity for block in blocks]),
    )


def by_video(blocks: Sequence[Block], batch_pairs: int) -> Iterator[Block]:
    """Whole videos in random order, gathered until they hold `batch_pairs` pairs."""
    for batch in gathered([len(block.pairs) for block in blocks], batch_pairs):
        yield merge([blocks[place] for place in batch])


def gathered(n_pairs: Sequence[int], batch_pairs: int) -> Iterator[list[int]]:
    """The places of `n_pairs` in random order, in batches of at least `batch_pairs` pairs."""
    batch: list[int] = []
    # torch's own random numbers: `Member` seeds them and a checkpoint keeps them.
    for place in torch.randperm(len(n_pairs)).tolist():
        batch.append(place)
        if sum(n_pairs[member] for member in batch) >= batch_pairs:
            yield batch
            batch = []
    if batch:
        yield batch


def across_videos(blocks: Sequence[Block], batch_pairs: int) -> Iterator[Block]:
    """Positives beside negatives of any video ("video agnostic"): the paper's ablation.

    As many pairs as there are, each positive with the negative of another pair drawn at random.
    """
    everything = merge(blocks)
    positive, negative = everything.pairs.unbind(dim=1)
    shuffled = torch.stack([positive, negative[torch.randperm(len(negative))]], dim=1)
    for batch in torch.split(torch.randperm(len(shuffled)), batch_pairs):
        yield paired(
            replace(everything, pairs=shuffled[batch], popularity=everything.popularity[batch])
        )


def _segments(block: Block, rows: Tensor) -> Block:
    """Some segments of a block, `rows` rising; its pairs are those of the block still."""
    keep = torch.zeros(len(block.n_clips), dtype=torch.bool)
    keep[rows] = True
    return replace(
        block, x=block.x[keep.repeat_interleave(block.n_clips)], n_clips=block.n_clips[keep]
    )
