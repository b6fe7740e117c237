"""Rows sorted by user and then by one more number; equal ones keep their order.

A counting sort by user, then each user's few rows by themselves. lexsort took several times as
long.
"""

import numpy as np
from jaxtyping import Float64, Int
from numba import njit

SHORT = 48  # rows up to which insertion beats a merge sort


def by_user(
    user: Int[np.ndarray, " N"], key: Float64[np.ndarray, " N"] | None
) -> Int[np.ndarray, " N"]:
    """The row numbers in that order. user: none negative; key: finite."""
    rows = np.empty(len(user), np.int32 if len(user) < 2**31 else np.int64)
    starts = _counted(user, np.zeros(int(user.max(initial=-1)) + 2, np.int64), rows)
    if key is not None:
        _within(starts, rows, key)
    return rows


@njit(cache=True, nogil=True)
def _counted(user, starts, rows):  # type: ignore[no-untyped-def]
    for row in range(len(user)):
        starts[user[row] + 1] += 1
    for one in range(len(starts) - 1):
        starts[one + 1] += starts[one]
    free = starts.copy()
    for row in range(len(user)):
        rows[free[user[row]]] = row
        free[user[row]] += 1
    return starts


@njit(cache=True, nogil=True)
def _within(starts, rows, key):  # type: ignore[no-untyped-def]
    for one in range(len(starts) - 1):
        mine = rows[starts[one] : starts[one + 1]]
        values = key[mine]
        if len(mine) > SHORT:
            mine[:] = mine[np.argsort(values, kind="mergesort")]
            continue
        for last in range(1, len(mine)):
            row, value, place = mine[last], values[last], last
            while place > 0 and values[place - 1] > value:
                mine[place], values[place] = mine[place - 1], values[place - 1]
                place -= 1
            mine[place], values[place] = row, value
