"""Every metric as a loop over a ranked list and a set of what was truly taken.

ranked: item names, best first, shorter than k where the ranker had no more. taken: at least one.
"""

from collections.abc import Callable
from math import log2


def recall(ranked: list[int], taken: set[int], k: int) -> float:
    found = 0
    for item in ranked[:k]:
        if item in taken:
            found += 1
    return found / len(taken)


def precision(ranked: list[int], taken: set[int], k: int) -> float:
    found = 0
    for item in ranked[:k]:
        if item in taken:
            found += 1
    return found / k


def f1(ranked: list[int], taken: set[int], k: int) -> float:
    p, r = precision(ranked, taken, k), recall(ranked, taken, k)
    if p + r == 0:
        return 0.0
    return 2 * p * r / (p + r)


def hit_rate(ranked: list[int], taken: set[int], k: int) -> float:
    for item in ranked[:k]:
        if item in taken:
            return 1.0
    return 0.0


def ndcg(ranked: list[int], taken: set[int], k: int) -> float:
    gained = 0.0
    for rank, item in enumerate(ranked[:k], start=1):
        if item in taken:
            gained += 1 / log2(rank + 1)
    best = 0.0
    for rank in range(1, min(k, len(taken)) + 1):
        best += 1 / log2(rank + 1)
    return gained / best


def average_precision(ranked: list[int], taken: set[int], k: int) -> float:
    total, found = 0.0, 0
    for rank, item in enumerate(ranked[:k], start=1):
        if item in taken:
            found += 1
            total += found / rank
    return total / min(k, len(taken))


def reciprocal_rank(ranked: list[int], taken: set[int], k: int) -> float:
    for rank, item in enumerate(ranked[:k], start=1):
        if item in taken:
            return 1 / rank
    return 0.0


def auc(scores: dict[int, float], taken: set[int], seen: set[int]) -> float:
    """scores: of every item of the catalogue."""
    won, compared = 0.0, 0
    for item in taken - seen:
        if item not in scores:
            continue
        for other, score in scores.items():
            if other in taken or other in seen:
                continue
            compared += 1
            if scores[item] > score:
                won += 1
            elif scores[item] == score:
                won += 0.5
    return won / compared if compared else 0.5


PER_USER: dict[str, Callable[[list[int], set[int], int], float]] = {
    "recall": recall,
    "precision": precision,
    "f1": f1,
    "hit_rate": hit_rate,
    "ndcg": ndcg,
    "map": average_precision,
    "mrr": reciprocal_rank,
}
