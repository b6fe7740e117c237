"""Markov: what followed the last event most often. The yardstick for everything that reads order.

First-order chain as in Rendle et al. 2010 (the MC baseline of FPMC), counted and not factorised.
Difference: events a little further apart may count too, each by one over its distance.
"""

from typing import Annotated, Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float32
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.query import Query
from honeyguide.data.rule import EVENTS_FOR, Rule
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.models.spec import Count, Dense, Schema, Solved, Spec, never_pad
from honeyguide.nn.neighbours import add_up, keep_largest

BLOCK = 1024  # items whose followers are held at once: I x BLOCK floats


class Markov(Spec):
    """Counts of what came after what."""

    name: ClassVar[str] = "markov"
    needs: ClassVar[frozenset[str]] = frozenset({"order"})
    rule: ClassVar[Rule] = EVENTS_FOR

    k: Annotated[Count, Range(50, 1_000, log=True)] = 500
    """Followers kept for each item."""
    reach: Annotated[Count, Choice((1, 2, 3, 5, 10))] = 1
    """How many events apart two may be; the last so many of a history speak, each by one over its
    distance. 1 is the chain itself; more helps where order is loose."""

    @property
    def past(self) -> int | None:
        return self.reach

    def build(self, schema: Schema) -> "MarkovModel":
        return MarkovModel(self, schema)


class MarkovModel(Dense, Solved):
    """neighbour, likeness: (I, K); row i lists what follows i, and how likely."""

    def __init__(self, spec: Markov, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.reach = spec.reach
        shape = (schema.items, max(1, min(spec.k, schema.items - 1)))
        self.neighbour: Tensor
        self.likeness: Tensor
        self.register_buffer("neighbour", torch.zeros(shape, dtype=torch.int32))
        self.register_buffer("likeness", torch.zeros(shape))

    def solve(self, data: TrainingData, seed: int) -> None:
        self.neighbour.zero_()
        self.likeness.zero_()
        events, size = data.interactions.counting(self.spec.rule), self.schema.items
        followed: Any = sp.csr_array((size, size), dtype=np.float32)
        for apart in range(1, min(self.reach, max(len(events) - 1, 0)) + 1):
            same = events.user[:-apart] == events.user[apart:]
            before, after = events.item[:-apart][same], events.item[apart:][same]
            worth = np.full(len(before), 1 / apart, np.float32)
            followed += sp.csr_array((worth, (before, after)), shape=(size, size))
        leading = np.flatnonzero(np.diff(followed.indptr))
        following = np.unique(followed.indices)
        followed = followed[leading][:, following]
        total = followed.sum(axis=1)
        for start in range(0, len(leading), BLOCK):
            stop = min(start + BLOCK, len(leading))
            block = (followed[start:stop].toarray() / total[start:stop, None]).astype(np.float32)
            keep_largest(
                block,
                leading[start:stop],
                following.astype(np.int64),
                self.neighbour,
                self.likeness,
            )

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        real = query.mask() & (query.item != PAD)
        distance = query.length[:, None] - torch.arange(
            query.item.shape[1], device=query.item.device
        )
        real &= distance <= self.reach  # a question may bring more events than were asked for
        counts = real.sum(1)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        weights = 1 / distance[real].float()
        return never_pad(add_up(query.item[real], weights, offsets, self.neighbour, self.likeness))
