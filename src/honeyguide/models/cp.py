"""CP: a factorisation with a third vector, that of the time when something is taken.

The canonical polyadic decomposition (Hitchcock 1927) of user x item x context, a score being
sum_d u_d i_d c_d; for recommendations Karatzoglou et al. 2010, "Multiverse recommendation".
Differences: that paper decomposes with a core tensor (Tucker) and fits ratings by their errors,
this one has no core and learns lists, by softmax or bpr, in which what a user takes at other times
counts against a pair as any other item does; the context is always the time, in buckets; vectors of
contexts start around 1, so that training starts as MF. A question's context is that of `Query.now`,
where that is not known of its last event, and without either the mean of all contexts. Evaluation
tells `now`, which is when the first thing to be found was taken; Recommender does not (yet), so it
answers for the time of the last event. Times are UTC. Someone who took the same item twice took it
when they last did. Any history but the trained one gives a row by a linear map (folding.py) of its
items' vectors, each under the context of its own time.
"""

from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor, nn
from torch.nn.functional import embedding

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.query import Pairs, Query
from honeyguide.data.rule import Rule
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.models.factor import Start, looked_up, start_spectrally
from honeyguide.models.folding import MappedRows
from honeyguide.models.spec import (
    DEVIATION,
    Count,
    Learned,
    LearnedSpec,
    NotNegative,
    Positive,
    Schema,
    Vectors,
)
from honeyguide.nn import losses
from honeyguide.nn.softmax import softmax
from honeyguide.types import NEVER

HOUR = 3600.0
CYCLES = {"hour": (HOUR, 24), "weekday": (24 * HOUR, 7), "hour-of-week": (HOUR, 168)}
ROWS = 1024  # histories at once, each event of which takes a vector


class CP(LearnedSpec):
    """Canonical polyadic factorisation of users, items and times."""

    name: ClassVar[str] = "cp"
    needs: ClassVar[frozenset[str]] = frozenset({"time"})
    rule: ClassVar[Rule] = Rule(value="time")
    within_items: ClassVar[tuple[str, ...]] = ("width",)

    context: Annotated[
        Literal["hour", "weekday", "hour-of-week"], Choice(("hour", "weekday", "hour-of-week"))
    ] = "hour"
    """What of the time is looked at: the hour of the day, the day of the week, or both at once,
    which wants much data."""
    width: Annotated[Count, Choice((32, 64, 128, 256))] = 64
    """Numbers per user, item and context."""
    loss: Literal["softmax", "sampled-softmax", "bpr"] = "softmax"
    """softmax looks at all items for each pair and is the best where they fit; sampled-softmax is
    its estimate for larger catalogues."""
    negatives: Count = 256
    """sampled-softmax, bpr: negatives that a batch shares."""
    start: Start = "random"
    """Where users and items start. spectral takes the leading directions of the normalised matrix
    and needs a fraction of the epochs."""
    l2: Annotated[NotNegative, Range(1e-3, 1, log=True)] = 0.1
    """Ridge on the user's vector under the context, and unless the loss is softmax on the item's,
    for each pair."""
    batch: Count = 1024
    """Pairs per step."""
    learning_rate: Annotated[Positive, Range(1e-3, 3e-2, log=True)] = 3e-3
    """Step size of Adam."""

    @property
    def unit(self) -> Unit:
        return "pair"

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        return 0 if self.loss == "softmax" else self.negatives, True, "uniform"

    def build(self, schema: Schema) -> "CPModel":
        return CPModel(self, schema)


class CPModel(MappedRows, Vectors, Learned):
    """user.weight (U, D), items.weight (I, D), contexts (T, D) for T buckets of the cycle."""

    def __init__(self, spec: CP, schema: Schema) -> None:
        super().__init__(spec, schema, spec.width)
        self.settings = spec
        self.length, count = CYCLES[spec.context]
        self.contexts = nn.Parameter(1 + DEVIATION * torch.randn(count, spec.width))

    def prepare(self, data: TrainingData) -> None:
        if self.settings.start == "spectral":
            pairs = data.interactions.pairs(self.spec.rule.but(value="one"))
            start_spectrally(self.user.weight, self.items.weight, pairs, even=False)

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        spec, target, negatives = self.settings, batch.target[:, 0], batch.negatives
        assert batch.query.now is not None
        asking = looked_up(self.user.weight, batch.query.user) * self.under(batch.query.now)
        size = asking.square().sum(1)  # of the user alone, contexts would grow to make up for it
        if spec.loss == "softmax":
            told = softmax(asking, self.items.weight, target).float()
            return told.add(size.mean(), alpha=spec.l2)
        assert negatives is not None
        assert batch.log_p is not None
        wanted, unwanted = (looked_up(self.items.weight, rows) for rows in (target, negatives))
        positive, negative = (asking * wanted).sum(1).float(), (asking @ unwanted.T).float()
        # not batch.accidental: what the user takes at other times is to lose at this one, without
        # which no loss is any smaller for looking at the time
        own = target[:, None] == negatives
        if spec.loss == "bpr":
            told = losses.bpr(positive, negative.masked_fill(own, NEVER))
        else:
            log_p = batch.log_p
            told = losses.sampled_softmax(positive, negative, log_p[target], log_p[negatives], own)
        size = size + wanted.square().sum(1)
        return told.add(size.mean(), alpha=spec.l2)

    def under(self, when: Float64[Tensor, " N"]) -> Float[Tensor, "N D"]:
        """The vectors of these times' contexts, NaN = unknown."""
        count = len(self.contexts)
        bucket = (when / self.length).floor().remainder(count).nan_to_num(count).long()
        return embedding(bucket, torch.cat([self.contexts, self.contexts.mean(0, keepdim=True)]))

    def given(self, pairs: Pairs) -> Float32[Tensor, "B D"]:
        count = pairs.offsets.diff()
        summed = self.items.weight.new_zeros(len(count), self.settings.width)
        for start in range(0, len(count), ROWS):
            part = pairs.part(start, start + ROWS)
            vectors = self.items.weight[part.items] * self.under(part.weights)
            summed.index_add_(0, start + part.rows(), vectors)
        return summed / count.clamp(min=1).sqrt()[:, None]

    def query_vectors(self, query: Query) -> Float32[Tensor, "B D"]:
        return self.query_rows(query) * self.under(_when(query))

    def item_vectors(self) -> Float32[Tensor, "I D"]:
        return self.items.weight


def _when(query: Query) -> Float64[Tensor, " B"]:
    """When each question is asked, or when its last event was; NaN = nobody knows."""
    unknown = torch.full_like(query.length, torch.nan, dtype=torch.float64)
    now = unknown if query.now is None else query.now
    if query.time is None:
        return now
    last = query.time.gather(1, (query.length - 1).clamp(min=0)[:, None])[:, 0]
    return torch.where(now.isnan(), torch.where(query.length > 0, last, unknown), now)
