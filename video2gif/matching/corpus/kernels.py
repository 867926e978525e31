"""Hamming distances of 64-bit hashes, compiled: the exhaustive scan, and what an index needs.

`within` compares everything with everything; it is the oracle of the index. Both keep to one core
and release the GIL. A row here is a frame's place in the index, counted from 0.
"""

import numba
import numpy as np

from video2gif.matching.corpus.queries import Hits

_ROWS = 4096  # Hashes compared in one go, 32 KiB: they stay in the first-level cache.
_QUERIES = 4  # Compared with each hash while it is in a register: four times the speed of one.
_STRIP = 128  # Hashes of a bucket compared in one go.
_CHUNK_ROWS = 1 << 24
_HITS = 1 << 20


def within(hashes: np.ndarray, queries: np.ndarray, *, radius: int) -> Hits:
    """All pairs at most `radius` bits apart, by comparing every hash with every query.

    hashes: uint64 (n,), may be mapped; queries: uint64 (k,). Sorted by row, then query.
    """
    # Whole groups of queries: the last one is repeated and its repetitions dropped.
    padded = (
        np.pad(queries, (0, -len(queries) % _QUERIES), mode="edge") if len(queries) else queries
    )
    found = [Hits(*np.empty((3, 0), np.int64))]
    for start in range(0, len(hashes), _CHUNK_ROWS):
        chunk = np.asarray(hashes[start : start + _CHUNK_ROWS])
        query, row, distance = _all_hits(chunk, padded, radius)
        real = query < len(queries)
        found.append(Hits(query[real], row[real] + start, distance[real]))
    return Hits(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _all_hits(
    hashes: np.ndarray, queries: np.ndarray, radius: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    room = _HITS
    while True:
        hits = np.empty((3, room), np.int64)
        count = _scan(hashes, queries, np.uint64(radius), hits)
        if count <= room:
            query, row, distance = hits[:, :count]
            order = np.lexsort((query, row))
            return query[order], row[order], distance[order]
        room = count


@numba.njit(inline="always")
def popcount(x):  # type: ignore[no-untyped-def]
    """Set bits of a uint64. LLVM knows this idiom and emits the machine's own instruction."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@numba.njit(nogil=True, cache=True)
def _scan(hashes, queries, radius, hits):  # type: ignore[no-untyped-def]
    """Fill hits (3, room) with (query, row, distance); returns how many there are, also if more."""
    count = 0
    for first in range(0, len(hashes), _ROWS):
        block = hashes[first : first + _ROWS]
        for group in range(0, len(queries), _QUERIES):
            a, b, c, d = queries[group : group + _QUERIES]
            least_a = least_b = least_c = least_d = np.uint64(64)
            for i in range(len(block)):
                x = block[i]
                least_a = min(least_a, popcount(x ^ a))
                least_b = min(least_b, popcount(x ^ b))
                least_c = min(least_c, popcount(x ^ c))
                least_d = min(least_d, popcount(x ^ d))
            # Hits are rare: only a group that has one is looked at again.
            if min(min(least_a, least_b), min(least_c, least_d)) > radius:
                continue
            for query in range(group, group + _QUERIES):
                for i in range(len(block)):
                    apart = popcount(block[i] ^ queries[query])
                    if apart <= radius:
                        if count < hits.shape[1]:
                            hits[0, count] = query
                            hits[1, count] = first + i
                            hits[2, count] = apart
                        count += 1
    return count


@numba.njit(nogil=True, cache=True)
def probe(words, starts, bits, rotation, queries, flips, radius, hits):  # type: ignore[no-untyped-def]
    """Search one table, for each query in the buckets of its key XOR each of `flips`.

    words: uint64 (w,), the buckets (`scatter`); starts: int64 (2**bits + 1,); queries: uint64 (k,),
    not rotated. Fills hits (3, room) with (query, row, distance); returns how many there are.
    """
    count = 0
    for query in range(len(queries)):
        rotated = rotate(queries[query], rotation)
        key = np.int64(rotated >> np.uint64(64 - bits))
        for flip in flips:
            bucket = words[starts[key ^ flip] : starts[(key ^ flip) + 1]]
            size = 2 * len(bucket) // 3
            for first in range(0, size, _STRIP):
                strip = bucket[first : min(first + _STRIP, size)]
                least = np.uint64(64)
                for x in strip:
                    least = min(least, popcount(x ^ rotated))
                if least > radius:
                    continue
                for i in range(len(strip)):
                    apart = popcount(strip[i] ^ rotated)
                    if apart <= radius:
                        if count < hits.shape[1]:
                            hits[0, count] = query
                            hits[1, count] = _row(bucket, size, first + i)
                            hits[2, count] = apart
                        count += 1
    return count


@numba.njit(inline="always")
def _row(bucket, size, i):  # type: ignore[no-untyped-def]
    """The row of a bucket's i-th hash."""
    return (bucket[size + i // 2] >> np.uint64(32 * (i % 2))) & np.uint64(0xFFFFFFFF)


@numba.njit(inline="always")
def rotate(x, bits):  # type: ignore[no-untyped-def]
    """A uint64 rotated left by 1 to 63 bits."""
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@numba.njit(nogil=True, cache=True)
def count_keys(hashes, rotation, bits, counts):  # type: ignore[no-untyped-def]
    """Add to counts (2**bits,) the number of hashes with each key."""
    for x in hashes:
        counts[rotate(x, rotation) >> np.uint64(64 - bits)] += 1


@numba.njit(nogil=True, cache=True)
def scatter(  # type: ignore[no-untyped-def]
    hashes, first_row, rotation, bits, low, high, starts, filled, words
):
    """Put hashes whose key is in [low, high), and their rows, into the buckets of their keys.

    A bucket of n hashes is n words, then its rows, two to a word: what belongs together lies
    together, since every page that is looked at has to be mapped. starts: of buckets, from that of
    `low` on, int64 (2**bits + 1,); filled: hashes that each bucket has, int64 (2**bits,).
    """
    for i in range(len(hashes)):
        rotated = rotate(hashes[i], rotation)
        key = np.int64(rotated >> np.uint64(64 - bits))
        if low <= key < high:
            n = filled[key]
            rows_at = starts[key] + 2 * (starts[key + 1] - starts[key]) // 3
            words[starts[key] + n] = rotated
            words[rows_at + n // 2] |= np.uint64(first_row + i) << np.uint64(32 * (n % 2))
            filled[key] = n + 1


@numba.njit(nogil=True, cache=True)
def thinned(hashes, pts_s, alike_bits, longest_s):  # type: ignore[no-untyped-def]
    """Which of the frames (n,) to keep: int64 (k,), the first one always."""
    kept = np.empty(len(hashes), np.int64)
    count = 0
    for i in range(len(hashes)):
        if count > 0:
            last = kept[count - 1]
            alike = popcount(hashes[i] ^ hashes[last]) <= np.uint64(alike_bits)
            if alike and pts_s[i] - pts_s[last] < longest_s:
                continue
        kept[count] = i
        count += 1
    return kept[:count]
