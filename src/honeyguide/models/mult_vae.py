"""Mult-VAE: a user's set of items through a narrow middle, and out again as a choice among all.

Liang et al. 2018, "Variational autoencoders for collaborative filtering": multinomial likelihood,
inputs of length one with dropout, and a weight below 1 on the divergence from the prior, raised
while training. Differences: the input layer is a sparse product over the items that a user has, so
the dense row is never made; the loss is the mean over items and not over users, which gives a user
with many items the same say for each of them.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.query import Pairs, Query
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import (
    Count,
    Dense,
    Learned,
    LearnedSpec,
    NotNegative,
    Positive,
    Schema,
    Share,
    never_pad,
)
from honeyguide.nn.rows import rows_times
from honeyguide.nn.softmax import row_softmax


class MultVAE(LearnedSpec):
    """Variational autoencoder with a multinomial likelihood."""

    name: ClassVar[str] = "mult-vae"
    within_items: ClassVar[tuple[str, ...]] = ("width",)

    width: Annotated[Count, Choice((64, 128, 200, 256))] = 200
    """Numbers in the middle."""
    hidden: tuple[Count, ...] = (600,)
    """Widths between the items and the middle; the way out has them in reverse."""
    dropout: Annotated[Share, Range(0.2, 0.8)] = 0.5
    """Share of a user's items that the input leaves out."""
    beta: Annotated[NotNegative, Range(0.05, 1)] = 0.2
    """Weight of the divergence from the prior, in the end. 0 leaves the noise unchecked."""
    warmup: Count = 2000
    """Steps over which that weight rises from 0."""
    batch: Count = 500
    """User rows per step."""
    learning_rate: Annotated[Positive, Range(2e-4, 5e-3, log=True)] = 1e-3
    """Step size of Adam."""

    @property
    def unit(self) -> Unit:
        return "user row"

    def build(self, schema: Schema) -> "MultVAEModel":
        return MultVAEModel(self, schema)


class MultVAEModel(Dense, Learned):
    """into (I, H): what an item gives to the first layer. out (I, H + 1): its row of the last one,
    its bias last."""

    def __init__(self, spec: MultVAE, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        first, *others = spec.hidden
        self.into = nn.Parameter(torch.empty(schema.items, first))
        self.shift = nn.Parameter(torch.zeros(first))
        self.encode = _layers([first, *others, 2 * spec.width])
        self.decode = _layers([spec.width, *reversed(spec.hidden)])
        self.out = nn.Parameter(torch.zeros(schema.items, first + 1))
        nn.init.xavier_normal_(self.into)
        with torch.no_grad():
            nn.init.xavier_normal_(self.out[:, :-1])
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def middle(self, row: Pairs) -> tuple[Float[Tensor, "B W"], Float[Tensor, "B W"]]:
        """Mean and log-variance of what stands in the middle."""
        size = row.weights.new_zeros(len(row.offsets) - 1)
        size.index_add_(0, row.rows(), row.weights.square())
        weights = row.weights * size.clamp(min=1e-12).rsqrt()[row.rows()]
        if self.training:
            weights = nn.functional.dropout(weights, self.settings.dropout)
        summed = rows_times(row, weights, self.into)
        mean, log_variance = self.encode(torch.tanh(summed + self.shift)).chunk(2, dim=1)
        return mean, log_variance

    def told(self, middle: Float[Tensor, "B W"]) -> Float[Tensor, "B H1"]:
        """What the last layer multiplies with `out`: hidden values, and a 1 for the bias."""
        hidden = torch.tanh(self.decode(middle))
        return torch.cat([hidden, hidden.new_ones(len(hidden), 1)], 1)

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        row = batch.row
        assert row is not None
        mean, log_variance = (part.float() for part in self.middle(row))
        noise = torch.randn_like(mean)
        hidden = self.told(mean + noise * (log_variance / 2).exp())
        found = row_softmax(hidden, self.out, row.items, row.offsets)
        apart = (mean.square() + log_variance.exp() - log_variance - 1).sum() / 2
        self.steps += 1
        weight = self.settings.beta * (self.steps / self.settings.warmup).clamp(max=1)
        return found.float() + weight * apart / max(len(row.items), 1)

    def settle(self, data: TrainingData) -> None:
        """Nothing is needed beyond the parameters."""

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        mean, _ = self.middle(query.pairs(self.spec.rule))
        return never_pad(self.told(mean) @ self.out.T)


def _layers(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with tanh between them, drawn as the authors' code draws them."""
    parts: list[nn.Module] = []
    for given, made in pairwise(widths):
        layer = nn.Linear(given, made)
        nn.init.xavier_normal_(layer.weight)
        nn.init.trunc_normal_(layer.bias, std=0.001)
        parts += [nn.Tanh(), layer] if parts else [layer]
    return nn.Sequential(*parts)
