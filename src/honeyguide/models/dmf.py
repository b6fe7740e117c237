"""DMF: a tower over what a user took, a tower over who took an item, and how near they end.

Xue et al. 2017, "Deep matrix factorization models for recommender systems": both towers read rows
and columns of the matrix itself and meet in a narrow layer, where a cosine compares them.
Differences: the full softmax in place of the cross-entropy with sampled negatives; rows and columns
are of length one before they are read; the distance of Euclid and the inner product beside the
cosine. As in the paper what is to be found stands among what is read. No user has a row: an answer
rests on the history alone.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Float32
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.query import Pairs, Query
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.models.spec import (
    AnsweredBy,
    Count,
    Learned,
    LearnedSpec,
    Positive,
    Schema,
    Share,
    Vectors,
)
from honeyguide.nn.dropout import Dropout
from honeyguide.nn.rows import rows_times
from honeyguide.nn.softmax import row_softmax


class DMF(LearnedSpec):
    """Deep matrix factorisation."""

    name: ClassVar[str] = "dmf"
    within_items: ClassVar[tuple[str, ...]] = ("width",)

    width: Annotated[Count, Choice((64, 128, 256))] = 64
    """Numbers in the layer where both towers end."""
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] = (128,)
    """Widths of each tower's layers before it."""
    dropout: Annotated[Share, Range(0, 0.7)] = 0.3
    """Share of what a tower reads that is left out while training. Raise it on small data."""
    similarity: Literal["dot", "cosine", "euclid"] = "cosine"
    """What a score is: the inner product, the cosine or minus the squared distance."""
    temperature: Annotated[Positive, Range(0.05, 2, log=True)] = 0.15
    """Divides the scores before the loss looks at them. About 1 for dot and euclid."""
    batch: Count = 256
    """User rows per step. Each step reads all columns, so raise it on large catalogues."""
    learning_rate: Annotated[Positive, Range(2e-4, 1e-2, log=True)] = 2e-3
    """Step size of Adam."""

    @property
    def unit(self) -> Unit:
        return "user row"

    def build(self, schema: Schema) -> "DMFModel":
        return DMFModel(self, schema)


class DMFModel(Vectors, Learned):
    """items.weight (I, H), user.weight (U, H): what an item gives to the tower of users, a user to
    that of items. vectors (I, D + 1): where the items have ended."""

    def __init__(self, spec: DMF, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        first = spec.hidden[0]
        self.items = nn.Embedding(schema.items, first)
        self.user = nn.Embedding(schema.users, first)
        for table in (self.items, self.user):
            nn.init.xavier_normal_(table.weight)
        self.of_user, self.of_item = _Tower(spec), _Tower(spec)
        self.vectors: Tensor
        self.register_buffer("vectors", torch.zeros(schema.items, spec.width + 1))
        self.columns: Pairs | None = None  # while training only

    def prepare(self, data: TrainingData) -> None:
        self.columns = Pairs.of(data.interactions.pairs(self.spec.rule).T.tocsr())

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        row = batch.row
        assert row is not None
        asking = self._asking(row) / self.settings.temperature
        return row_softmax(asking, self._asked(), row.items, row.offsets).float()

    def settle(self, data: TrainingData) -> None:
        with torch.no_grad():
            self.vectors.copy_(self._asked())
        self.vectors[PAD] = 0

    def query_vectors(self, query: Query) -> Float32[Tensor, "B D1"]:
        return self._asking(query.pairs(self.spec.rule))

    def item_vectors(self) -> Float32[Tensor, "I D1"]:
        return self.vectors

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return ["history"] * len(query)

    def _asking(self, rows: Pairs) -> Float[Tensor, "B D1"]:
        """Query vectors; their last number is what an item's last number counts for."""
        ends = self.of_user(rows, self.items.weight)
        if self.settings.similarity == "euclid":  # -|u - v|^2 but for |u|^2: 2 u v - |v|^2
            return torch.cat([2 * ends, ends.new_ones(len(ends), 1)], 1)
        return torch.cat([self._scaled(ends), ends.new_zeros(len(ends), 1)], 1)

    def _asked(self) -> Float[Tensor, "I D1"]:
        assert self.columns is not None, "prepare(data) comes first"
        self.columns = self.columns.to(self.user.weight.device)  # training ends on the CPU
        ends = self._scaled(self.of_item(self.columns, self.user.weight))
        size = ends.square().sum(1, keepdim=True)
        return torch.cat([ends, -size if self.settings.similarity == "euclid" else 0 * size], 1)

    def _scaled(self, ends: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        return normalize(ends) if self.settings.similarity == "cosine" else ends


class _Tower(nn.Module):
    """Sparse rows of length one through the layers."""

    def __init__(self, spec: DMF) -> None:
        super().__init__()
        self.dropout = Dropout(spec.dropout)
        self.shift = nn.Parameter(torch.zeros(spec.hidden[0]))
        widths = pairwise((*spec.hidden, spec.width))
        self.layers = nn.ModuleList(nn.Linear(given, made) for given, made in widths)

    def forward(self, rows: Pairs, table: Float[Tensor, "N H"]) -> Float[Tensor, "B D"]:
        count = rows.offsets.diff().clamp(min=1).to(table.dtype)
        weights = self.dropout(count.rsqrt()[rows.rows()])
        hidden = rows_times(rows, weights, table) + self.shift
        for layer in self.layers:
            hidden = layer(torch.tanh(hidden))
        return hidden.float()
