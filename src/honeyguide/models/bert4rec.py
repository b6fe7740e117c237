"""BERT4Rec: a transformer that looks both ways says which items were hidden from it.

Sun et al. 2019. Special: the question is a mask behind the last event, and each example asks it
too, beside the events hidden by chance. Differences: those masks together in every example, where
the paper draws examples of either sort; the norm stands before each branch; dropout on the
branches; scores are inner products with the item vectors, without a layer or a bias of their own.
What is hidden is hidden whole: the item, what was done, and when.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn
from torch.nn.functional import pad

from honeyguide.config import Range
from honeyguide.data.batch import Batch
from honeyguide.data.query import Query
from honeyguide.data.vocab import PAD
from honeyguide.models.sequence import Event, HeadedSpec, SequenceModel, State, question
from honeyguide.models.spec import Schema, Share
from honeyguide.nn.attention import Block, BothWays


class BERT4Rec(HeadedSpec):
    """Bidirectional encoder representations for sequential recommendation."""

    name: ClassVar[str] = "bert4rec"
    causal: ClassVar[bool] = False

    masked: Annotated[Share, Range(0.1, 0.8)] = 0.2
    """Share of the events of an example that are hidden and asked for, beside what comes next.
    Targets per second are told as of a causal model, which asks for all of them."""

    @property
    def divisible(self) -> bool:
        return False  # the loss is a mean over as many targets as happen to be hidden

    def build(self, schema: Schema) -> "BothWaysModel":
        return BothWaysModel(self, schema)


class BothWaysModel(SequenceModel):
    """mask (D,) stands for an event that is not known."""

    settings: BERT4Rec

    def __init__(self, spec: BERT4Rec, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.mask = nn.Parameter(torch.randn(spec.width) * 0.02 * spec.width**0.5)
        block = partial(Block, spec.width, spec.heads, 4 * spec.width, spec.dropout)
        self.reader = BothWays(spec.width, spec.layers, spec.dropout, spec.history + 1, block)

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        query, rows = batch.query, torch.arange(len(batch.query), device=batch.target.device)
        items = query.item != PAD  # searches are not asked for
        hidden = items & (torch.rand(items.shape, device=items.device) < self.settings.masked)
        following = batch.target[rows, query.length - 1]
        if not bool(hidden.any() | (following != PAD).any()):
            hidden = items  # a batch that asks for nothing has no loss
        target = pad(query.item.masked_fill(~hidden, PAD), (0, 1))
        target[rows, query.length] = following
        real = target != PAD
        return self.loss_of(self._read(query, hidden)[real], target[real], batch)

    def _read(self, query: Query, hidden: Bool[Tensor, "B L"]) -> Float[Tensor, "B L+1 D"]:
        """What is said of each event, having seen all that are not hidden, and of the next."""
        if query.time is not None:  # the gap of the event behind a hidden one would tell its time
            query = replace(query, time=query.time.masked_fill(hidden, torch.nan))
        unknown = pad(hidden, (0, 1)).scatter(1, query.length[:, None], True)
        given = torch.where(unknown[..., None], self.mask, pad(self.inputs(query), (0, 0, 0, 1)))
        said: Tensor = self.reader(given, query.length + 1)
        return said

    def looked_for(self, query: Query) -> Float[Tensor, "B D"]:
        """What is said of the mask behind the last event."""
        said = self._read(query, torch.zeros_like(query.item, dtype=torch.bool))
        return said[torch.arange(len(query), device=said.device), query.length]

    @torch.inference_mode()
    def start(self, events: Sequence[Event]) -> State:
        """The state after these events, of which the last `history` are read."""
        kept = tuple(events[-self.settings.history :])
        vector = self.query_vectors(question(kept, self.items.weight.device))[0]
        return State(kept, vector, None)

    @torch.inference_mode()
    def advance(self, state: State, event: Event) -> State:
        """The state one event later, read anew: what looks both ways has nothing to go on from."""
        return self.start([*state.events, event])
