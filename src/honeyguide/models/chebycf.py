"""ChebyCF: what a user took, as a signal on the graph of items, passed through a low-pass filter.

Kim et al. 2025, "Graph spectral filtering with Chebyshev interpolation for recommendation": no
training, a plateau-shaped filter, an ideal pass of the lowest frequencies on top, and a scaling by
degree before and after. Differences: the filter is applied exactly to the `rank` lowest frequencies
(randomised SVD, Halko et al. 2011) and goes on as a straight line to zero behind them, where the
paper interpolates it by a polynomial of order 8 (there it is nearly straight anyhow). So nothing of
any user has to be kept: the line is a sparse matrix of items, of which the `k` largest entries of
each row are kept. New: the exponent of a user's degree is free (1/2 in the paper): lower ones gain
6 % of nDCG@20 on a random tenth of Gowalla's training part and nothing on its test part (LOG.md).
"""

from typing import Annotated, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import (
    Count,
    Dense,
    NotNegative,
    Positive,
    Schema,
    Solved,
    Spec,
    never_pad,
)
from honeyguide.nn.neighbours import add_up, keep_largest
from honeyguide.nn.svd import top_singular

BLOCK = 1024  # rows of the item matrix held at once: I x BLOCK floats


class FilterSpec(Spec):
    """Settings of every model that holds the filter."""

    within_items: ClassVar[tuple[str, ...]] = ("rank",)

    rank: Annotated[Count, Choice((128, 256, 512, 1024))] = 512
    """Frequencies that are filtered exactly, at most as many as there are. More for larger data."""
    flatness: Annotated[Positive, Range(0.5, 3)] = 1.5
    """Shape of the plateau: 1 is a straight line, larger holds more of the lowest frequencies."""
    ideal: Annotated[NotNegative, Range(0, 0.6)] = 0.2
    """Weight of the ideal pass of the `rank` lowest frequencies beside the plateau."""
    beta: Annotated[float, Field(ge=0, le=0.5), Range(0, 0.5)] = 0.4
    """Exponent of an item's degree that a signal is divided by before and multiplied with after
    the filter. Higher favours popular items."""
    user_power: Annotated[float, Field(ge=0, le=1), Range(0.2, 0.6)] = 0.5
    """Exponent of a user's degree that edges are divided by. Lower lets active users say more."""
    k: Count = 2000
    """Entries kept per item of the straight part. Less is smaller and a little worse."""


class ChebyCF(FilterSpec):
    """Spectral filter without training."""

    name: ClassVar[str] = "chebycf"

    def build(self, schema: Schema) -> "ChebyCFModel":
        return ChebyCFModel(self, schema)


class ChebyCFModel(Dense, Solved):
    """neighbour, value (I, K): the straight part. into, out (I, R): what the filter adds to it at
    the lowest frequencies, both with the scaling by degree in them."""

    def __init__(self, spec: FilterSpec, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        k = max(1, min(spec.k, schema.items - 1))
        rank = max(1, min(spec.rank, schema.items - 1, schema.users))
        self.neighbour: Tensor
        self.value: Tensor
        self.into: Tensor
        self.out: Tensor
        self.register_buffer("neighbour", torch.zeros(schema.items, k, dtype=torch.int32))
        self.register_buffer("value", torch.zeros(schema.items, k))
        self.register_buffer("into", torch.zeros(schema.items, rank))
        self.register_buffer("out", torch.zeros(schema.items, rank))

    def solve(self, data: TrainingData, seed: int) -> None:
        spec = self.settings
        matrix = data.interactions.pairs(self.spec.rule)
        users = np.maximum(np.diff(matrix.indptr), 1).astype(np.float32)
        items = np.bincount(matrix.indices, minlength=self.schema.items).clip(1).astype(np.float32)
        matrix.data = np.repeat(users**-spec.user_power, np.diff(matrix.indptr))
        matrix.data *= (items**-0.5)[matrix.indices]
        size, basis = top_singular(matrix, self.into.shape[1], seed)
        share = (size / size[0].clamp(min=1e-12)).square()  # of the largest, by frequency
        passed = plateau(share, spec.flatness)
        line = float(passed[-1] / share[-1].clamp(min=1e-12))
        scale = torch.from_numpy(items**spec.beta)[:, None]
        self.into = basis / scale
        self.out = basis * (passed + spec.ideal - line * share) * scale
        matrix.data *= np.sqrt(line) / max(float(size[0]), 1e-12)
        self._straight(matrix, items**spec.beta)

    def _straight(self, matrix: sp.csr_array, scale: np.ndarray) -> None:
        columns, items = sp.csr_array(matrix.T), np.arange(self.schema.items)
        for start in range(0, len(items), BLOCK):
            some = items[start : start + BLOCK]
            block = (columns[some] @ matrix).toarray()
            block *= scale / scale[some, None]
            keep_largest(block, some, items, self.neighbour, self.value)

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        pairs = query.pairs(self.spec.rule)
        scores = add_up(pairs.items, pairs.weights, pairs.offsets, self.neighbour, self.value)
        return never_pad(scores.addmm_(pairs.times(self.into), self.out.T))


def plateau(share: Float32[Tensor, " R"], flatness: float) -> Float32[Tensor, " R"]:
    """The paper's filter, by a frequency's share of the largest singular value squared."""
    low = 2 * share - 1  # 1 at the lowest frequency, -1 at the highest
    return 0.5 + 0.5 * low.sign() * low.abs() ** flatness
