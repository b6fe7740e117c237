"""Metrics of lists beyond hits: how well known what is listed is, and how exposure is spread.

Per user, over the items listed in the first k (0 for an empty list):
    novelty@k     mean of -log2 of the share of training users who took the item
                  (Vargas and Castells 2011, popularity complement as self-information)
    popularity@k  mean of that share
Over all lists, from how often each item of the training catalogue is listed:
    coverage@k    share of the catalogue that is listed at all
    gini@k        inequality of exposure, 0 = all alike, towards 1 = a few items hold all
Letters: B users, K list length, I items with PAD.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64

from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.data.vocab import PAD

Lists = Int64[np.ndarray, "B K"]
Shares = Float64[np.ndarray, " I"]
Exposure = Int64[np.ndarray, " N"]


def shares(history: Interactions) -> Shares:
    """By item: the share of the users with a history who took it; an item that nobody took counts
    as taken by one, so that its surprise is finite."""
    matrix = history.pairs(EVENTS_FOR)
    users = max(int((np.diff(matrix.indptr) > 0).sum()), 1)
    taken = np.bincount(matrix.indices, minlength=history.n_items)
    return np.asarray(np.maximum(taken, 1) / users, np.float64)


def novelty(items: Lists, share: Shares) -> Float64[np.ndarray, " B"]:
    """mean of -log2 share"""
    return _mean(items, -np.log2(share))


def popularity(items: Lists, share: Shares) -> Float64[np.ndarray, " B"]:
    """mean share"""
    return _mean(items, share)


def coverage(exposure: Exposure) -> float:
    """share of items that are listed"""
    return float((exposure > 0).sum()) / max(len(exposure), 1)


def gini(exposure: Exposure) -> float:
    """mean absolute difference of two items' exposure, over twice the mean exposure"""
    total, n = int(exposure.sum()), len(exposure)
    if total == 0:
        return 0.0
    place = 2 * np.arange(1, n + 1) - n - 1
    return float((place * np.sort(exposure)).sum()) / (n * total)


def _mean(items: Lists, value: Shares) -> Float64[np.ndarray, " B"]:
    real = items != PAD
    total = np.where(real, value[items], 0.0).sum(1)
    return np.asarray(total / np.maximum(real.sum(1), 1), np.float64)


OF_LISTS: dict[str, Callable[[Lists, Shares], Float64[np.ndarray, " B"]]] = {
    "novelty": novelty,
    "popularity": popularity,
}
OVERALL: dict[str, Callable[[Exposure], float]] = {"coverage": coverage, "gini": gini}
