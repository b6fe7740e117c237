"""Negatives, drawn in one vectorised call, none of them a known positive of the same user.

Counter-based: a draw depends on (seed, row, column, attempt) and on nothing drawn before, so a
resumed run, two processes and one process draw the same. The row is the place in the batch, which
the seed of a step fixes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from numba import njit

from honeyguide.errors import InputError

Sampling = Literal["uniform", "popularity"]
Sampler = Literal["uniform", "popularity", "in-batch"]
# Then the draw is made among the unknown items by counting, which gives the same distribution but
# takes as long as the user's list (uniform) or the catalogue (popularity).
ATTEMPTS = 64
BITS = 256 << 20  # bytes up to which known items are also held as bits: one look instead of eight
_NO_BITS = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Negatives:
    """Draws items 1 to I - 1 with probabilities p; never a positive of the user it draws for.

    cumulative: cumulated p, of length I (entry 0, PAD, is 0). log_p: log-probabilities, (I,).
    bits: a bit per user and item, 1 = known, where they fit; else empty, and lists are searched.
    """

    positives: sp.csr_array
    bits: UInt8[np.ndarray, " M"]
    cumulative: Float64[np.ndarray, " I"]
    log_p: Float32[np.ndarray, " I"]
    sampling: Sampling

    @staticmethod
    def of(
        positives: sp.csr_array, sampling: Sampling = "uniform", power: float = 0.75
    ) -> "Negatives":
        """positives: (U, I). popularity draws with p proportional to count ** power."""
        if not positives.has_canonical_format:
            positives = positives.copy()
            positives.sum_duplicates()
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
        return Negatives(positives, _bits(positives), np.cumsum(p), log_p, sampling)

    def possible(self, users: Int64[np.ndarray, " B"] | None = None) -> Bool[np.ndarray, " B"]:
        """By user, of all or of these: whether there is an item left that is no positive."""
        ends = self.positives.indptr
        known = np.diff(ends) if users is None else ends[users + 1] - ends[users]
        left: Bool[np.ndarray, " B"] = known < len(self.cumulative) - 1
        return left

    def for_users(
        self, users: Int64[np.ndarray, " B"], count: int, seed: int
    ) -> Int64[np.ndarray, "B N"]:
        """`count` negatives for each user, drawn with replacement from what the user does not know.

        InputError for a user who knows every item (`possible` tells).
        """
        if not self.possible(users).all():
            raise InputError(
                "A user knows every item, so nothing can be a negative.",
                "Leave this user out of what is learned by pairs.",
            )
        return self._drawn(self.positives.indptr, self.bits, users, count, seed)

    def shared(self, count: int, seed: int) -> Int64[np.ndarray, " N"]:
        """`count` items for a whole batch, drawn with replacement; positives may be among them.

        The loss takes out those that are the very target.
        """
        nobody = np.zeros(2, dtype=self.positives.indptr.dtype)
        drawn: Int64[np.ndarray, " N"]
        drawn = self._drawn(nobody, _NO_BITS, np.zeros(1, dtype=np.int64), count, seed)[0]
        return drawn

    def known(
        self, users: Int64[np.ndarray, " B"], items: Int64[np.ndarray, " N"]
    ) -> Bool[np.ndarray, "B N"]:
        """Which of these items are positives of which user: accidental ones among shared draws."""
        out = np.zeros((len(users), len(items)), dtype=np.bool_)
        order = np.argsort(items, kind="stable")
        _mark(self.positives.indptr, self.positives.indices, users, items[order], order, out)
        return out

    def _drawn(
        self, offsets: np.ndarray, bits: np.ndarray, users: np.ndarray, count: int, seed: int
    ) -> Int64[np.ndarray, "B N"]:
        out = np.empty((len(users), count), dtype=np.int64)
        known, uniform = self.positives.indices, self.sampling == "uniform"
        _draw(self.cumulative, uniform, offsets, known, bits, users, np.uint64(seed), out)
        return out


def _bits(positives: sp.csr_array) -> UInt8[np.ndarray, " M"]:
    size = positives.shape[0] * positives.shape[1] // 8 + 1
    if size > BITS:
        return _NO_BITS
    bits = np.zeros(size, np.uint8)
    _set(positives.indptr, positives.indices, positives.shape[1], bits)
    return bits


@njit(cache=True, nogil=True)
def _set(indptr, indices, width, bits):  # type: ignore[no-untyped-def]
    for user in range(len(indptr) - 1):
        for place in range(indptr[user], indptr[user + 1]):
            bit = np.int64(user) * width + indices[place]
            bits[bit >> 3] |= np.uint8(1 << (bit & 7))


@njit(cache=True, nogil=True)
def _mark(indptr, indices, users, items, order, out):  # type: ignore[no-untyped-def]
    for b in range(len(users)):
        for place in range(indptr[users[b]], indptr[users[b] + 1]):
            item = indices[place]
            n = np.searchsorted(items, item)
            while n < len(items) and items[n] == item:
                out[b, order[n]] = True
                n += 1


@njit(cache=True, nogil=True)
def _mix(x: np.uint64) -> np.uint64:  # splitmix64 (Steele, Lea, Flood 2014)
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _fraction(bits: np.uint64) -> np.float64:  # in [0, 1), 53 bits
    return np.float64(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def _draw(  # type: ignore[no-untyped-def]
    cumulative, uniform, indptr, indices, bits, users, seed, out
):
    last = len(cumulative) - 1
    start = _mix(seed)
    for b in range(out.shape[0]):
        first, end = indptr[users[b]], indptr[users[b] + 1]
        row = _mix(start + np.uint64(b))
        for n in range(out.shape[1]):
            for attempt in range(ATTEMPTS):
                u = _fraction(_mix(row + np.uint64(n * ATTEMPTS + attempt)))
                if uniform:
                    item = 1 + int(u * last)
                else:
                    found = np.searchsorted(cumulative, u * cumulative[last], side="right")
                    item = min(max(int(found), 1), last)
                if len(bits):
                    bit = users[b] * len(cumulative) + item
                    if not bits[bit >> 3] >> (bit & 7) & 1:
                        break
                    continue
                known = indices[first:end]
                place = np.searchsorted(known, item)
                if place == len(known) or known[place] != item:
                    break
            else:
                # a fresh number: the last one is known to lie on a positive
                u = _fraction(_mix(_mix(row) + np.uint64(n)))
                item = _unknown(cumulative, uniform, indices[first:end], u)
            out[b, n] = item


@njit(cache=True, nogil=True)
def _unknown(cumulative, uniform, known, u):  # type: ignore[no-untyped-def]
    """The item at the fraction u of the probability of all unknown items, by counting."""
    last = len(cumulative) - 1
    if uniform:
        item = 1 + int(u * (last - len(known)))
        for positive in known:
            if positive > item:
                break
            item += 1
        return item
    left = cumulative[last]
    for positive in known:
        left -= cumulative[positive] - cumulative[positive - 1]
    goal, place, item = u * left, 0, 0
    for candidate in range(1, last + 1):
        if place < len(known) and known[place] == candidate:
            place += 1
            continue
        item = candidate  # the last unknown one stays where rounding leaves a rest
        goal -= cumulative[candidate] - cumulative[candidate - 1]
        if goal < 0:
            break
    return item


def step_seed(seed: int, epoch: int, step: int) -> int:
    """One number for a step of a run, the same in every process that reaches it."""
    return _mixed(_mixed(_mixed(seed) + epoch) + step)


def _mixed(x: int) -> int:
    """`_mix` in plain Python: numpy's SeedSequence takes a tenth of a millisecond."""
    x = (x + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)
