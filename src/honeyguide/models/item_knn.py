"""Item-kNN: an item is scored by its likeness to what the user took.

Sarwar et al. 2001, with the shrunk cosine of Bell and Koren 2007 and the variants that Ferrari
Dacrema et al. 2021 tune. Sparse from end to end: K neighbours per item, so memory is I x K.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from numba import njit
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import Count, Dense, NotNegative, Schema, Solved, Spec, never_pad
from honeyguide.nn.parallel import over_rows

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
        matrix = data.interactions.pairs(self.spec.rule)
        if self.settings.weigh_users:
            lengths = np.diff(matrix.indptr)
            weight = 1.0 / np.log1p(np.maximum(lengths, 1)).astype(np.float32)
            matrix.data *= np.repeat(weight, lengths)
        columns = matrix.T.tocsr()
        norm = np.asarray(columns.power(2).sum(axis=1)).ravel() ** self.settings.alpha
        neighbour, likeness = self.neighbour.numpy(), self.likeness.numpy()
        for start in range(0, self.schema.items, BLOCK):
            stop = min(start + BLOCK, self.schema.items)
            together = (columns[start:stop] @ matrix).toarray()  # (block, I)
            scale = norm[start:stop, None] * norm[None] + self.settings.shrink
            together /= np.maximum(scale, 1e-9)
            together[np.arange(stop - start), np.arange(start, stop)] = 0
            top = torch.from_numpy(together).topk(self.width, dim=1)
            neighbour[start:stop] = top.indices.numpy()
            likeness[start:stop] = top.values.numpy()

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        if self.neighbour.device.type != "cpu":
            return never_pad(self._by_torch(query))
        pairs = query.pairs(self.spec.rule)
        scores = torch.zeros(len(query), self.schema.items)
        out, neighbour, likeness = scores.numpy(), self.neighbour.numpy(), self.likeness.numpy()
        offsets, items = pairs.offsets.numpy(), pairs.items.numpy()
        weights = pairs.weights.numpy()
        over_rows(
            len(query),
            lambda a, b: _add_up(offsets[a : b + 1], items, weights, neighbour, likeness, out[a:b]),
        )
        return never_pad(scores)

    def _by_torch(self, query: Query) -> Float32[Tensor, "B I"]:
        """The same without the kernel, for other devices."""
        pairs = query.pairs(self.spec.rule)
        scores = torch.zeros(len(query), self.schema.items, device=self.likeness.device)
        places = pairs.rows()[:, None] * self.schema.items + self.neighbour[pairs.items].long()
        values = self.likeness[pairs.items] * pairs.weights[:, None]
        scores.view(-1).index_add_(0, places.view(-1), values.view(-1))
        return scores


@njit(cache=True, nogil=True)
def _add_up(offsets, items, weights, neighbour, likeness, out):  # type: ignore[no-untyped-def]
    for row in range(len(offsets) - 1):
        for place in range(offsets[row], offsets[row + 1]):
            item, weight = items[place], weights[place]
            for n in range(neighbour.shape[1]):
                out[row, neighbour[item, n]] += likeness[item, n] * weight
