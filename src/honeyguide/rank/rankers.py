"""Rankers: what turns a question into a list. They compose, because each of them is a Ranker."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from honeyguide.data.query import Query
from honeyguide.data.vocab import PAD
from honeyguide.models.spec import AnsweredBy, Model
from honeyguide.rank.topk import exclude_items, top_k
from honeyguide.types import NEVER, Ranker, Ranking

Candidates = Int64[Tensor, " C"] | Int64[Tensor, "B C"]


class Exhaustive:
    """Scores every item (or every candidate) and keeps the best."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @torch.inference_mode()
    def rank(
        self,
        query: Query,
        k: int,
        *,
        candidates: Candidates | None = None,
        allow: Bool[Tensor, " I"] | None = None,
        exclude: Int64[Tensor, "B E"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Ranking:
        """See types.Ranker."""
        if candidates is not None:
            return self._rank_few(query, k, candidates, allow, exclude)
        scores = self.scores(query, exclude=exclude)
        if allow is not None:
            scores.masked_fill_(~allow, NEVER)
        return top_k(scores, k)

    @torch.inference_mode()
    def scores(
        self, query: Query, *, exclude: Int64[Tensor, "B E"] | None = None
    ) -> Float32[Tensor, "B I"]:
        """What the lists are made of, for measures that look at every item; -inf = never listed."""
        scores = self.model.score(query)
        return scores if exclude is None else exclude_items(scores, exclude)

    def _rank_few(
        self,
        query: Query,
        k: int,
        candidates: Candidates,
        allow: Bool[Tensor, " I"] | None,
        exclude: Int64[Tensor, "B E"] | None,
    ) -> Ranking:
        few = candidates if candidates.ndim == 2 else candidates.expand(len(query), -1)
        if few.shape[1] == 0:
            few = few.new_full((len(query), 1), PAD)
        # equal scores stand in the order of numbers, as in a full list
        few = few.sort(dim=1).values
        few = few.masked_fill(torch.nn.functional.pad(few.diff(dim=1) == 0, (1, 0)), PAD)
        scores = self.model.score_few(query, few).masked_fill(few == PAD, NEVER)
        if allow is not None:
            scores = scores.masked_fill(~allow[few], NEVER)
        if exclude is not None:
            scores = scores.masked_fill((few[:, :, None] == exclude[:, None]).any(2), NEVER)
        best = top_k(scores.contiguous(), k)
        items = few.gather(1, best.items.clamp(max=few.shape[1] - 1))
        return Ranking(items.masked_fill(best.scores == NEVER, PAD), best.scores)

    def answered_by(self, query: Query) -> Iterable[AnsweredBy]:
        """What each answer rests on."""
        return self.model.answered_by(query)


class Fallback:
    """Asks `first`; where the history is empty or all scores are equal, asks `second` and says so.

    Where `second` has nothing either, as when a filter leaves no item, nothing fell back.

    items: how many items there are, to tell equal scores in a list from equal scores everywhere.
    """

    def __init__(self, first: Ranker, second: Ranker, items: int) -> None:
        self.first, self.second, self.items = first, second, items

    def rank(
        self,
        query: Query,
        k: int,
        *,
        candidates: Candidates | None = None,
        allow: Bool[Tensor, " I"] | None = None,
        exclude: Int64[Tensor, "B E"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Ranking:
        """See types.Ranker."""

        def ask(ranker: Ranker, depth: int) -> Ranking:
            return ranker.rank(
                query,
                depth,
                candidates=candidates,
                allow=allow,
                exclude=exclude,
                generator=generator,
            )

        answer = ask(self.first, max(k, 2))  # one score alone does not say whether all are equal
        weak = (query.length == 0) | (answer.items[:, 0] == PAD)
        flat = ~weak & all_equal(answer)
        answer = Ranking(answer.items[:, :k], answer.scores[:, :k], answer.fallback)
        if bool(flat.any()):
            weak |= flat & all_equal(ask(self.first, self.items))
        if not bool(weak.any()):
            return answer
        other = ask(self.second, k)
        weak &= other.items[:, 0] != PAD
        if not bool(weak.any()):
            return answer
        return Ranking(
            torch.where(weak[:, None], other.items, answer.items),
            torch.where(weak[:, None], other.scores, answer.scores),
            weak,
        )


def all_equal(ranking: Ranking) -> Bool[Tensor, " B"]:
    """Which lists hold several items that all have one score."""
    real = ranking.items != PAD
    low = ranking.scores.masked_fill(~real, float("inf")).amin(1)
    return (low == ranking.scores.amax(1)) & (real.sum(1) > 1)
