"""What models of what comes next share: item vectors in, a state at each position, items asked for.

Special: a model is a spec and a reader. The reader (nn/) turns the vectors of the events into
states and knows nothing of items; everything else, losses among it, stands here once. All positions
are trained at once, over several windows of a long history; item vectors are both what goes in and
what is asked for. Letters as in models/spec.py, L events.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32, Float64, Int64
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from honeyguide.config import Choice, Range, Space
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.query import Query
from honeyguide.data.rule import EVENTS_FOR, POSITIVE, SIGN, Rule
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.data.words import MOST, NUMBERS
from honeyguide.errors import CallError
from honeyguide.models.spec import (
    CURES,
    AnsweredBy,
    Count,
    Learned,
    LearnedSpec,
    Schema,
    Share,
    Vectors,
)
from honeyguide.nn import losses
from honeyguide.nn.softmax import softmax

WIDTHS, HEADS = (32, 64, 128), (1, 2, 4)  # where tuning looks; each of these divides each of those
WORKING = 32 << 20  # bytes
GAPS = 40  # buckets of time between two events, the last from 4,000 years on
VIEW = KINDS["view"].number
WITH_SEARCHES = Rule(kinds=(*POSITIVE, "search"))
FLOATS_A_PLACE = 16  # held at once in a layer, in widths: its input, its norm, what is inside


class SequenceSpec(LearnedSpec):
    """Settings of every model that reads events in order."""

    needs: ClassVar[frozenset[str]] = frozenset({"order"})
    causal: ClassVar[bool] = True

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


@runtime_checkable
class Reader(Protocol):
    """Vectors of events (B, L, D), right-padded, to the state after each event.

    window: how many events it can read; None = any number.
    """

    window: int | None

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[Any, ...] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Any, ...]]:
        """The states, and what the next event (L = 1) needs beside itself."""
        ...


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
    looked for now. carried: what the reader needs for the next event.
    """

    events: tuple[Event, ...]
    vector: Float32[Tensor, " D"]
    carried: tuple[Any, ...] | None


class SequenceModel(Vectors, Learned):
    """items.weight (I, D) is both what goes in and what is asked for. kinds.weight (K, D),
    gaps.weight (GAPS, D) and words.weight (NUMBERS, D), each where the spec wants it, are added to
    what goes in; of several words the mean."""

    def __init__(self, spec: SequenceSpec, schema: Schema, reader: Any) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        self.items = _table(schema.items, spec.width)
        self.kinds = _table(len(SIGN), spec.width) if spec.kinds else None
        self.gaps = _table(GAPS, spec.width) if spec.gaps else None
        self.words = _table(NUMBERS, spec.width) if spec.words else None
        self.reader: Any = reader
        assert isinstance(reader, Reader)

    def states(self, query: Query) -> Float[Tensor, "B L D"]:
        """The state after each event."""
        given = self._inputs(query.item, query.kind, query.time, query.words)
        states: Tensor = self.reader.read(given, None)[0]
        return states

    def _inputs(
        self,
        item: Int64[Tensor, "B L"],
        kind: Int64[Tensor, "B L"],
        time: Float64[Tensor, "B L"] | None,
        words: Int64[Tensor, "B L W"] | None,
        before: float | None = None,
    ) -> Float[Tensor, "B L D"]:
        """What the reader reads; before: the time of the event before the first."""
        given: Tensor = self.items(item)
        if self.kinds is not None:
            given = given + self.kinds(kind)
        if self.gaps is not None and time is not None:
            first = torch.full_like(time[:, :1], torch.nan if before is None else before)
            given = given + self.gaps(gap_buckets(time, first))
        if self.words is not None and words is not None:
            searches = words[..., 0].nonzero(as_tuple=True)  # few: the others cost nothing
            asked = embedding_bag(words[searches], self.words.weight, mode="mean", padding_idx=0)
            given = given.index_put(searches, asked.to(given.dtype), accumulate=True)
        scaled: Tensor = given * self.settings.width**0.5
        return scaled

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        states = self.states(batch.query)
        real = batch.target != PAD
        asked, target = states[real], batch.target[real]
        if batch.negatives is None:
            return softmax(asked, self.items.weight, target)
        assert batch.log_p is not None
        positive = (asked * self.items(target)).sum(1)
        negative = asked @ self.items(batch.negatives).T
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
        return torch.cat([self._last(query, slice(a, a + rows)) for a in starts])

    def _last(self, query: Query, rows: slice) -> Float32[Tensor, "B D"]:
        """The state after the last event of these rows, 0 where there is none."""
        length = query.length[rows]
        longest = max(int(length.max()) if len(length) else 0, 1)
        time = None if query.time is None else query.time[rows, :longest]
        words = None if query.words is None else query.words[rows, :longest]
        item, kind = query.item[rows, :longest], query.kind[rows, :longest]
        states, _ = self.reader.read(self._inputs(item, kind, time, words), None)
        last = (length - 1).clamp(min=0)
        picked: Tensor = states[torch.arange(len(states), device=states.device), last]
        return picked.float() * (length > 0)[:, None]

    @torch.inference_mode()
    def start(self, events: Sequence[Event]) -> State:
        """The state after these events, of which the last `history` are read."""
        kept = tuple(events[-self.settings.history :])
        if not kept:
            return State((), self.items.weight.new_zeros(self.settings.width), None)
        return self._read_on(kept, kept, None, None)

    @torch.inference_mode()
    def advance(self, state: State, event: Event) -> State:
        """The state one event later: that of a whole reading until `history` events were read.

        Then a reader with a window starts anew from half of them; one without goes on, and knows
        more than a whole reading would.
        """
        events, history = state.events, self.settings.history
        if state.carried is None:
            return self.start([event])
        if len(events) == history and self.reader.window is not None:
            return self.start([*events[-(history // 2) :], event])
        kept = (*events[len(events) - history + 1 :], event) if len(events) == history else None
        return self._read_on(kept or (*events, event), (event,), state.carried, events[-1].time)

    def _read_on(
        self,
        kept: tuple[Event, ...],
        new: tuple[Event, ...],
        carried: tuple[Any, ...] | None,
        before: float | None,
    ) -> State:
        device = self.items.weight.device
        item = torch.tensor([[event.item for event in new]], device=device)
        kind = torch.tensor([[event.kind for event in new]], device=device)
        times = [torch.nan if event.time is None else event.time for event in new]
        time = torch.tensor([times], dtype=torch.float64, device=device)
        words = None
        if self.words is not None:
            words = torch.tensor([[_filled(event.words) for event in new]], device=device)
        states, carried = self.reader.read(self._inputs(item, kind, time, words, before), carried)
        return State(kept, states[0, -1].float(), carried)

    def item_vectors(self) -> Float32[Tensor, "I D"]:
        return self.items.weight

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return ["history"] * len(query)


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
