"""What models of what comes next share: the spec, item vectors in, items asked for, answers.

Special: item vectors are both what goes in and what is asked for. What stands between, and what a
model is trained to say at which position, is the model's: one that looks back only (causal.py) or
both ways (bert4rec.py). Letters as in models/spec.py, L events.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Float32, Float64, Int64
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, normalize

from honeyguide.config import Choice, Range, Space
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.query import Query
from honeyguide.data.rule import EVENTS_FOR, POSITIVE, SIGN, Rule
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD, UNKNOWN_USER
from honeyguide.data.words import MOST, NUMBERS
from honeyguide.errors import CallError
from honeyguide.models.spec import (
    CURES,
    AnsweredBy,
    Count,
    Learned,
    LearnedSpec,
    Positive,
    Schema,
    Share,
    Vectors,
)
from honeyguide.nn import losses
from honeyguide.nn.softmax import softmax

WIDTHS, HEADS = (32, 64, 128), (1, 2, 4)  # where tuning looks; each of these divides each of those
WORKING = 32 << 20  # bytes
COSINE_HEAT = 0.07
GAPS = 40  # buckets of time between two events, the last from 4,000 years on
VIEW = KINDS["view"].number
WITH_SEARCHES = Rule(kinds=(*POSITIVE, "search"))
FLOATS_A_PLACE = 16  # held at once in a layer, in widths: its input, its norm, what is inside


class SequenceSpec(LearnedSpec):
    """Settings of every model that reads events in order."""

    needs: ClassVar[frozenset[str]] = frozenset({"order"})
    causal: ClassVar[bool] = True
    # sparse data with short histories (Amazon Beauty)
    proven: ClassVar[tuple[dict[str, Any], ...]] = (
        {"similarity": "projection", "width": 128, "dropout": 0.5},
    )

    width: Annotated[Count, Choice(WIDTHS)] = 64
    """Numbers per item and state."""
    layers: Annotated[Count, Choice((1, 2, 3))] = 2
    """Layers of the reader."""
    dropout: Annotated[Share, Range(0, 0.6)] = 0.2
    """Raise it on small data (0.5 on Beauty), lower it on large."""
    history: Count = 200
    """The last so many events are read. Cost grows with it; 50 is enough for short histories."""
    loss: Literal["softmax", "sampled-softmax"] = "softmax"
    """softmax is the best where the catalogue fits (tens of thousands of items)."""
    negatives: Count = 512
    """Negatives per batch for sampled-softmax."""
    similarity: Annotated[Literal["dot", "cosine", "projection"], Choice(("dot", "projection"))] = (
        "dot"
    )
    """What a score is. cosine takes the length of vectors out of it, which helps on sparse data
    with short histories; projection (of the state onto the item) only that of items and ranks like
    the cosine: how long a state is says how sharp its list is, which is learned."""
    temperature: Annotated[Positive | None, Range(0.03, 0.3, log=True)] = None
    """Divides the scores before the loss looks at them; None = 0.07 by cosine, else 1. Lower it
    for sharper lists."""
    average: Share = 0.99
    """Share of a running mean of the weights that each step keeps; the mean is then what is
    validated and kept (Polyak and Juditsky 1992). Worth a tenth of the quality; 0 = the weights
    themselves, for a model that goes on learning from a few steps at a time."""
    batch: Count = 128
    """Sequences per step on average: windows of like length share a step, which holds about as many
    events as any other."""
    kinds: bool = False
    """Whether what was done (viewed, bought) is read beside the item."""
    gaps: bool = False
    """Whether the time since the event before is read beside the item; needs times. In a question
    without times it counts as not known."""
    words: bool = False
    """Whether searches are read between the items, each by the mean of its words' vectors."""

    @property
    def rule(self) -> Rule:  # type: ignore[override]
        return WITH_SEARCHES if self.words else EVENTS_FOR

    @property
    def past(self) -> int | None:
        return self.history

    def refuse(self, log: Interactions) -> None:
        super().refuse(log)
        if self.gaps and log.time is None:
            raise CallError(f"{self.name} with gaps needs time, and there is none.", CURES["time"])
        if self.words and log.words is None:
            raise CallError(
                f"{self.name} with words needs searches, and there are none.", CURES["words"]
            )

    @property
    def heat(self) -> float:
        """What the scores are divided by."""
        if self.temperature is not None:
            return self.temperature
        return COSINE_HEAT if self.similarity == "cosine" else 1.0

    def searched(self, log: Interactions) -> dict[str, Space]:
        found = super().searched(log)
        if self.similarity == "cosine":
            del found["similarity"]  # and there is no scale but the temperature
        else:
            del found["temperature"]  # vectors can take any scale up themselves
        return found

    def standing(self) -> dict[str, Any]:
        return super().standing() | {"temperature": self.heat}

    @property
    def unit(self) -> Unit:
        return "sequence"

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        return (0 if self.loss == "softmax" else self.negatives), True, "popularity"

    @property
    def divisible(self) -> bool:
        return self.drawn[0] == 0


