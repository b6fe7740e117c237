"""EASE: one linear layer from items to items with a zero diagonal, in closed form.

Steck 2019, "Embarrassingly shallow autoencoders for sparse data". No difference to the paper.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from honeyguide.config import Range
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import Dense, Positive, Schema, Solved, Spec, never_pad


class EASE(Spec):
    """Item-to-item weights by ridge regression."""

    name: ClassVar[str] = "ease"

    l2: Annotated[Positive, Range(1, 10_000, log=True)] = 500.0
    """Ridge. Larger on small or noisy data; the paper's range is 100 to 1000."""

    def build(self, schema: Schema) -> "EASEModel":
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
        self.weight = torch.empty(0)  # not held beside the two that the solution needs
        gram = torch.from_numpy((matrix.T @ matrix).toarray().astype(np.float32, copy=False))
        gram.diagonal().add_(self.l2)
        factor = torch.linalg.cholesky(gram)
        del gram
        # symmetric and stored by columns; its transpose stands by rows, which is how it is read
        precision = torch.cholesky_inverse(factor).T
        del factor  # (I, I) f32 three times was the peak
        precision /= -precision.diagonal().clone()
        precision.diagonal().zero_()
        precision[:, 0] = 0
        self.weight = precision

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        return never_pad(query.pairs(self.spec.rule).times(self.weight))
