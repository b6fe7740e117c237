"""A column of names to its distinct names, sorted, and the place of each row's name among them.

One pass through a hash table of 64-bit hashes. A hash join of 20 M names with 400,000 distinct ones
took three times as long; two names with one hash are noticed, and then the join is taken.
"""

import numpy as np
import polars as pl
from jaxtyping import Int32
from numba import njit

CHECKED = 1 << 21  # rows whose names are compared at once


def factorise(names: pl.Series) -> tuple[pl.Series, Int32[np.ndarray, " N"]]:
    """Distinct names in ascending order and each row's place among them. names: Int64 or String,
    without nulls."""
    if len(names) == 0:
        return names, np.zeros(0, np.int32)
    keys = names.hash() if names.dtype == pl.String else names
    codes, firsts = _codes(keys.to_numpy().view(np.uint64))
    distinct = names[firsts]
    if names.dtype == pl.String and not _same(names, distinct, codes):
        distinct = names.unique().sort()
        table = distinct.to_frame("name").with_row_index("number")
        joined = names.to_frame("name").join(table, on="name", how="left", maintain_order="left")
        return distinct, joined["number"].to_numpy().astype(np.int32)
    order = distinct.arg_sort().to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    return distinct[order], place[codes]


def _same(names: pl.Series, distinct: pl.Series, codes: np.ndarray) -> bool:
    """Whether every row has the name that its code says, block by block."""
    return all(
        bool((names[start : start + CHECKED] == distinct[codes[start : start + CHECKED]]).all())
        for start in range(0, len(names), CHECKED)
    )


@njit(cache=True, nogil=True)
def _codes(keys):  # type: ignore[no-untyped-def]
    """Codes in the order of first appearance, and the row of each first appearance."""
    size = 1024
    table = np.full(size, -1, np.int32)
    known = np.empty(512, np.uint64)  # the key of each code
    firsts = np.empty(512, np.int64)
    codes = np.empty(len(keys), np.int32)
    count = 0
    for row in range(len(keys)):
        key = keys[row]
        slot = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32) & np.uint64(size - 1)
        while table[slot] >= 0 and known[table[slot]] != key:
            slot = (slot + np.uint64(1)) & np.uint64(size - 1)
        if table[slot] < 0:
            if count == len(known):
                wider, later = np.empty(2 * count, np.uint64), np.empty(2 * count, np.int64)
                wider[:count], later[:count] = known, firsts
                known, firsts = wider, later
            table[slot], known[count], firsts[count] = count, key, row
            count += 1
            if 2 * count > size:  # half full: a larger table, and everything anew
                size *= 4
                table = np.full(size, -1, np.int32)
                for code in range(count):
                    at = (known[code] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
                    at &= np.uint64(size - 1)
                    while table[at] >= 0:
                        at = (at + np.uint64(1)) & np.uint64(size - 1)
                    table[at] = code
            codes[row] = count - 1
        else:
            codes[row] = table[slot]
    return codes, firsts[:count]
