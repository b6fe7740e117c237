"""Cosines of sets, for the pairs that are asked for and no others. N pairs, S sets, M members."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float64, Int64
from numba import njit

from honeyguide.nn.parallel import over_rows

PAIRS = 256  # fewer are not worth a thread of their own


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """Set i holds members[offsets[i] : offsets[i + 1]], numbers below `width`."""

    offsets: Int64[np.ndarray, " S1"]
    members: Int64[np.ndarray, " M"]
    width: int

    @staticmethod
    def of(matrix: sp.csr_array) -> "Sets":
        """The columns that each row has entries in."""
        return Sets(
            matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.shape[1]
        )

    def cosines(
        self, one: Int64[np.ndarray, " N"], other: Int64[np.ndarray, " N"]
    ) -> Float64[np.ndarray, " N"]:
        """|a and b| / sqrt(|a| |b|) of sets as vectors of 0 and 1; 0 where one of them is empty."""
        size = np.diff(self.offsets)
        # the smaller is walked through, the larger marked, once for all its pairs
        turned = size[one] < size[other]
        large, small = np.where(turned, other, one), np.where(turned, one, other)
        keys = large * len(size) + small
        asked, place = np.unique(keys, return_inverse=True)
        large, small = np.divmod(asked, len(size))
        common = np.empty(len(asked), np.int64)

        def work(start: int, stop: int) -> None:
            _common(
                self.offsets,
                self.members,
                self.width,
                large[start:stop],
                small[start:stop],
                common[start:stop],
            )

        over_rows(len(asked), work, block=PAIRS)
        norm = np.sqrt(np.maximum(size[large] * size[small], 1))
        cosines: Float64[np.ndarray, " N"] = (common / norm)[place]
        return cosines


@njit(cache=True, nogil=True)
def _common(offsets, members, width, large, small, out):  # type: ignore[no-untyped-def]
    owner = np.full(width, -1, np.int64)
    for pair in range(len(large)):
        a, b = large[pair], small[pair]
        if pair == 0 or a != large[pair - 1]:
            for place in range(offsets[a], offsets[a + 1]):
                owner[members[place]] = a
        both = 0
        for place in range(offsets[b], offsets[b + 1]):
            both += owner[members[place]] == a
        out[pair] = both
