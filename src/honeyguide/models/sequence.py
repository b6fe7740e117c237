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
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.query import Query
from honeyguide.data.rule import EVENTS_FOR, Rule
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.models.spec import AnsweredBy, Count, Learned, LearnedSpec, Schema, Share, Vectors
from honeyguide.nn import losses
from honeyguide.nn.softmax import softmax

WIDTHS = (32, 64, 128)
WORKING = 32 << 20  # bytes
FLOATS_A_PLACE = 16  # held at once in a layer, in widths: its input, its norm, what is inside


class SequenceSpec(LearnedSpec):
    """Settings of every model that reads events in order."""

    needs: ClassVar[frozenset[str]] = frozenset({"order"})
    causal: ClassVar[bool] = True
    rule: ClassVar[Rule] = EVENTS_FOR

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
    """Sequences per step."""

    @property
    def past(self) -> int | None:
        return self.history

    @property
    def unit(self) -> Unit:
        return "sequence"

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        return (0 if self.loss == "softmax" else self.negatives), True, "popularity"


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
class State:
    """Someone's history as it has been read so far; a value, so an older one stays as it was.

    items: the events that a new reading would start from, the last of a window. vector (D,): what
    is looked for now. carried: what the reader needs for the next event.
    """

    items: tuple[int, ...]
    vector: Float32[Tensor, " D"]
    carried: tuple[Any, ...] | None


class SequenceModel(Vectors, Learned):
    """items.weight (I, D) is both what goes in and what is asked for."""

    def __init__(self, spec: SequenceSpec, schema: Schema, reader: Any) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        self.items = nn.Embedding(schema.items, spec.width, padding_idx=PAD)
        nn.init.normal_(self.items.weight, std=0.02)
        with torch.no_grad():
            self.items.weight[PAD] = 0
        self.reader = reader

    def states(self, query: Query) -> Float[Tensor, "B L D"]:
        """The state after each event."""
        return self._read(query.item)

    def _read(self, item: Int64[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        states: Tensor = self.reader(self._inputs(item))
        return states

    def _inputs(self, item: Int64[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        given: Tensor = self.items(item) * self.settings.width**0.5
        return given

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
        return torch.cat(
            [self._last(query.item[a : a + rows], query.length[a : a + rows]) for a in starts]
        )

    def _last(
        self, item: Int64[Tensor, "B L"], length: Int64[Tensor, " B"]
    ) -> Float32[Tensor, "B D"]:
        """The state after the last event, 0 where there is none."""
        longest = int(length.max()) if len(length) else 0
        states = self._read(item[:, : max(longest, 1)])
        last = (length - 1).clamp(min=0)
        picked = states[torch.arange(len(states), device=states.device), last]
        return picked.float() * (length > 0)[:, None]

    @torch.no_grad()
    def start(self, items: Sequence[int]) -> State:
        """The state after these events, the last `history` of them; item numbers of the model."""
        kept = tuple(items[-self.settings.history :])
        if not kept:
            return State((), self.items.weight.new_zeros(self.settings.width), None)
        given = torch.tensor([kept], device=self.items.weight.device)
        states, carried = self.reader.read(self._inputs(given), None)
        return State(kept, states[0, -1].float(), carried)

    @torch.no_grad()
    def advance(self, state: State, item: int) -> State:
        """The state one event later: that of a whole reading until `history` events were read.

        Then a reader with a window starts anew from half of them; one without goes on, and knows
        more than a whole reading would.
        """
        if state.carried is None:
            return self.start([item])
        full = len(state.items) == self.settings.history
        if full and self.reader.window is not None:
            return self.start([*state.items[-(self.settings.history // 2) :], item])
        items = (*state.items[1:], item) if full else (*state.items, item)
        given = torch.tensor([[item]], device=self.items.weight.device)
        states, carried = self.reader.read(self._inputs(given), state.carried)
        return State(items, states[0, -1].float(), carried)

    def item_vectors(self) -> Float32[Tensor, "I D"]:
        return self.items.weight

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return ["history"] * len(query)
