"""Arithmetic that gives the same bytes on every processor.

Libraries add up a product of matrices in an order that depends on the processor, and each order
rounds differently: enough to turn a bit of a hash, or to prefer another one of equal places. Two
ways out, both here. Sums of whole numbers are exact in any order, so what is summed is first put
on a `grid` that is fine enough not to matter. What cannot be, is summed by numpy's own loops,
whose order is fixed (`solved`).
"""

import numpy as np


def grid(values: np.ndarray, bits: int) -> np.ndarray:
    """The nearest multiples of 2**-bits, float64.

    Sums and products of such numbers are exact while no partial sum needs more than 53 bits.
    """
    return np.ldexp(np.rint(np.ldexp(np.asarray(values, np.float64), bits)), -bits)


def solved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (…, n, k) of a @ x = b, for a (…, n, n) whose leading minors are not zero.

    Gauss-Jordan without exchanging rows, element by element; `np.linalg.solve` is faster from
    some 30 unknowns on.
    """
    both = np.concatenate([a, b], axis=-1)
    n = a.shape[-1]
    for i in range(n):
        both[..., i, :] /= both[..., i, i, None]
        share = both[..., :, i].copy()
        share[..., i] = 0.0
        both -= share[..., None] * both[..., i, None, :]
    return both[..., n:]
