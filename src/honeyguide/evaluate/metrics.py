"""Metrics of ranked lists, by name. The definitions are on one page because libraries differ.

T = what the user truly took, k = the cut-off, rank counts from 1. Per user, then the mean:
    recall@k     hits / |T|
    precision@k  hits / k
    f1@k         harmonic mean of the two, per user
    hit_rate@k   1 if any hit
    ndcg@k       sum 1 / log2(rank + 1) over hits, over the same for min(k, |T|) hits in front
    map@k        mean precision at the hits, over min(k, |T|)
    mrr@k        1 / rank of the first hit, 0 without one
Metrics of lists beyond hits (coverage@k, novelty@k and so on) stand in beyond.py, auc in auc.py.
Letters: B users, K list length.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from honeyguide.errors import CallError, UnknownName
from honeyguide.evaluate.beyond import OF_LISTS, OVERALL
from honeyguide.evaluate.predicted import POINTWISE

Hits = Bool[np.ndarray, "B K"]
Sizes = Int64[np.ndarray, " B"]
PerUser = Float64[np.ndarray, " B"]


def recall(hits: Hits, truth: Sizes, k: int) -> PerUser:
    """hits / |T|"""
    return np.asarray(hits[:, :k].sum(1) / truth, np.float64)


def precision(hits: Hits, truth: Sizes, k: int) -> PerUser:
    """hits / k"""
    return np.asarray(hits[:, :k].sum(1) / k, np.float64)


def f1(hits: Hits, truth: Sizes, k: int) -> PerUser:
    """2 hits / (k + |T|), which is the harmonic mean of recall and precision."""
    return np.asarray(2 * hits[:, :k].sum(1) / (k + truth), np.float64)


def hit_rate(hits: Hits, truth: Sizes, k: int) -> PerUser:
    """1 if any hit"""
    return np.asarray(hits[:, :k].any(1), np.float64)


def ndcg(hits: Hits, truth: Sizes, k: int) -> PerUser:
    """Jarvelin and Kekalainen 2002 with gains 0 and 1"""
    gain = 1 / np.log2(np.arange(2, k + 2))
    ideal: PerUser = np.cumsum(gain)[np.minimum(truth, k) - 1]
    width = min(k, hits.shape[1])
    return np.asarray(hits[:, :width] @ gain[:width] / ideal, np.float64)


def average_precision(hits: Hits, truth: Sizes, k: int) -> PerUser:
    """mean precision at the hits, over min(k, |T|)"""
    cut = hits[:, :k]
    at = np.cumsum(cut, 1) / np.arange(1, cut.shape[1] + 1)
    return np.asarray((at * cut).sum(1) / np.minimum(truth, k), np.float64)


def reciprocal_rank(hits: Hits, truth: Sizes, k: int) -> PerUser:
    """1 / rank of the first hit"""
    cut = hits[:, :k]
    return np.asarray(cut.any(1) / (cut.argmax(1) + 1.0), np.float64)


PER_USER: dict[str, Callable[[Hits, Sizes, int], PerUser]] = {
    "recall": recall,
    "precision": precision,
    "f1": f1,
    "hit_rate": hit_rate,
    "ndcg": ndcg,
    "map": average_precision,
    "mrr": reciprocal_rank,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric at a cut-off; k = 0: it has none."""

    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}" if self.k else self.name


AUC = Metric("auc", 0)
OF_PREDICTIONS = tuple(name for name in POINTWISE if name != AUC.name)
CUT = (*PER_USER, *OF_LISTS, *OVERALL)


def metric(text: str) -> Metric:
    """ "ndcg@10" as a Metric. Raises UnknownName, CallError."""
    name, at, cut = text.partition("@")
    if name in OF_PREDICTIONS:
        raise CallError(
            f"{name} needs predicted ratings or probabilities, and here lists are measured.",
            "Hand predictions in, see docs/lists.md, or ask for metrics of lists, such as ndcg@10.",
        )
    if name == AUC.name:
        if at:
            raise CallError(f"{text!r}: {name} has no cut-off.", f"Write {name}.")
        return AUC
    if name not in CUT:
        raise UnknownName("metric", text, [*(f"{one}@k" for one in CUT), AUC.name])
    if not cut.isdigit() or int(cut) < 1:
        raise CallError(f"{text!r} has no cut-off.", f"Write {name}@10, say.")
    return Metric(name, int(cut))
