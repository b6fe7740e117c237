"""EASE: one linear layer from items to items with a zero diagonal, in closed form.

Steck 2019, "Embarrassingly shallow autoencoders for sparse data". No difference to the paper, but
where users are fewer than items the inverse is taken among users and carried over (Woodbury): the
same weights, at the cost of users^3 instead of items^3.
"""

from typing import Annotated, Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float32
from torch import Tensor

from honeyguide.config import Range
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.errors import TrainingError
from honeyguide.models.spec import Dense, Positive, Schema, Solved, Spec, never_pad
from honeyguide.nn import memory
from honeyguide.nn.graph import times

FEWER = 0.8  # users per item from which on carrying over costs more than it saves
BLOCK = 1024


class EASE(Spec):
    """Item-to-item weights by ridge regression."""

    name: ClassVar[str] = "ease"

    l2: Annotated[Positive, Range(1, 10_000, log=True)] = 500.0
    """Ridge. Larger on small or noisy data; the paper's range is 100 to 1000."""

    def build(self, schema: Schema) -> "EASEModel":
        needed, left = 8 * schema.items**2, memory.available()
        if needed > left:
            raise TrainingError(
                f"EASE holds {schema.items - 1:,} x {schema.items - 1:,} weights twice while it is "
                f"solved: {memory.words(needed)}, and {memory.words(left)} are left.",
                "Choose a model that grows less with the catalogue (chebycf, ials, mf), or raise "
                "--k-core.",
            )
        return EASEModel(self, schema)


class EASEModel(Dense, Solved):
    """weight: (I, I), row i is what having item i adds to every score."""

    def __init__(self, spec: EASE, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.l2 = spec.l2
        self.weight: Tensor
        self.register_buffer("weight", torch.zeros(schema.items, schema.items))

    def solve(self, data: TrainingData, seed: int) -> None:
        matrix = data.interactions.pairs(self.spec.rule)
        self.weight = torch.empty(0)  # not held beside what the solution needs
        active = sp.csr_array(matrix[np.diff(matrix.indptr) > 0])
        by_users = active.shape[0] < FEWER * active.shape[1]
        precision = (_among_users if by_users else _among_items)(active, self.l2)
        precision /= -precision.diagonal().clone()
        precision.diagonal().zero_()
        precision[:, 0] = 0
        self.weight = precision

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        return never_pad(query.pairs(self.spec.rule).times(self.weight))


def _among_items(matrix: sp.csr_array, l2: float) -> Float32[Tensor, "I I"]:
    """(X'X + l2)^-1."""
    return _inverse(matrix.T @ matrix, l2)


def _among_users(matrix: sp.csr_array, l2: float) -> Float32[Tensor, "I I"]:
    """The same as (1 - X' (X X' + l2)^-1 X) / l2."""
    between = _inverse(matrix @ matrix.T, l2)
    columns = sp.csr_array(matrix.T)
    precision = torch.empty(matrix.shape[1], matrix.shape[1])
    for start in range(0, len(precision), BLOCK):
        block = precision[start : start + BLOCK]
        carried = times(columns[start : start + BLOCK], between)  # (block, U)
        block.copy_(times(columns, carried.T).T)
    precision /= -l2
    precision.diagonal().add_(1 / l2)
    return precision


def _inverse(gram: Any, l2: float) -> Float32[Tensor, "N N"]:
    matrix = torch.from_numpy(gram.toarray().astype(np.float32, copy=False))
    del gram
    matrix.diagonal().add_(l2)
    factor = torch.linalg.cholesky(matrix)
    del matrix
    # symmetric and stored by columns; its transpose stands by rows, which is how it is read
    inverse: Tensor = torch.cholesky_inverse(factor).T
    return inverse
