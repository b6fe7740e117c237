"""XSimGCL: LightGCN whose layers are disturbed by noise and have to agree with each other.

Yu et al. 2023, "XSimGCL: Towards extremely simple graph contrastive learning for recommendation".
Differences: any loss of models/factor.py beside bpr (the full softmax reads less here, where
LightGCN gains by it); users and items that are contrasted are those of the batch, as in the paper,
and of an unlearned user (a stranger) the free vector is not missed, because layer 0 is no part of
the mean.
"""

from typing import Annotated, ClassVar

import torch
from jaxtyping import Float32
from pydantic import model_validator
from torch import Tensor

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch
from honeyguide.errors import CallError
from honeyguide.models.factor import LossName
from honeyguide.models.lightgcn import LightGCN, LightGCNModel
from honeyguide.models.spec import Count, NotNegative, Positive, Schema
from honeyguide.nn import losses
from honeyguide.nn.graph import disturbed_layers


class XSimGCL(LightGCN):
    """Graph convolution with noise-based contrast across layers."""

    name: ClassVar[str] = "xsimgcl"

    loss: LossName = "bpr"
    """bpr, as in the paper; the full softmax was worse on MovieLens-1M."""
    negatives: Count = 1
    """Negatives per positive, or per batch (sampled-softmax); softmax and directau draw none."""
    batch: Count = 4096
    """User rows (softmax, which wants hundreds) or pairs (all others)."""
    learning_rate: Annotated[Positive, Range(1e-3, 2e-2, log=True)] = 4e-3
    """Step size of Adam."""
    patience: Count = 15
    """Stop after so many epochs without a better validation metric. The first ten may get worse
    before they get better."""
    layers: Annotated[Count, Choice((2, 3))] = 2
    """Steps along the edges."""
    contrast: Annotated[NotNegative, Range(0.01, 0.5, log=True)] = 0.2
    """Weight of the contrast between layers against the loss."""
    contrast_layer: Count = 1
    """The layer that the mean has to agree with; at most `layers`."""
    contrast_temperature: Annotated[Positive, Choice((0.1, 0.15, 0.2))] = 0.2
    """Divides the cosines inside the contrast."""
    noise: Annotated[NotNegative, Choice((0.05, 0.1, 0.2))] = 0.2
    """Length of the noise on each layer."""

    @property
    def shares(self) -> tuple[float, ...]:
        return (0.0, *[1 / self.layers] * self.layers)

    @model_validator(mode="after")
    def _the_layer_is_one_of_them(self) -> "XSimGCL":
        if self.contrast_layer > self.layers:
            raise CallError(
                f"There is no layer {self.contrast_layer} among {self.layers} to contrast with.",
                "Choose contrast_layer up to layers.",
            )
        return self

    def build(self, schema: Schema) -> "XSimGCLModel":
        return XSimGCLModel(self, schema)


class XSimGCLModel(LightGCNModel):
    """The tensors of LightGCN."""

    def __init__(self, spec: XSimGCL, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        assert self.edges is not None, "prepare(data) comes first"
        spec, users = self.settings, self.schema.users
        mean, layer = disturbed_layers(
            self.free(), self.edges, spec.layers, spec.noise, spec.contrast_layer
        )
        told = self.told(batch, mean[:users], mean[users:])
        items = batch.target[:, 0] if batch.row is None else batch.row.items
        for nodes in (torch.unique(batch.query.user), torch.unique(items) + users):
            contrast = losses.info_nce(mean[nodes], layer[nodes], spec.contrast_temperature)
            told = told.add(contrast, alpha=spec.contrast)
        return told
