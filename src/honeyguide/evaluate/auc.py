"""AUC by user: how the whole catalogue is ordered, not only the top of it.

The probability that an item the user took afterwards is scored above one that is neither seen nor
taken, equal scores counting half (Hanley and McNeil 1982). Two things cannot be in it: items taken
that training never saw have no score and are left out (in recall and its like they are misses), and
who has no other item to compare counts as 1/2. Letters: B users, I items with PAD.
"""

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numba import njit

from honeyguide.data.interactions import Interactions
from honeyguide.nn.parallel import over_rows

CHANCE = 0.5


def auc(
    scores: Float32[np.ndarray, "B I"],
    users: Int64[np.ndarray, " B"],
    truth: Interactions,
    seen: Interactions,
) -> Float64[np.ndarray, " B"]:
    """scores: of these users, in this order; those of seen items are never looked at."""
    areas = np.empty(len(users))

    def work(start: int, stop: int) -> None:
        _areas(
            scores[start:stop],
            users[start:stop],
            truth.offsets,
            truth.item,
            seen.offsets,
            seen.item,
            areas[start:stop],
        )

    over_rows(len(users), work, block=8)
    return areas


@njit(cache=True, nogil=True)
def _areas(scores, users, truth_ends, truth, seen_ends, seen, out):  # type: ignore[no-untyped-def]
    # Few items are taken, so the catalogue is passed over once for each of them, in loops that the
    # compiler turns into vector instructions: with 5 taken of 100,000 that is 8 times as fast as
    # to look each item up among the taken ones, sorted.
    width = scores.shape[1]
    others = np.empty(width, np.float32)
    taken = np.zeros(width, np.bool_)
    for row in range(len(users)):
        user = users[row]
        others[:] = scores[row]
        others[0] = np.nan  # is neither below nor equal to anything
        for event in range(seen_ends[user], seen_ends[user + 1]):
            others[seen[event]] = np.nan
        held = truth[truth_ends[user] : truth_ends[user + 1]]
        many = 0
        for item in held:
            if item < width and not np.isnan(others[item]):
                others[item] = np.nan
                taken[item] = True
                many += 1
        left = 0
        for item in range(width):
            left += others[item] == others[item]
        won = 0  # twice the pairs, so that halves stay whole
        for item in held:
            if item < width and taken[item]:
                taken[item] = False
                s = scores[row, item]
                below, equal = 0, 0
                for other in range(width):
                    below += others[other] < s
                    equal += others[other] == s
                won += 2 * below + equal
        out[row] = CHANCE if many * left == 0 else won / (2 * many * left)
