"""Metrics of lists beyond hits: how well known, how varied, how surprising, how evenly spread.

Per user, over the items listed in the first k; 0 for an empty list unless said otherwise:
    novelty@k           mean of -log2 of the share of training users who took the item
                        (Vargas and Castells 2011, popularity complement as self-information)
    popularity@k        mean of that share
    popularity_lift@k   mean of that share over its mean in the user's own history, minus 1
    diversity@k         mean over pairs of items of 1 - cosine of who took them
    content_diversity@k the same with what the items are
    serendipity@k       hits that the k most popular items would not have been, / k
    calibration@k       how far the categories listed are from those of the history; 0 = as in it
Over all lists, from how often each item of the training catalogue is listed:
    coverage@k          share of the catalogue that is listed at all
    gini@k              inequality of exposure, 0 = all alike, towards 1 = a few items hold all
    item_gap@k          how far exposure is from what users did, for head, middle and tail items
Letters: B users, K list length = k, N items without PAD, P pairs in a list.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float64, Int64

from honeyguide.data.vocab import PAD
from honeyguide.evaluate.knowledge import Knowledge, shares_of
from honeyguide.evaluate.overlap import Sets

SMOOTHING = 0.01  # Steck 2018: of the history's shares, mixed into those of the list
PAIRS = 1 << 17  # looked up at once
CELLS = 1 << 18  # of users and categories held at once

PerUser = Float64[np.ndarray, " B"]
Exposure = Int64[np.ndarray, " N"]


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """The first k items of these users (PAD = none), and which of them are hits."""

    users: Int64[np.ndarray, " B"]
    items: Int64[np.ndarray, "B K"]
    hits: Bool[np.ndarray, "B K"]


def novelty(lists: Lists, known: Knowledge) -> PerUser:
    """mean of -log2 share"""
    return _mean(lists, -np.log2(known.share))


def popularity(lists: Lists, known: Knowledge) -> PerUser:
    """mean share"""
    return _mean(lists, known.share)


def popularity_lift(lists: Lists, known: Knowledge) -> PerUser:
    """mean share of the list / mean share of the history - 1 (Abdollahpouri et al. 2019, change of
    group average popularity, of one user)"""
    own = known.own_share[lists.users]
    listed = _mean(lists, known.share)
    return np.where((own > 0) & (listed > 0), listed / np.where(own > 0, own, 1) - 1, 0.0)


def diversity(lists: Lists, known: Knowledge) -> PerUser:
    """intra-list distance, of the columns of the training matrix (Ziegler et al. 2005)"""
    return _apart(lists, known.takers)


def content_diversity(lists: Lists, known: Knowledge) -> PerUser:
    """intra-list distance, of the multi-hot columns of the items (Ziegler et al. 2005)"""
    return _apart(lists, known.contents)


def serendipity(lists: Lists, known: Knowledge) -> PerUser:
    """hits outside the k most popular items that may be listed for the user, / k (Ge et al. 2010,
    useful and unexpected to a primitive model)"""
    k, width = lists.items.shape[1], known.history.n_items
    row, rank = np.nonzero(lists.hits)
    first = lists.users[row] * width
    place = known.place[lists.items[row, rank]]
    # of those before it in the popular list, so many may not be listed
    barred = known.barred_places
    gone = np.searchsorted(barred, first + place) - np.searchsorted(barred, first)
    surprising = place - gone >= k
    return np.asarray(np.bincount(row, surprising, minlength=len(lists.users)) / k, np.float64)


def calibration(lists: Lists, known: Knowledge) -> PerUser:
    """KL divergence (natural logarithm) of the list's categories from the history's (Steck 2018).

    Items without a category count on neither side. An empty list is as far as can be, log 100; a
    history without categories has nothing to be kept to, 0.
    """
    apart = np.zeros(len(lists.users))
    rows = max(1, CELLS // known.categories.shape[1])
    for start in range(0, len(apart), rows):
        part = slice(start, start + rows)
        apart[part] = _divergence(lists.users[part], lists.items[part], known)
    return apart


def _divergence(
    users: Int64[np.ndarray, " B"], items: Int64[np.ndarray, "B K"], known: Knowledge
) -> PerUser:
    row, rank = np.nonzero(items)
    shape = (len(users), known.history.n_items)
    listed = sp.csr_array((np.ones(len(row)), (row, items[row, rank])), shape=shape)
    wanted = known.tastes(users)
    given = (1 - SMOOTHING) * shares_of(listed @ known.categories) + SMOOTHING * wanted
    there = wanted > 0
    ratio = np.divide(wanted, given, out=np.ones_like(wanted), where=there)
    return np.asarray((wanted * np.log(ratio)).sum(1), np.float64)


def coverage(exposure: Exposure, known: Knowledge) -> float:
    """share of items that are listed"""
    return float((exposure > 0).sum()) / max(len(exposure), 1)


def gini(exposure: Exposure, known: Knowledge) -> float:
    """mean absolute difference of two items' exposure, over twice the mean exposure"""
    total, n = int(exposure.sum()), len(exposure)
    if total == 0:
        return 0.0
    place = 2 * np.arange(1, n + 1) - n - 1
    return float((place * np.sort(exposure)).sum()) / (n * total)


def item_gap(exposure: Exposure, known: Knowledge) -> float:
    """largest difference, over thirds of the events by popularity of their items, between the share
    of exposure and the share of events (Abdollahpouri et al. 2019, head, middle and tail)"""
    if not exposure.any():
        return 0.0
    third, events = known.third[PAD + 1 :], known.events[PAD + 1 :]
    shown, done = np.bincount(third, exposure, 3), np.bincount(third, events, 3)
    return float(np.abs(shown / shown.sum() - done / max(done.sum(), 1)).max())


def _mean(lists: Lists, value: Float64[np.ndarray, " I"]) -> PerUser:
    real = lists.items != PAD
    total = np.where(real, value[lists.items], 0.0).sum(1)
    return np.asarray(total / np.maximum(real.sum(1), 1), np.float64)


def _apart(lists: Lists, sets: Sets) -> PerUser:
    """Mean of 1 - cosine over the pairs of a list; 0 for a list without a pair."""
    one, other = np.triu_indices(lists.items.shape[1], 1)
    means = np.zeros(len(lists.items))
    rows = max(1, PAIRS // max(len(one), 1))
    for start in range(0, len(means), rows):
        items = lists.items[start : start + rows]
        a, b = items[:, one], items[:, other]  # (B, P)
        row, pair = np.nonzero((a != PAD) & (b != PAD))
        distance = 1 - sets.cosines(a[row, pair], b[row, pair])
        many = np.bincount(row, minlength=len(items))
        total = np.bincount(row, distance, minlength=len(items))
        means[start : start + rows] = total / np.maximum(many, 1)
    return means


OF_LISTS: dict[str, Callable[[Lists, Knowledge], PerUser]] = {
    "novelty": novelty,
    "popularity": popularity,
    "popularity_lift": popularity_lift,
    "diversity": diversity,
    "content_diversity": content_diversity,
    "serendipity": serendipity,
    "calibration": calibration,
}
OVERALL: dict[str, Callable[[Exposure, Knowledge], float]] = {
    "coverage": coverage,
    "gini": gini,
    "item_gap": item_gap,
}
# what a metric cannot do without; asking for it is refused where it is missing
NEEDS: dict[str, Callable[[Knowledge], object]] = {
    "content_diversity": lambda known: known.contents,
    "calibration": lambda known: known.categories,
}