class HeadedSpec(SequenceSpec):
    """Settings of sequence models with attention."""

    heads: Annotated[Count, Choice(HEADS)] = 1
    """Attention heads; must divide the width."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "HeadedSpec":
        if self.width % self.heads:
            raise CallError(
                f"{self.heads} heads do not divide a width of {self.width}.",
                "Choose heads so that width is a multiple of them.",
            )
        return self

    def searched(self, log: Interactions) -> dict[str, Space]:
        found = super().searched(log)
        for name, values in (
            ("width", tuple(w for w in WIDTHS if w % self.heads == 0)),
            ("heads", tuple(h for h in HEADS if self.width % h == 0)),
        ):
            found[name] = Choice(values)
            if not values:
                del found[name]
        return found


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a history. item: a number of the model, PAD for a search. time: seconds since
    1970, if known. words: the numbers of a search's words (data/words.py); a model that does not
    read them must not be given searches."""

    item: int
    kind: int = VIEW
    time: float | None = None
    words: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Someone's history as it has been read so far; a value, so an older one stays as it was.

    events: those that a new reading would start from, the last of a window. vector (D,): what is
    looked for now. carried: what the reader needs for the next event, None where it starts anew.
    """

    events: tuple[Event, ...]
    vector: Float32[Tensor, " D"]
    carried: tuple[Any, ...] | None


class SequenceModel(Vectors, Learned):
    """items.weight (I, D) is both what goes in and what is asked for. kinds.weight (K, D),
    gaps.weight (GAPS, D) and words.weight (NUMBERS, D), each where the spec wants it, are added to
    what goes in; of several words the mean."""

    def __init__(self, spec: SequenceSpec, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        self.items = _table(schema.items, spec.width)
        self.kinds = _table(len(SIGN), spec.width) if spec.kinds else None
        self.gaps = _table(GAPS, spec.width) if spec.gaps else None
        self.words = _table(NUMBERS, spec.width) if spec.words else None

    @abstractmethod
    def looked_for(self, query: Query) -> Float[Tensor, "B D"]:
        """What few enough people to be read at once look for after their last event."""

    @abstractmethod
    def start(self, events: Sequence[Event]) -> State:
        """The state after these events, of which the last `history` are read."""

    @abstractmethod
    def advance(self, state: State, event: Event) -> State:
        """The state one event later."""

    def inputs(self, query: Query, before: float | None = None) -> Float[Tensor, "B L D"]:
        """The vectors of events; before: the time of the event before the first."""
        given: Tensor = self.items(query.item)
        if self.kinds is not None:
            given = given + self.kinds(query.kind)
        if self.gaps is not None and query.time is not None:
            first = torch.full_like(query.time[:, :1], torch.nan if before is None else before)
            given = given + self.gaps(gap_buckets(query.time, first))
        if self.words is not None and query.words is not None:
            searches = query.words[..., 0].nonzero(as_tuple=True)  # few: the others cost nothing
            typed = query.words[searches]
            asked = embedding_bag(typed, self.words.weight, mode="mean", padding_idx=0)
            given = given.index_put(searches, asked.to(given.dtype), accumulate=True)
        scaled: Tensor = given * self.settings.width**0.5
        return scaled

    def loss_of(
        self, asked: Float[Tensor, "T D"], target: Int64[Tensor, " T"], batch: Batch
    ) -> Float32[Tensor, ""]:
        """Mean loss of what was looked for where these items came."""
        asked = self.comparable(asked) / self.settings.heat
        if batch.negatives is None:
            return softmax(asked, self.item_vectors(), target)
        assert batch.log_p is not None
        positive = (asked * self.vectors_of(target)).sum(1)
        negative = asked @ self.vectors_of(batch.negatives).T
        return losses.sampled_softmax(
            positive.float(),
            negative.float(),
            batch.log_p[target],
            batch.log_p[batch.negatives],
            batch.negatives == target[:, None],
        )

    def settle(self, data: TrainingData) -> None:
        """Nothing: every answer comes from the history."""

    def query_vectors(self, query: Query) -> Float32[Tensor, "B D"]:
        # as many rows at once as keep what the layers hold under WORKING, however many are asked
        place_bytes = FLOATS_A_PLACE * self.settings.width * 4
        rows = max(1, WORKING // (place_bytes * query.item.shape[1]))
        starts = range(0, max(len(query), 1), rows)
        found = torch.cat([self.looked_for(query.part(a, a + rows)).float() for a in starts])
        return self.comparable(found)

    def item_vectors(self) -> Float32[Tensor, "I D"]:
        return self._measured(self.items.weight)

    def vectors_of(self, items: Int64[Tensor, "*N"]) -> Float[Tensor, "*N D"]:
        return self._measured(self.items(items))

    def comparable(self, states: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """States whose inner product with item vectors is the score."""
        return normalize(states, dim=-1) if self.settings.similarity == "cosine" else states

    def _measured(self, items: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        return items if self.settings.similarity == "dot" else normalize(items, dim=-1)

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return ["history"] * len(query)


def question(events: Sequence[Event], device: torch.device) -> Query:
    """What one person with these events asks."""
    read = events or [Event(PAD, kind=0)]
    times = [torch.nan if event.time is None else event.time for event in read]
    length = torch.tensor([len(events)], device=device)
    return Query(
        item=torch.tensor([[event.item for event in read]], device=device),
        kind=torch.tensor([[event.kind for event in read]], device=device),
        length=length,
        user=torch.full_like(length, UNKNOWN_USER),
        as_of=torch.zeros_like(length),
        time=torch.tensor([times], dtype=torch.float64, device=device),
        words=torch.tensor([[_filled(event.words) for event in read]], device=device),
    )


def gap_buckets(
    time: Float64[Tensor, "B L"], before: Float64[Tensor, "B 1"]
) -> Int64[Tensor, "B L"]:
    """Seconds since the event before, by powers of two: 1 for none, 2 for up to 1, 3 for up to 3;
    0 where it is not known."""
    gap = torch.diff(time, dim=1, prepend=before).clamp(min=0)
    bucket = 1 + (1 + gap).log2().ceil().clamp(max=GAPS - 2)
    return bucket.nan_to_num(0).long()


def _filled(words: tuple[int, ...]) -> list[int]:
    """As many as a search has room for, 0 behind the last."""
    return [*words[:MOST], *[0] * (MOST - len(words))]


def _table(rows: int, width: int) -> nn.Embedding:
    """Vectors from near zero on; row 0 is that of nothing and stays zero."""
    table = nn.Embedding(rows, width, padding_idx=PAD)
    nn.init.normal_(table.weight, std=0.02)
    with torch.no_grad():
        table.weight[PAD] = 0
    return table
