"""User-kNN: an item is scored by the users like this one who took it.

Resnick et al. 1994, with the shrunk cosine and the variants that Ferrari Dacrema et al. 2021 tune.
A user is a history here too: someone who was there in training is found among their own neighbours,
which lifts nothing but what they know already.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.query import Pairs, Query
from honeyguide.data.training import TrainingData
from honeyguide.models.held import Held
from honeyguide.models.spec import Count, Dense, NotNegative, Schema, Solved, Spec, never_pad
from honeyguide.nn.neighbours import dense_product

WORKING = 64 << 20  # bytes of likeness held at once


class UserKNN(Spec):
    """Cosine between rows of the user-item matrix, the K likest heard."""

    name: ClassVar[str] = "user-knn"

    k: Annotated[Count, Range(20, 1_000, log=True)] = 200
    """Users who are heard. More is smoother and favours popular items."""
    shrink: Annotated[NotNegative, Range(0, 200)] = 0.0
    """Added to the norm: damps likeness that rests on few items. Raise it on sparse data."""
    alpha: Annotated[NotNegative, Range(0.2, 0.8)] = 0.5
    """Exponent of the norm: 0.5 is the cosine; lower lets active users be heard more."""
    weigh_items: Annotated[bool, Choice((False, True))] = True
    """Weigh each item by log(users / those who took it): what all took says less."""

    def build(self, schema: Schema) -> "UserKNNModel":
        return UserKNNModel(self, schema)


class UserKNNModel(Dense, Solved):
    """user.items (M,), user.offsets (U + 1,): all histories. weight (I,): the square of what an
    item weighs in the cosine."""

    def __init__(self, spec: UserKNN, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        self.user = Held(schema.items, rows=schema.users)
        self.weight: Tensor
        self.register_buffer("weight", torch.ones(schema.items))

    def solve(self, data: TrainingData, seed: int) -> None:
        matrix = data.interactions.pairs(self.spec.rule)
        self.user.hold(
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.indptr.astype(np.int64)),
        )
        if self.settings.weigh_items:
            takers = torch.from_numpy(np.bincount(matrix.indices, minlength=self.schema.items))
            worth = (len(data.interactions.lengths) / takers.clamp(min=1)).log().clamp(min=1e-3)
            self.weight = worth.square().float()

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        asked, spec = query.pairs(self.spec.rule), self.settings
        scores = torch.zeros(len(query), self.schema.items, device=self.weight.device)
        count = min(spec.k, self.schema.users)
        if count == 0:
            return never_pad(scores)
        histories, takers = self.user.rows, self.user.takers
        size = histories.times(self.weight[:, None])[:, 0].pow(spec.alpha)
        own = asked.times(self.weight[:, None])[:, 0].pow(spec.alpha)
        step = max(1, WORKING // (4 * self.schema.users))
        for start in range(0, len(query), step):
            part = asked.part(start, min(start + step, len(query)))
            weighed = Pairs(part.items, part.weights * self.weight[part.items], part.offsets)
            likeness = dense_product(weighed, takers, self.schema.users)
            norm = own[start : start + step, None] * size + spec.shrink
            best = likeness.div_(norm.clamp(min=1e-9)).topk(count, dim=1)
            heard = torch.arange(len(likeness) + 1, device=likeness.device) * count
            heard_pairs = Pairs(best.indices.flatten(), best.values.flatten(), heard)
            scores[start : start + step] = dense_product(heard_pairs, histories, len(self.weight))
        return never_pad(scores)
