"""NeuMF: a factorisation and a perceptron over the same pair, joined in a last layer.

He et al. 2017, "Neural collaborative filtering": GMF, MLP and NeuMF by the setting `parts`.
Differences: both parts are trained together from the start, the factorisation from spectral vectors
where the paper trains it alone first; the first layer of the perceptron is taken apart into what
the user and what the item give to it, so that a user's share is computed once for all items and (on
a CPU) each row's once for the batch; a history other than the trained one gives a user row by a
linear map of the vectors of its items (folding.py).
"""

from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.query import Query
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.models.factor import Start, by_kernel, looked_up, start_spectrally
from honeyguide.models.folding import MappedRows
from honeyguide.models.spec import (
    DEVIATION,
    Count,
    Learned,
    LearnedSpec,
    NotNegative,
    Positive,
    Schema,
    Share,
    never_pad,
)
from honeyguide.nn import losses
from honeyguide.nn.dropout import ReluDropout
from honeyguide.nn.perceptron import Told, told
from honeyguide.types import NEVER

NOISE = 0.01
WORKING = 32 << 20  # bytes of hidden values held at once while all items are scored


class NeuMF(LearnedSpec):
    """Neural matrix factorisation."""

    name: ClassVar[str] = "neumf"

    parts: Literal["both", "gmf", "mlp"] = "both"
    """Which halves there are; both is NeuMF."""
    width: Annotated[Count, Choice((16, 32, 64))] = 64
    """Numbers per user and item in each part."""
    hidden: tuple[Count, ...] = (128, 64)
    """Widths of the perceptron's layers."""
    dropout: Annotated[Share, Range(0, 0.5)] = 0.1
    """Share of hidden values set to zero. Raise it on small data."""
    start: Start = "spectral"
    """Where the factorisation starts: noise, or the leading directions of the normalised matrix,
    which save epochs. The perceptron starts from noise."""
    loss: Literal["bce", "bpr"] = "bce"
    """bce is the paper's."""
    negatives: Count = 4
    """Negatives per positive."""
    sampler: Literal["uniform", "popularity"] = "uniform"
    """How negatives are drawn. popularity is harder."""
    l2: Annotated[NotNegative, Range(0, 1e-3)] = 0.0
    """Ridge on the looked-up rows, for each pair."""
    batch: Count = 1024
    """Pairs per step, negatives not counted."""
    learning_rate: Annotated[Positive, Range(2e-4, 1e-2, log=True)] = 1e-3
    """Step size of Adam."""

    @property
    def unit(self) -> Unit:
        return "pair"

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        return self.negatives, False, self.sampler

    def build(self, schema: Schema) -> "NeuMFModel":
        return NeuMFModel(self, schema)


