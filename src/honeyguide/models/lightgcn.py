"""LightGCN: the vectors of a factorisation, averaged over what passes along the edges of the graph.

He et al. 2020. Differences: any loss of models/factor.py, the full softmax by default (the paper
takes bpr with one negative); a history other than the trained one is answered by one step of
passing from the layers of the items, which for a trained history gives back the trained row exactly
and for a stranger leaves out the free vector, which nobody has learned.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.query import Query
from honeyguide.data.training import TrainingData
from honeyguide.models.factor import Factors, FactorSpec
from honeyguide.models.spec import Count, NotNegative, Positive, Schema
from honeyguide.nn.graph import Edges, layers_mean


class LightGCN(FactorSpec):
    """Light graph convolution."""

    name: ClassVar[str] = "lightgcn"

    layers: Annotated[Count, Choice((1, 2, 3, 4))] = 3
    """Steps along the edges. Fewer for dense graphs."""
    l2: Annotated[NotNegative | None, Range(1e-7, 1e-3, log=True)] = 1e-4
    """Ridge on the free vectors, for each pair."""
    batch: Count = 1024
    """User rows (softmax) or pairs (all others: the larger, the fewer passes over the graph)."""
    learning_rate: Annotated[Positive, Range(1e-3, 5e-2, log=True)] = 1e-2
    """Step size of Adam."""

    @property
    def shares(self) -> tuple[float, ...]:
        """What each layer, from the free vectors on, is worth in the mean."""
        return (1 / (self.layers + 1),) * (self.layers + 1)

    def build(self, schema: Schema) -> "LightGCNModel":
        return LightGCNModel(self, schema)


class LightGCNModel(Factors):
    """user.weight (U, D), items.weight (I, D): the free vectors, layer 0.

    user.mean (U, D), mean (I, D): their means over the layers, which scores are made of. feed
    (I, D): what an item gives to each user who took it, over all layers, but for the user's degree.
    """

    def __init__(self, spec: LightGCN, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.shares = spec.shares
        self.mean: Tensor
        self.feed: Tensor
        self.user.register_buffer("mean", torch.zeros(schema.users, spec.width))
        self.register_buffer("mean", torch.zeros(schema.items, spec.width))
        self.register_buffer("feed", torch.zeros(schema.items, spec.width))
        self.edges: Edges | None = None  # while training only; answers need the buffers

    def prepare(self, data: TrainingData) -> None:
        super().prepare(data)
        self.edges = Edges.of(data.interactions.pairs(self.spec.rule))

    def free(self) -> Float[Tensor, "N D"]:
        """Layer 0 of all nodes."""
        return torch.cat([self.user.weight, self.items.weight])

    def tables(self) -> tuple[Float[Tensor, "U D"], Float[Tensor, "I D"]]:
        assert self.edges is not None, "prepare(data) comes first"
        mean = layers_mean(self.free(), self.edges, self.shares)
        return mean[: self.schema.users], mean[self.schema.users :]

    def passed(self, size: Float32[Tensor, " R"]) -> Float32[Tensor, " R"]:
        # a singular vector of the edges is that of each layer: only its length changes
        return sum((share * size**k for k, share in enumerate(self.shares)), torch.zeros_like(size))

    @torch.no_grad()
    def settle(self, data: TrainingData) -> None:
        """The means over the layers, and what folding in needs."""
        self.fingerprinted(data.interactions)
        assert self.edges is not None
        users, layer = self.schema.users, self.free()
        mean, feed = layer * self.shares[0], torch.zeros_like(self.feed)
        degree = np.bincount(self.edges.matrix.indices, minlength=self.schema.items)
        scale = torch.from_numpy(np.maximum(degree, 1).astype(np.float32) ** -0.5)
        for share in self.shares[1:]:
            feed.add_(layer[users:], alpha=share)
            layer = self.edges.spread(layer)
            mean.add_(layer, alpha=share)
        self.user.get_buffer("mean").copy_(mean[:users])
        self.mean.copy_(mean[users:])
        self.feed.copy_(feed * scale.to(feed.device)[:, None])

    def rows(self, users: Int64[Tensor, " B"]) -> Float32[Tensor, "B D"]:
        return self.comparable(self.user.get_buffer("mean")[users])

    def priors(self, users: Int64[Tensor, " B"]) -> Float32[Tensor, "B D"]:
        free: Tensor = self.user(users)
        return free

    def item_vectors(self) -> Float32[Tensor, "I D"]:
        return self.comparable(self.mean)

    def fold_in(self, query: Query, prior: Float32[Tensor, "B D"]) -> Float32[Tensor, "B D"]:
        """One step from the items of the history to the user."""
        pairs = query.pairs(self.spec.rule)
        degree = pairs.offsets.diff().clamp(min=1)
        received = pairs.times(self.feed) / degree.sqrt()[:, None]
        return self.comparable(self.shares[0] * prior + received)
