"""SpectralMF: what a spectral filter and a factorisation say, put on one scale and added.

Ours, from two papers: the filter of ChebyCF (Kim et al. 2025) and MF by the softmax over cosines
(Chen et al. 2023) that starts from the leading directions of the normalised matrix. The filter
knows the graph as it is; the factorisation has learned whom it ranks wrongly. Both are put on one
scale by taking away the mean over the items and dividing by the deviation, question by question.
The filter takes no part in the loss: of an item that was taken it says that it was taken, so the
factorisation would be left nothing to learn.
"""

from typing import Annotated, ClassVar

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.models.chebycf import ChebyCFModel, FilterSpec
from honeyguide.models.factor import FactorSpec, LossName, Start
from honeyguide.models.mf import MFModel
from honeyguide.models.spec import (
    AnsweredBy,
    Count,
    Dense,
    Learned,
    Positive,
    Schema,
    Similarity,
    never_pad,
)


class SpectralMF(FactorSpec, FilterSpec):
    """Spectral filter and factorisation, added. `rank` to `k` are the filter's."""

    name: ClassVar[str] = "spectral-mf"
    within_items: ClassVar[tuple[str, ...]] = ("width", "rank")

    share: Annotated[float, Field(ge=0, le=1), Range(0.3, 0.9)] = 0.7
    """Weight of the factorisation against the filter's; 0 = the filter alone."""
    width: Annotated[Count, Choice((64, 128, 256))] = 128
    """Numbers per user and item."""
    loss: LossName = "softmax"
    """See mf."""
    similarity: Similarity = "cosine"
    """See mf. With dot the deviation of popular items drowns the filter."""
    start: Start = "spectral"
    """See mf."""
    temperature: Annotated[Positive, Range(0.05, 0.3, log=True)] = 0.1
    """Divides the scores before the loss looks at them. Lower it for sharper lists."""

    def build(self, schema: Schema) -> "SpectralMFModel":
        return SpectralMFModel(self, schema)


class SpectralMFModel(Dense, Learned):
    """learned.*: the tensors of mf, user.weight among them. filter.*: those of chebycf."""

    fixed: ClassVar[tuple[str, ...]] = ("filter.",)

    def __init__(self, spec: SpectralMF, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.share = spec.share
        self.learned = MFModel(spec, schema)
        self.filter = ChebyCFModel(spec, schema)

    def prepare(self, data: TrainingData) -> None:
        self.learned.prepare(data)
        self.filter.solve(data, seed=0)
        self.filter.to(self.learned.items.weight.device)

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        return self.learned.loss(batch)

    def refresh(self, data: TrainingData) -> None:
        self.learned.refresh(data)

    def settle(self, data: TrainingData) -> None:
        self.learned.settle(data)

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        learned = standardised(self.learned.score(query)).mul_(self.share)
        return never_pad(learned.add_(standardised(self.filter.score(query)), alpha=1 - self.share))

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return self.learned.answered_by(query)


def standardised(scores: Float32[Tensor, "B I"]) -> Float32[Tensor, "B I"]:
    """Scores with mean 0 and deviation 1 over the items, in place; all alike become 0."""
    items = scores[:, 1:]
    spread, mean = torch.std_mean(items, 1, correction=0, keepdim=True)
    items.sub_(mean).div_(spread.clamp(min=1e-12))
    return scores
