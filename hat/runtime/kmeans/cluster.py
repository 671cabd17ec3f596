"""One-dimensional k-means: a code book for a tensor, and the index of the entry that replaces each weight.

In one dimension, the cell of an entry is an interval. So the weights are sorted once; each iteration then looks up the
cell borders and takes the means from prefix sums, without touching the weights again. A table of 30 million weights
takes seconds.

The initial entries follow the cube root of the weights' density, which is the best spacing for many entries (Panter and
Dite 1951). The research code starts from equal distances. With 16 entries both starts reach the same error; with 256,
equal distances leave 1.3 to 1.9 times the error on trained weights and need several times the iterations. An entry
without weights moves to the weight that is farthest from its entry.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# Returns the means of cells, given the begin and end of each among the sorted weights.
Means = Callable[[npt.NDArray[np.intp], npt.NDArray[np.intp]], Floats]

# Trained weights converge within some hundred; for 30 million normal values more would change the error by 1 in 10,000.
MAX_ITERATIONS = 2000
# Final passes over all weights, which only remove rounding errors; one or two suffice.
MAX_PASSES = 20
# Bins of the density, and the approximate number of weights it is estimated from.
BINS = 4096
SAMPLED = 1 << 20
# Weights looked up at once: each needs 8 bytes for its position.
CHUNK = 1 << 20


@dataclass(frozen=True)
class Clusters:
    """A code book, ascending, and the index of each weight's nearest entry, in the tensor's shape."""

    codebook: Floats
    indices: npt.NDArray[np.uint8]

    @property
    def values(self) -> Floats:
        """The weights after quantisation."""
        return self.codebook[self.indices]


def cluster(weights: Floats, entries: int) -> Clusters:
    """Quantise a tensor; equal tensors give equal results.

    Every weight belongs to the nearest entry of the code book, in a tie to the lower one. Every entry is the mean of
    its weights, rounded to fp32, or close to it if ``MAX_ITERATIONS`` do not suffice. A tensor with no more distinct
    values than entries is kept exactly.

    Args:
        weights: finite values, any shape.
        entries: largest size of the code book, at most 256.

    Raises:
        ValueError: a weight is not finite, the tensor is empty, or ``entries`` is not from 1 to 256.
    """
    if not 1 <= entries <= 256:
        raise ValueError(f"{entries} code book entries, expected 1 to 256")
    if not weights.size or not np.isfinite(weights).all():
        raise ValueError("weights are not all finite" if weights.size else "there are no weights")
    ordered = np.sort(weights, axis=None)
    distinct = ordered[np.flatnonzero(np.diff(ordered, prepend=np.float32(np.nan)))]
    codebook = distinct if len(distinct) <= entries else _converged(ordered, entries)
    return Clusters(codebook, nearest(weights, codebook))


def nearest(weights: Floats, codebook: Floats) -> npt.NDArray[np.uint8]:
    """Return the indices of the entries nearest to weights, in a tie the lower one; ``codebook`` is ascending."""
    borders, flat = _borders(codebook), weights.reshape(-1)
    indices = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), CHUNK):
        indices[start : start + CHUNK] = np.searchsorted(borders, flat[start : start + CHUNK], side="left")
    return indices.reshape(weights.shape)


def refine(ordered: Floats, codebook: Floats, means: Means) -> Floats:
    """Do one iteration: return the means of a code book's cells, or the code book itself if it is a fixed point.

    Args:
        ordered: the weights, ascending.
        codebook: the current entries, ascending.
        means: a result of :func:`quick_means` or :func:`exact_means`.
    """
    begins, ends = cells(ordered, codebook)
    filled = begins < ends
    after = codebook.copy()
    after[filled] = means(begins[filled], ends[filled])
    if not filled.all():
        # The weight farthest from its entry is the first or the last of a cell.
        outermost = np.unique(ordered[np.concatenate([begins[filled], ends[filled] - 1])])
        far = np.abs(outermost - codebook[nearest(outermost, codebook)])
        empty = np.flatnonzero(~filled)[: len(far)]
        after[empty] = outermost[np.argsort(-far, kind="stable")[: len(empty)]]
    after.sort()
    return codebook if np.array_equal(after, codebook) else after


def cells(ordered: Floats, codebook: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the begin and the end of each entry's cell among the sorted weights."""
    borders = np.searchsorted(ordered, _borders(codebook), side="right")
    return np.concatenate([[0], borders]), np.concatenate([borders, [len(ordered)]])


def quick_means(ordered: Floats) -> Means:
    """Take means from prefix sums; they have rounding errors."""
    sums = np.concatenate([[0.0], np.cumsum(ordered, dtype=np.float64)])
    return lambda begins, ends: ((sums[ends] - sums[begins]) / (ends - begins)).astype(np.float32)


def exact_means(ordered: Floats) -> Means:
    """Take means from the weights themselves; the mean of equal weights is exact."""

    def means(begins: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]) -> Floats:
        pairs = zip(begins, ends, strict=True)
        return np.array([ordered[begin:end].mean(dtype=np.float64) for begin, end in pairs], np.float32)

    return means


def _converged(ordered: Floats, entries: int) -> Floats:
    """Iterate :func:`refine` from the initial spacing until the code book no longer changes."""
    codebook = _spread(ordered, entries)
    for means, limit in ((quick_means(ordered), MAX_ITERATIONS), (exact_means(ordered), MAX_PASSES)):
        for _ in range(limit):
            before, codebook = codebook, refine(ordered, codebook, means)
            if codebook is before:
                break
    return codebook


def _spread(ordered: Floats, entries: int) -> Floats:
    """Place entries so that the cube root of the density has equal integrals between them."""
    sample = ordered[:: max(1, len(ordered) // SAMPLED)].astype(np.float64)
    counts, edges = np.histogram(sample, BINS, (float(ordered[0]), float(ordered[-1])))
    integral = np.concatenate([[0.0], np.cumsum(np.cbrt(counts))])
    places = (np.arange(entries) + 0.5) / entries * integral[-1]
    return np.asarray(np.interp(places, integral, edges), np.float32)


def _borders(codebook: Floats) -> Floats:
    """Return the largest fp32 number that belongs to each entry except the last."""
    # The midpoint of two fp32 numbers is exact in fp64; rounded up to fp32 it would belong to the next entry.
    middle = (codebook[:-1].astype(np.float64) + codebook[1:]) / 2
    borders = middle.astype(np.float32)
    np.nextafter(borders, np.float32(-np.inf), out=borders, where=borders > middle)
    return borders
