"""Negatives, drawn in one vectorised call, none of them a known positive of the same user.

Counter-based: a draw depends on (seed, row, column, attempt) and on nothing drawn before, so a
resumed run, two processes and one process draw the same.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Float64, Int64
from numba import njit

from honeyguide.errors import InputError

Sampling = Literal["uniform", "popularity"]
ATTEMPTS = 64  # a user who knows 9 in 10 items still gets a negative with p > 0.998


@dataclass(frozen=True, slots=True, eq=False)
class Negatives:
    """Draws items 1 to I - 1 with probabilities p; never a positive of the user it draws for.

    cumulative: cumulated p, of length I (entry 0, PAD, is 0). log_p: log-probabilities, (I,).
    """

    positives: sp.csr_array
    cumulative: Float64[np.ndarray, " I"]
    log_p: Float32[np.ndarray, " I"]
    sampling: Sampling

    @staticmethod
    def of(
        positives: sp.csr_array, sampling: Sampling = "uniform", power: float = 0.75
    ) -> "Negatives":
        """positives: (U, I). popularity draws with p proportional to count ** power."""
        counts = np.bincount(positives.indices, minlength=positives.shape[1]).astype(np.float64)
        weight = np.ones_like(counts) if sampling == "uniform" else np.maximum(counts, 1) ** power
        weight[0] = 0
        if int((weight > 0).sum()) < 2:
            raise InputError(
                "There is only one item, so nothing can be a negative.",
                "Give data with at least two items.",
            )
        p = weight / weight.sum()
        with np.errstate(divide="ignore"):
            log_p = np.log(p).astype(np.float32)
        return Negatives(positives, np.cumsum(p), log_p, sampling)

    def for_users(
        self, users: Int64[np.ndarray, " B"], count: int, seed: int
    ) -> Int64[np.ndarray, "B N"]:
        """`count` negatives for each user, drawn with replacement."""
        out = np.empty((len(users), count), dtype=np.int64)
        _draw(
            self.cumulative,
            self.sampling == "uniform",
            self.positives.indptr,
            self.positives.indices,
            users,
            np.uint64(seed),
            out,
        )
        return out

    def shared(self, count: int, seed: int) -> Int64[np.ndarray, " N"]:
        """`count` items for a whole batch, drawn with replacement; the loss removes the positives."""
        out = np.empty((1, count), dtype=np.int64)
        nobody = np.zeros(2, dtype=self.positives.indptr.dtype)
        _draw(
            self.cumulative,
            self.sampling == "uniform",
            nobody,
            self.positives.indices,
            np.zeros(1, dtype=np.int64),
            np.uint64(seed),
            out,
        )
        return out[0]


@njit(cache=True, nogil=True)
def _mix(x: np.uint64) -> np.uint64:  # splitmix64 (Steele, Lea, Flood 2014)
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _draw(cumulative, uniform, indptr, indices, users, seed, out):  # type: ignore[no-untyped-def]
    last = len(cumulative) - 1
    start = _mix(seed)
    for b in range(out.shape[0]):
        low, high = indptr[users[b]], indptr[users[b] + 1]
        row = _mix(start + np.uint64(b))
        for n in range(out.shape[1]):
            item = 0
            for attempt in range(ATTEMPTS):
                bits = _mix(row + np.uint64(n * ATTEMPTS + attempt))
                u = np.float64(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)
                if uniform:
                    item = 1 + np.int64(u * last)
                else:
                    item = np.searchsorted(cumulative, u * cumulative[last], side="right")
                    item = min(max(item, 1), last)
                place = low + np.searchsorted(indices[low:high], item)
                if place == high or indices[place] != item:
                    break
            out[b, n] = item


def step_seed(seed: int, epoch: int, step: int) -> int:
    """One number for a step of a run, the same in every process that reaches it."""
    return int(np.random.SeedSequence((seed, epoch, step)).generate_state(1, np.uint64)[0])