class NeuMFModel(MappedRows, Learned):
    """user.weight (U, E), items.weight (I, E): half for the factorisation, half for the perceptron
    (E is 2 D, or D where there is one part)."""

    def __init__(self, spec: NeuMF, schema: Schema) -> None:
        self.halves = 2 if spec.parts == "both" else 1
        super().__init__(spec, schema, self.halves * spec.width)
        self.settings = spec
        with torch.no_grad():  # noise of .01, as in the paper
            for table in (self.user.weight, self.items.weight):
                table.mul_(NOISE / DEVIATION)
        # starts as a plain factorisation
        self.of_factors = nn.Parameter(torch.ones(spec.width)) if spec.parts != "mlp" else None
        self.perceptron = _Perceptron(spec) if spec.parts != "gmf" else None

    def prepare(self, data: TrainingData) -> None:
        if self.settings.start == "spectral" and self.of_factors is not None:
            users, items = (t.weight[:, : self.settings.width] for t in (self.user, self.items))
            pairs = data.interactions.pairs(self.spec.rule)
            start_spectrally(users, items, pairs, even=False)

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        spec, users, items = self.settings, self.user.weight, self.items.weight
        if not by_kernel(users):
            return self.plain_loss(batch)
        layers = [] if self.perceptron is None else self.perceptron.layers()
        how = Told(spec.loss, spec.l2, spec.dropout if self.training else 0.0)
        return told(users, items, batch.query.user, _asked(batch), self.of_factors, layers, how)

    def plain_loss(self, batch: Batch) -> Float32[Tensor, ""]:
        """The same by the formulas, on any device."""
        spec = self.settings
        users = looked_up(self.user.weight, batch.query.user)
        items = looked_up(self.items.weight, _asked(batch))
        scores = self._scores(users, *self._given_by(items)).float()
        loss = {"bce": losses.bce, "bpr": losses.bpr}[spec.loss](scores[:, 0], scores[:, 1:])
        if spec.l2 == 0:
            return loss
        size = users.square().sum(1) + items.square().sum(2).mean(1)
        return loss.add(size.mean(), alpha=spec.l2)

    def _given_by(
        self, rows: Float[Tensor, "B C E"]
    ) -> tuple[Float[Tensor, "B C D"], Float[Tensor, "B C H"] | None]:
        """What items give to the factorisation and to the first layer of the perceptron."""
        parts = self._parted(rows)
        return parts[0], None if self.perceptron is None else self.perceptron.of_item(parts[-1])

    def _parted(self, rows: Float[Tensor, "*N E"]) -> tuple[Tensor, ...]:
        """What is for the factorisation and what for the perceptron. Two slices would each bring
        back a gradient as large as the rows, zero in the other half."""
        return torch.split(rows, self.settings.width, -1)

    def _scores(
        self,
        users: Float[Tensor, "B E"],
        factors: Float[Tensor, "B C D"],
        first: Float[Tensor, "B C H"] | None,
    ) -> Float[Tensor, "B C"]:
        """Of C items for each user; users hold both halves."""
        scores, parts = users.new_zeros(()), self._parted(users)
        if self.of_factors is not None:
            weighed = parts[0] * self.of_factors
            # a batched product of so small matrices takes ten times as long
            scores = scores + (weighed[:, None] * factors).sum(-1)
        if self.perceptron is not None:
            assert first is not None
            given = self.perceptron.of_user(parts[-1])[:, None]
            scores = scores + self.perceptron(given + first)
        return scores

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        users, table, width = self.query_rows(query), self.items.weight, self.settings.width
        scores = users.new_zeros(len(users), len(table))
        if self.of_factors is not None:
            scores = (users[:, :width] * self.of_factors) @ table[:, :width].T
        if self.perceptron is not None:
            given = self.perceptron.of_user(users[:, -width:])
            item = self.perceptron.of_item(table[:, -width:])
            rows = max(1, WORKING // (8 * len(table) * max(self.settings.hidden)))
            for start in range(0, len(users), rows):
                block = slice(start, start + rows)
                scores[block] += self.perceptron(given[block, None] + item)
        return never_pad(scores)

    def score_few(self, query: Query, items: Int64[Tensor, "B C"]) -> Float32[Tensor, "B C"]:
        scores = self._scores(self.query_rows(query), *self._given_by(self.items(items)))
        return scores.masked_fill(items == PAD, NEVER)


def _asked(batch: Batch) -> Int64[Tensor, "B C"]:
    """The target of each pair and its negatives."""
    assert batch.negatives is not None
    return torch.cat([batch.target, batch.negatives[:, 0]], 1)


class _Perceptron(nn.Module):
    """What comes behind the first layer, which is taken apart: of_user(u) + of_item(i)."""

    def __init__(self, spec: NeuMF) -> None:
        super().__init__()
        first, *others = spec.hidden
        self.of_user = nn.Linear(spec.width, first)
        self.of_item = nn.Linear(spec.width, first, bias=False)
        sizes = zip(spec.hidden, others, strict=False)
        self.deeper = nn.ModuleList(nn.Linear(a, b) for a, b in sizes)
        self.out = nn.Linear(spec.hidden[-1], 1, bias=spec.loss == "bce")
        self.relu = ReluDropout(spec.dropout)

    def layers(self) -> list[Tensor]:
        """What the kernel is told: weights and biases in the order in which they are applied."""
        sides = [self.of_user.weight, self.of_item.weight, self.of_user.bias]
        others: list[Any] = [*self.deeper, self.out]
        further = [part for layer in others for part in (layer.weight, layer.bias)]
        return [*sides, *(part for part in further if part is not None)]

    def forward(self, first: Float[Tensor, "*N H"]) -> Float[Tensor, "*N"]:
        hidden: Tensor = self.relu(first)
        for layer in self.deeper:
            hidden = self.relu(layer(hidden))
        out: Tensor = self.out(hidden).squeeze(-1)
        return out
