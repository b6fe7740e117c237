"""An epoch cut into batches: all examples once, in an order that (seed, epoch) fix.

Special: windows of events are batched by like lengths, so that little of a batch is padding, and
with as many events in each batch to within about a tenth, so that each target counts alike.
"""

import numpy as np
from jaxtyping import Int, Int64

from honeyguide.shapes import rounded

POOL = 16  # batches whose windows are sorted together; more would leave less to chance


def permuted(count: int, batch: int, draw: np.random.Generator) -> list[Int[np.ndarray, " B"]]:
    """Examples at random, `batch` at once."""
    # as few bytes as they need: a long log has tens of millions
    numbers = np.arange(count, dtype=np.int32 if count < 1 << 31 else np.int64)
    order = draw.permutation(numbers)
    return [order[start : start + batch] for start in range(0, count, batch)]


def by_length(
    lengths: Int64[np.ndarray, " W"], batch: int, draw: np.random.Generator
) -> list[Int64[np.ndarray, " B"]]:
    """As many batches as `permuted` gives, of like lengths and about as many events each."""
    order, pool = draw.permutation(len(lengths)), POOL * batch
    batches = []
    for start in range(0, len(order), pool):
        some = order[start : start + pool]
        some = some[np.argsort(lengths[some], kind="stable")]
        count = -(-len(some) // batch)
        so_far = np.cumsum(lengths[some])
        ends = np.searchsorted(so_far, so_far[-1] * np.arange(1, count) / count)
        batches += np.split(some, _evened(ends, len(some)))
    return [batches[number] for number in draw.permutation(len(batches))]


def _evened(ends: Int64[np.ndarray, " N"], total: int) -> list[int]:
    """Batches of sizes that come again (see shapes.py), and at least one window in each."""
    told: list[int] = []
    for number, end in enumerate(ends.tolist()):
        before = told[-1] if told else 0
        size = rounded(max(end - before, 1))
        told.append(min(before + size, total - len(ends) + number))
    return told
