"""SparseFC: ratings completed by two autoencoders with kernelised weights, one from each side.

Muller, Martel and Indiveri 2018, "Kernelized synaptic weight matrices" (also the local part of
GLocal-K, Han et al. 2021): a weight counts as far as a kernel of finite support brings the ends of
its connection together, which makes layers sparse and keeps a wide network from learning 5 % of a
matrix by heart. Differences: the paper reads a column of the matrix (one item, all users) and
cannot answer anyone new; here a second network reads rows, and the prediction is a weighted mean of
both. The item side answers a history by ridge regression onto the items' hidden values, around the
rows of training. No global kernel. Predictions are ratings and are kept inside the scale.
"""

from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import Field
from torch import Tensor, nn

from honeyguide.config import Range
from honeyguide.data.query import Pairs, Query, fingerprints
from honeyguide.data.rule import Rule
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, TrainingError
from honeyguide.models.spec import (
    Count,
    NotNegative,
    RowVectors,
    Schema,
    Solved,
    Spec,
    never_pad,
)
from honeyguide.nn import memory
from honeyguide.types import NEVER

HELD = 8  # matrices of users x items at once: ratings, which there are, predictions, gradients
WORKING = 64 << 20  # bytes of systems solved at once while folding in


class SparseFC(Spec):
    """Kernelised rating autoencoder."""

    name: ClassVar[str] = "sparse-fc"
    needs: ClassVar[frozenset[str]] = frozenset({"value"})
    rule: ClassVar[Rule] = Rule(value="value")

    hidden: tuple[Count, ...] = (500, 500)
    """Widths of the layers between input and output, in both networks."""
    places: Count = 5
    """Dimensions of the space in which the kernel measures distances."""
    l2: Annotated[NotNegative, Range(5, 200, log=True)] = 40.0
    """Ridge on weights. Raise it on sparser data."""
    sparsity: Annotated[NotNegative, Range(1e-4, 0.1, log=True)] = 0.006
    """Ridge on the kernel: more closes more connections."""
    users_share: Annotated[float, Field(ge=0, le=1), Range(0, 0.6)] = 0.25
    """Weight of the network that reads users; 0 trains the other one only, as the paper does."""
    epochs: Count = 200
    """Steps of L-BFGS, each about one pass over the matrix. Fewer stop earlier."""

    def build(self, schema: Schema) -> "SparseFCModel":
        return SparseFCModel(self, schema)


