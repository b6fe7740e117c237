"""Metrics among a few drawn negatives, under names that say so: sampled100_ndcg@10.

They are not the metrics of whole lists and may put two models in the wrong order (Krichene and
Rendle 2020); they are here to stand beside published tables that hold nothing else. `evaluate`
never gives them. Letters: B users, I items with PAD, T true items, N negatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt64
from torch import Tensor

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query
from honeyguide.data.rule import EVENTS_FOR, Rule
from honeyguide.data.sample import Sampling
from honeyguide.data.split import Holdout
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, UnknownName
from honeyguide.evaluate.evaluator import Evaluation, evaluate, padded_items
from honeyguide.evaluate.metrics import PER_USER, metric
from honeyguide.types import Ranker, Ranking

ROWS = 1 << 22  # keys drawn at once
NAMES: dict[str, str] = {
    "uniform": "sampled{}_{}",
    "popularity": "sampled{}-popularity_{}",
}


def evaluate_sampled(
    ranker: Ranker,
    holdout: Holdout,
    *,
    rule: Rule,
    past: int | None,
    metrics: Sequence[str] = ("ndcg@10", "hit_rate@10"),
    negatives: int = 100,
    sampling: Sampling = "uniform",
    seed: int = 0,
) -> Evaluation:
    """Rank each user's true items among drawn ones that are neither true nor seen.

    negatives: how many are drawn for each user, without replacement; whoever has fewer left gets
    all. sampling: with equal chances, or in proportion to the events that count. A draw depends on
    seed and user alone. The values stand under names such as sampled100_ndcg@10. Items that
    training never saw stay misses. Raises CallError, UnknownName.
    """
    catalogue = holdout.history.n_items - 1
    if not 1 <= negatives < catalogue:
        raise CallError(
            f"{negatives} negatives cannot be drawn from {catalogue} items.",
            f"Ask for 1 to {catalogue - 1}.",
        )
    for name in metrics:
        if metric(name).name not in PER_USER:
            raise UnknownName("sampled metric", name, [f"{one}@k" for one in PER_USER])
    told = evaluate(
        _Among.of(ranker, holdout, negatives, sampling, seed),
        holdout,
        rule=rule,
        past=past,
        metrics=metrics,
        exclude_seen=False,  # no candidate is seen
    )
    named = {NAMES[sampling].format(negatives, name): v for name, v in told.per_user.items()}
    return replace(told, per_user=named)


@dataclass(frozen=True, slots=True, eq=False)
class _Among:
    """A Ranker that asks another one to rank a user's true items among drawn ones."""

    ranker: Ranker
    truth: Interactions
    seen: Interactions
    weight: Float64[np.ndarray, " I"]
    negatives: int
    seed: int

    @staticmethod
    def of(
        ranker: Ranker, holdout: Holdout, negatives: int, sampling: Sampling, seed: int
    ) -> "_Among":
        history = holdout.history
        weight = np.ones(history.n_items)
        if sampling == "popularity":
            counts = np.bincount(history.counting(EVENTS_FOR).item, minlength=len(weight))
            weight = np.maximum(counts, 1).astype(np.float64)
        known = holdout.truth.only(holdout.truth.item < history.n_items)
        return _Among(ranker, known, history.seen(), weight, negatives, seed)

    def rank(
        self,
        query: Query,
        k: int,
        *,
        candidates: Int64[Tensor, " C"] | Int64[Tensor, "B C"] | None = None,
        allow: Bool[Tensor, " I"] | None = None,
        exclude: Int64[Tensor, "B E"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Ranking:
        """See types.Ranker; the candidates are its own."""
        assert candidates is None, "the candidates are drawn here"
        few = self._candidates(query.user.cpu().numpy()).to(query.user.device)
        return self.ranker.rank(query, k, candidates=few, allow=allow, exclude=exclude)

    def _candidates(self, users: Int64[np.ndarray, " B"]) -> Int64[Tensor, "B C"]:
        rows = max(1, ROWS // len(self.weight))
        truth = padded_items(self.truth, users)
        drawn = [
            self._drawn(users[first : first + rows], truth[first : first + rows].numpy())
            for first in range(0, len(users), rows)
        ]
        return torch.cat([truth, torch.from_numpy(np.concatenate(drawn))], dim=1)

    def _drawn(
        self, users: Int64[np.ndarray, " B"], truth: Int64[np.ndarray, "B T"]
    ) -> Int64[np.ndarray, "B N"]:
        # whoever comes first of independent exponential waits is a draw in proportion to the
        # rates, and the next one a draw from the rest (Efraimidis and Spirakis 2006)
        wait = -np.log(_fractions(self.seed, users, len(self.weight))) / self.weight
        for known in (truth, padded_items(self.seen, users).numpy()):
            np.put_along_axis(wait, known, np.inf, axis=1)
        wait[:, PAD] = np.inf
        first = np.argpartition(wait, self.negatives - 1, axis=1)[:, : self.negatives]
        first[np.isinf(np.take_along_axis(wait, first, axis=1))] = PAD
        return first


def _fractions(seed: int, users: Int64[np.ndarray, " B"], items: int) -> Float64[np.ndarray, "B I"]:
    """In (0, 1], one for each user and item, by counter."""
    rows = _mixed(_mixed(np.array([seed], np.uint64)) + users.astype(np.uint64))
    bits = _mixed(rows[:, None] + np.arange(items, dtype=np.uint64))
    fractions: Float64[np.ndarray, "B I"] = ((bits >> np.uint64(11)) + np.uint64(1)) * 2.0**-53
    return fractions


def _mixed(x: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    # splitmix64 (Steele, Lea, Flood 2014)
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, ...] = x ^ (x >> np.uint64(31))
    return mixed
