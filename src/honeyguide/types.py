"""The two shapes that everything above the data composes from: a Ranking and what makes one.

They live on the lowest floor so that a model that writes its list itself (a generative model, a
policy) can be a Ranker too. Letters: B queries, K cut-off, C candidates, I items with PAD,
E excluded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

if TYPE_CHECKING:
    from honeyguide.data.query import Query

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best items of each query, best first; equal scores stand in the order of item numbers.

    items: numbers, PAD where the list is shorter than K. scores: -inf there.
    fallback: which queries were answered by a fallback ranker; None = none of them.
    """

    items: Int64[Tensor, "B K"]
    scores: Float32[Tensor, "B K"]
    fallback: Bool[Tensor, " B"] | None = None


@runtime_checkable
class Ranker(Protocol):
    """THE shape: one evaluator measures any of them and one service serves any of them."""

    def rank(
        self,
        query: "Query",
        k: int,
        *,
        candidates: "Int64[Tensor, ' C'] | Int64[Tensor, 'B C'] | None" = None,
        allow: "Bool[Tensor, ' I'] | None" = None,
        exclude: "Int64[Tensor, 'B E'] | None" = None,
        generator: torch.Generator | None = None,
    ) -> Ranking:
        """The k best items of each query.

        candidates: rank only these (PAD = none), one list for all or one for each query.
        allow: items that may appear at all. exclude: items that may not, by query (PAD = none).
        generator: randomness of rankers that draw; deterministic ones ignore it.
        """
        ...
