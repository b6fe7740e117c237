"""iALS: matrix factorisation of the whole implicit matrix by alternating least squares.

Hu, Koren and Volinsky 2008, in the form of Rendle et al. 2022 ("Revisiting the performance of
iALS"): an unobserved weight over all pairs and a regularisation scaled with frequency. Differences:
the least squares are solved by warm-started conjugate gradients (Takacs, Pilaszy and Tikk 2011),
and there are no user rows at all: the answer to a history is its own least-squares solution, so a
stranger and a trained user with one history get the same list.
"""

from typing import Annotated, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float32
from numba import njit
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import (
    AnsweredBy,
    Count,
    NotNegative,
    Positive,
    Schema,
    Solved,
    Spec,
    Vectors,
)
from honeyguide.nn.parallel import over_rows

TRAINING_STEPS = 3
ANSWER_STEPS = 24  # relative residual below 1e-5 at widths 64 and 256 (tests/test_ials.py)


class IALS(Spec):
    """Weighted least squares over all pairs."""

    name: ClassVar[str] = "ials"
    within_items: ClassVar[tuple[str, ...]] = ("width",)

    width: Annotated[Count, Choice((32, 64, 128, 256))] = 64
    """Numbers per user and item."""
    epochs: Annotated[Count, Range(4, 32)] = 16
    """Alternations."""
    alpha: Annotated[NotNegative, Range(0.003, 1, log=True)] = 0.1
    """Weight of an unobserved pair; an observed one has 1. Lower it for larger catalogues."""
    l2: Annotated[Positive, Range(1e-4, 0.1, log=True)] = 0.003
    """Regularisation, scaled as in Rendle et al. 2022, section 4."""
    nu: Annotated[NotNegative, Range(0, 1)] = 1.0
    """Exponent of that scaling: 1 scales with frequency, 0 not at all."""
    scale: Positive = 0.1
    """Standard deviation of the initial vectors, divided by the root of the width."""

    def build(self, schema: Schema) -> "IALSModel":
        return IALSModel(self, schema)


class IALSModel(Vectors, Solved):
    """vectors: (I, D) item vectors; gram: (D, D) alpha times their Gram matrix."""

    def __init__(self, spec: IALS, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        self.vectors: Tensor
        self.gram: Tensor
        self.register_buffer("vectors", torch.zeros(schema.items, spec.width))
        self.register_buffer("gram", torch.zeros(spec.width, spec.width))

    def solve(self, data: TrainingData, seed: int) -> None:
        by_user = data.interactions.pairs(self.spec.rule)
        by_item = sp.csr_array(by_user.T)
        draw = np.random.default_rng(seed)
        deviation = self.settings.scale / np.sqrt(self.settings.width)
        shape = (self.schema.items, self.settings.width)
        items = draw.normal(0, deviation, shape).astype(np.float32)
        items[0] = 0
        users = np.zeros((self.schema.users, self.settings.width), np.float32)
        for _ in range(self.settings.epochs):
            self._half_step(users, items, by_user, TRAINING_STEPS)
            self._half_step(items, users, by_item, TRAINING_STEPS)
        self.vectors = torch.from_numpy(items)
        self.gram = torch.from_numpy(self.settings.alpha * (items.T @ items))

    def _half_step(
        self, solved: np.ndarray, fixed: np.ndarray, matrix: sp.csr_array, steps: int
    ) -> None:
        gram = self.settings.alpha * (fixed.T @ fixed)
        ridge = self._ridge(np.diff(matrix.indptr), len(fixed))
        indptr, indices = matrix.indptr, matrix.indices
        over_rows(
            len(solved),
            lambda a, b: _conjugate_gradients(
                solved[a:b], fixed, gram, ridge[a:b], indptr[a : b + 1], indices, steps
            ),
        )

    def _ridge(self, lengths: np.ndarray, other_side: int) -> np.ndarray:
        scaled = (lengths + self.settings.alpha * other_side) ** self.settings.nu
        return (self.settings.l2 * scaled).astype(np.float32)

    def query_vectors(self, query: Query) -> Float32[Tensor, "B D"]:
        pairs = query.pairs(self.spec.rule)
        ridge = self._ridge(pairs.offsets.diff().cpu().numpy(), self.schema.items)
        if self.vectors.device.type != "cpu":
            return self._by_torch(query, torch.from_numpy(ridge).to(self.vectors.device))
        out = np.zeros((len(query), self.settings.width), np.float32)
        fixed, gram = self.vectors.numpy(), self.gram.numpy()
        offsets, items = pairs.offsets.numpy(), pairs.items.numpy()
        over_rows(
            len(query),
            lambda a, b: _conjugate_gradients(
                out[a:b], fixed, gram, ridge[a:b], offsets[a : b + 1], items, ANSWER_STEPS
            ),
        )
        return torch.from_numpy(out)

    def _by_torch(self, query: Query, ridge: Tensor) -> Float32[Tensor, "B D"]:
        """The same by an exact solve, for other devices: (B, D, D) and (B, L, D) are held."""
        pairs = query.pairs(self.spec.rule)
        rows = pairs.rows()
        place = torch.arange(len(rows), device=rows.device) - pairs.offsets[rows]
        taken = self.vectors.new_zeros(len(query), query.item.shape[1], self.settings.width)
        taken[rows, place] = self.vectors[pairs.items]
        systems = self.gram + taken.transpose(1, 2) @ taken
        systems.diagonal(dim1=1, dim2=2).add_(ridge[:, None])
        solved: Tensor = torch.linalg.solve(systems, taken.sum(1))
        return solved

    def item_vectors(self) -> Float32[Tensor, "I D"]:
        return self.vectors

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return ["history"] * len(query)


@njit(cache=True, nogil=True, fastmath=True)
def _conjugate_gradients(solved, fixed, gram, ridge, indptr, indices, steps):  # type: ignore[no-untyped-def]
    """Rows x of `solved` move towards (gram + ridge I + sum v v') x = sum v, v in the row's set."""
    width = solved.shape[1]
    residual = np.empty(width, np.float32)
    product = np.empty(width, np.float32)
    for row in range(len(solved)):
        x = solved[row]
        first, last = indptr[row], indptr[row + 1]
        if first == last:
            x[:] = 0
            continue
        residual[:] = 0
        _apply(x, fixed, gram, ridge[row], first, last, indices, product)
        for place in range(first, last):
            v = fixed[indices[place]]
            for d in range(width):
                residual[d] += v[d]
        size = np.float32(0)
        for d in range(width):
            residual[d] -= product[d]
            size += residual[d] * residual[d]
        direction = residual.copy()
        for _ in range(steps):
            if size < 1e-12:
                break
            _apply(direction, fixed, gram, ridge[row], first, last, indices, product)
            curve = np.float32(0)
            for d in range(width):
                curve += direction[d] * product[d]
            step = size / curve
            fresh = np.float32(0)
            for d in range(width):
                x[d] += step * direction[d]
                residual[d] -= step * product[d]
                fresh += residual[d] * residual[d]
            for d in range(width):
                direction[d] = residual[d] + fresh / size * direction[d]
            size = fresh


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _apply(x, fixed, gram, ridge, first, last, indices, out):  # type: ignore[no-untyped-def]
    width = len(x)
    for d in range(width):
        out[d] = ridge * x[d]
    for e in range(width):  # gram is symmetric, so rows may stand for columns
        for d in range(width):
            out[d] += gram[e, d] * x[e]
    for place in range(first, last):
        v = fixed[indices[place]]
        dot = np.float32(0)
        for d in range(width):
            dot += v[d] * x[d]
        for d in range(width):
            out[d] += dot * v[d]
