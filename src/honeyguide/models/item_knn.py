"""Item-kNN: an item is scored by its likeness to what the user took.

Sarwar et al. 2001, with the shrunk cosine of Bell and Koren 2007 and the variants that Ferrari
Dacrema et al. 2021 tune. Sparse from end to end: K neighbours per item, so memory is I x K.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import Count, Dense, NotNegative, Schema, Solved, Spec, never_pad
from honeyguide.nn.neighbours import add_up, keep_largest

BLOCK = 1024  # items whose similarities are held at once: I x BLOCK floats


class ItemKNN(Spec):
    """Cosine between columns of the user-item matrix, the K largest kept."""

    name: ClassVar[str] = "item-knn"

    k: Annotated[Count, Range(20, 1_000, log=True)] = 200
    """Neighbours kept per item. More is rarely worse, only larger."""
    shrink: Annotated[NotNegative, Range(0, 200)] = 0.0
    """Added to the norm: damps likeness that rests on few users. Raise it on sparse data."""
    alpha: Annotated[NotNegative, Range(0.2, 0.8)] = 0.5
    """Exponent of the norm: 0.5 is the cosine; lower favours popular items."""
    weigh_users: Annotated[bool, Choice((False, True))] = False
    """Weigh each user by 1 / log(1 + items): those who took everything say less."""

    def build(self, schema: Schema) -> "ItemKNNModel":
        return ItemKNNModel(self, schema)


class ItemKNNModel(Dense, Solved):
    """neighbour, likeness: (I, K); row i lists the items that i speaks for."""

    def __init__(self, spec: ItemKNN, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        self.width = max(1, min(spec.k, schema.items - 1))
        self.neighbour: Tensor
        self.likeness: Tensor
        shape = (schema.items, self.width)
        self.register_buffer("neighbour", torch.zeros(shape, dtype=torch.int32))
        self.register_buffer("likeness", torch.zeros(shape))

    def solve(self, data: TrainingData, seed: int) -> None:
        self.neighbour.zero_()
        self.likeness.zero_()
        matrix = data.interactions.pairs(self.spec.rule)
        if self.settings.weigh_users:
            lengths = np.diff(matrix.indptr)
            weight = 1.0 / np.log1p(np.maximum(lengths, 1)).astype(np.float32)
            matrix.data *= np.repeat(weight, lengths)
        columns = matrix.T.tocsr()
        taken = np.flatnonzero(np.diff(columns.indptr))  # the others speak for nothing
        columns = columns[taken]
        matrix = columns.T.tocsr()
        norm = np.asarray(columns.power(2).sum(axis=1)).ravel() ** self.settings.alpha
        for start in range(0, len(taken), BLOCK):
            stop = min(start + BLOCK, len(taken))
            together = (columns[start:stop] @ matrix).toarray()  # (block, taken)
            scale = norm[start:stop, None] * norm[None] + self.settings.shrink
            together /= np.maximum(scale, 1e-9)
            together[np.arange(stop - start), np.arange(start, stop)] = 0
            keep_largest(together, taken[start:stop], taken, self.neighbour, self.likeness)

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        pairs = query.pairs(self.spec.rule)
        return never_pad(
            add_up(pairs.items, pairs.weights, pairs.offsets, self.neighbour, self.likeness)
        )