class SparseFCModel(RowVectors, Solved):
    """H = width of the last hidden layer. user.weight (U, H + 1): how a user weighs the items'
    hidden values, its bias last, as what is apart from `typical`. items.weight (I, 2H + 2): the
    hidden values of an item and 1; then how it weighs the users' hidden values, and its bias."""

    def __init__(self, spec: SparseFC, schema: Schema) -> None:
        half = spec.hidden[-1] + 1
        super().__init__(spec, schema, half)
        self.settings = spec
        self.items = nn.Embedding(schema.items, 2 * half, padding_idx=PAD)
        self.requires_grad_(False)
        widths = (schema.items, *spec.hidden)
        self.reader = nn.ModuleList(_Folded(a, b) for a, b in pairwise(widths))
        self.typical: Tensor
        self.spread: Tensor
        self.scale: Tensor
        self.register_buffer("typical", torch.zeros(half))  # mean of the trained rows
        self.register_buffer("spread", torch.ones(half))  # their variance over that of the noise
        self.register_buffer("scale", torch.zeros(3))  # lowest and highest rating; a liking

    def solve(self, data: TrainingData, seed: int) -> None:
        self._refuse_large()
        events = data.interactions.counting(self.spec.rule)
        matrix = events.pairs(self.spec.rule)
        given = matrix.data[~np.isnan(matrix.data)]
        low, high, liking = given.min(), given.max(), np.quantile(given, 0.75)
        self.scale = torch.tensor([low, high, liking], dtype=torch.float32)
        matrix.data = np.where(np.isnan(matrix.data), self.scale[2].item(), matrix.data)
        rated = torch.zeros(matrix.shape)
        there = torch.zeros(matrix.shape, dtype=torch.bool)
        rows = torch.repeat_interleave(
            torch.arange(len(rated)), torch.from_numpy(np.diff(matrix.indptr)).long()
        )
        columns = torch.from_numpy(matrix.indices).long()
        rated[rows, columns] = torch.from_numpy(matrix.data)
        there[rows, columns] = True
        random = torch.Generator().manual_seed(seed)
        self._item_side(rated.T, there.T, random)
        self._user_side(rated, there, random)
        with torch.no_grad():
            self.items.weight[PAD] = 0
        self.as_of.copy_(torch.from_numpy(fingerprints(events)))

    def _refuse_large(self) -> None:
        schema, left = self.schema, memory.available()
        needed = HELD * 4 * schema.users * schema.items
        if needed > left:
            raise CallError(
                f"sparse-fc holds {HELD} matrices of {schema.users:,} users x {schema.items:,} "
                f"items while it is solved: {memory.words(needed)}, and {memory.words(left)} are "
                "left.",
                "Take fewer users or items (--k-core).",
            )

    def _item_side(self, rated: Tensor, there: Tensor, random: torch.Generator) -> None:
        spec, half = self.settings, self.user.embedding_dim
        net = _Network.of(spec, rated.shape[1], random)
        known = there.any(1)
        error = descend(net, rated[known].contiguous(), there[known], spec)
        with torch.no_grad():
            last = net.folded()[-1]
            rows = torch.cat([last.weight.T, last.bias[:, None]], 1)  # (U, H + 1)
            hidden = net.hidden(rated)
            # an item that nobody has rated is what such items are on average
            hidden[~known] = hidden[known].mean(0)
            self.items.weight[:, : half - 1], self.items.weight[:, half - 1] = hidden, 1
            active = there.any(0)
            self.typical = rows[active].mean(0)
            self.user.weight.copy_(torch.where(active[:, None], rows - self.typical, 0))
            self.spread = (rows[active] - self.typical).square().mean(0) / max(error, 1e-6)

    def _user_side(self, rated: Tensor, there: Tensor, random: torch.Generator) -> None:
        spec, half = self.settings, self.user.embedding_dim
        if spec.users_share == 0:
            with torch.no_grad():
                self.items.weight[:, half:] = 0
            return
        net = _Network.of(spec, rated.shape[1], random)
        known = there.any(1)
        descend(net, rated[known].contiguous(), there[known], spec)
        with torch.no_grad():
            *others, last = net.folded()
            for mine, layer in zip(self.reader, others, strict=True):
                mine.take(layer)  # type: ignore[operator]
            weights, bias = last.weight.T, last.bias.clone()  # (I, H), (I,)
            never = ~there.any(0)
            weights[never], bias[never] = weights[~never].mean(0), bias[~never].mean()
            self.items.weight[:, half:-1], self.items.weight[:, -1] = weights, bias

    def _rated(self, query: Query) -> Pairs:
        """The rows of a question; an event without a rating is a liking."""
        pairs = query.pairs(self.spec.rule)
        weights = torch.where(pairs.weights.isnan(), self.scale[2], pairs.weights)
        return Pairs(pairs.items, weights, pairs.offsets)

    def rows(self, users: Int64[Tensor, " B"]) -> Float32[Tensor, "B H1"]:
        return super().rows(users) + self.typical

    def fold_in(self, query: Query, prior: Float32[Tensor, "B H1"]) -> Float32[Tensor, "B H1"]:
        """Ridge regression of the ratings onto the hidden values of the items, around the trained
        row or the typical one. The ridge is what the trained rows vary by."""
        pairs, half = self._rated(query), self.user.embedding_dim
        around = torch.where((query.user >= 0)[:, None], prior, self.typical)
        out = around.clone()
        longest = max(1, int(pairs.offsets.diff().max()))
        step = max(1, WORKING // (4 * longest * max(longest, half)))
        for start in range(0, len(query), step):
            part = pairs.part(start, min(start + step, len(query)))
            row, count = part.rows(), part.offsets.diff()
            place = torch.arange(len(row), device=row.device) - part.offsets[row]
            values = out.new_zeros(len(count), max(1, int(count.max())), half)
            values[row, place] = self.items.weight[part.items, :half]
            missed = out.new_zeros(values.shape[:2])
            mine = out[start : start + step]
            missed[row, place] = part.weights - (values[row, place] * mine[row]).sum(1)
            system = (values * self.spread) @ values.transpose(1, 2)
            system.diagonal(dim1=1, dim2=2).add_(1)
            moved = torch.linalg.solve(system, missed)
            mine += torch.einsum("bl,bld->bd", moved, values) * self.spread
        return out

    def query_vectors(self, query: Query) -> Float32[Tensor, "B D"]:
        share, rows = self.settings.users_share, self.query_rows(query)
        if share == 0:
            return torch.cat([rows, torch.zeros_like(rows)], 1)
        pairs = self._rated(query)
        hidden: Tensor = torch.sigmoid(self.reader[0].of(pairs))  # type: ignore[operator]
        for layer in self.reader[1:]:
            hidden = torch.sigmoid(layer(hidden))
        hidden = torch.cat([hidden, hidden.new_ones(len(hidden), 1)], 1)
        return torch.cat([(1 - share) * rows, share * hidden], 1)

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        scores = self.query_vectors(query) @ self.items.weight.T
        return never_pad(self._inside(scores))

    def score_few(self, query: Query, items: Int64[Tensor, "B C"]) -> Float32[Tensor, "B C"]:
        return self._inside(super().score_few(query, items)).masked_fill(items == PAD, NEVER)

    def _inside(self, scores: Tensor) -> Tensor:
        """Inside the scale, but for a thousandth of what lies outside, which keeps the order."""
        inside = scores.clamp(float(self.scale[0]), float(self.scale[1]))
        return inside + (scores - inside) / 1000


class _Folded(nn.Module):
    """A trained layer, its kernel multiplied in."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", torch.zeros(given, made))
        self.register_buffer("bias", torch.zeros(made))

    def take(self, other: "_Folded") -> None:
        """Hold what the other holds."""
        self.weight, self.bias = other.weight, other.bias

    def of(self, pairs: Pairs) -> Float32[Tensor, "B H"]:
        """The layer of sparse rows."""
        return pairs.times(self.weight) + self.bias

    def forward(self, given: Float32[Tensor, "B G"]) -> Float32[Tensor, "B H"]:
        return given @ self.weight + self.bias


class _Kernelised(nn.Module):
    """weight (G, H) times max(0, 1 - |start - end|^2), which has its own place for each unit."""

    def __init__(self, given: int, made: int, places: int, random: torch.Generator) -> None:
        super().__init__()
        bound = (6 / (given + made)) ** 0.5
        self.weight = nn.Parameter(
            torch.empty(given, made).uniform_(-bound, bound, generator=random)
        )
        self.start = nn.Parameter(torch.randn(given, places, generator=random) * 1e-3)
        self.end = nn.Parameter(torch.randn(made, places, generator=random) * 1e-3)
        self.bias = nn.Parameter(torch.zeros(made))

    def kernel(self) -> Float32[Tensor, "G H"]:
        """How open each connection is, from 0 to 1."""
        apart = self.start.square().sum(1)[:, None] + self.end.square().sum(1)
        return (1 - apart + 2 * self.start @ self.end.T).clamp(0, 1)

    @torch.no_grad()
    def folded(self) -> _Folded:
        """The layer as one matrix."""
        made = _Folded(*self.weight.shape)
        made.weight, made.bias = self.weight * self.kernel(), self.bias.clone()
        return made


class _Network(nn.ModuleList):
    """Layers with sigmoids between them."""

    @property
    def kernelised(self) -> list[_Kernelised]:
        """The layers, first one first."""
        return list(self)  # type: ignore[arg-type]

    @staticmethod
    def of(spec: SparseFC, outside: int, random: torch.Generator) -> "_Network":
        """A fresh one, from `outside` numbers to as many."""
        widths = (outside, *spec.hidden, outside)
        return _Network(_Kernelised(a, b, spec.places, random) for a, b in pairwise(widths))

    def folded(self) -> list["_Folded"]:
        """Each layer as one matrix."""
        return [layer.folded() for layer in self.kernelised]

    @torch.no_grad()
    def hidden(self, rated: Float32[Tensor, "N G"]) -> Float32[Tensor, "N H"]:
        """What the last layer is given."""
        for layer in self.folded()[:-1]:
            rated = torch.sigmoid(layer(rated))
        return rated

    def missed(self, rated: Tensor, there: Tensor, spec: SparseFC) -> tuple[Tensor, Tensor]:
        """Half the squared error over the ratings, and all ridges."""
        given, ridge = rated, rated.new_zeros(())
        for number, layer in enumerate(self.kernelised):
            kernel = layer.kernel()
            ridge = ridge + spec.l2 / 2 * layer.weight.square().sum()
            ridge = ridge + spec.sparsity / 2 * kernel.square().sum()
            made = torch.addmm(layer.bias, given, layer.weight * kernel)
            given = made if number == len(self) - 1 else torch.sigmoid(made)
        return ((given - rated) * there).square().sum() / 2, ridge


def descend(net: _Network, rated: Tensor, there: Tensor, spec: SparseFC) -> float:
    """L-BFGS (Nocedal 1980) on the whole matrix; the mean squared error that is left."""
    descent = torch.optim.LBFGS(
        net.parameters(),
        max_iter=spec.epochs,
        max_eval=2 * spec.epochs,
        line_search_fn="strong_wolfe",
    )
    left = [0.0]

    def told() -> float:
        descent.zero_grad()
        error, ridge = net.missed(rated, there, spec)
        loss = error + ridge
        loss.backward()  # type: ignore[no-untyped-call]
        left[0] = float(error.detach())
        if not np.isfinite(left[0]):
            raise TrainingError(
                "The loss of sparse-fc is not a finite number any more.",
                "Raise l2, and look for ratings that are far off the scale.",
            )
        return float(loss.detach())

    with torch.enable_grad():
        descent.step(told)  # type: ignore[no-untyped-call]
    return 2 * left[0] / float(there.sum())
