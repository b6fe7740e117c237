"""Models that look back only: a reader, all positions trained at once, a state that grows.

Special: a model is a spec and a reader. The reader (nn/) turns the vectors of the events into
states and knows nothing of items. A long history gives several windows. Letters as in
models/spec.py, L events.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from honeyguide.data.batch import Batch
from honeyguide.data.query import Query
from honeyguide.data.vocab import PAD
from honeyguide.models.sequence import Event, SequenceModel, SequenceSpec, State, question
from honeyguide.models.spec import Schema


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


class CausalModel(SequenceModel):
    """A sequence model around a reader."""

    def __init__(self, spec: SequenceSpec, schema: Schema, reader: Any) -> None:
        super().__init__(spec, schema)
        self.reader: Any = reader
        assert isinstance(reader, Reader)

    def states(self, query: Query) -> Float[Tensor, "B L D"]:
        """The state after each event."""
        return self.comparable(self._read(query))

    def _read(self, query: Query) -> Float[Tensor, "B L D"]:
        states: Tensor = self.reader.read(self.inputs(query), None)[0]
        return states

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        real = batch.target != PAD
        return self.loss_of(self._read(batch.query)[real], batch.target[real], batch)

    def looked_for(self, query: Query) -> Float[Tensor, "B D"]:
        """The state after the last event, 0 where there is none."""
        last = (query.length - 1).clamp(min=0)
        rows = torch.arange(len(query), device=last.device)
        return self._read(query)[rows, last] * (query.length > 0)[:, None]

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
        asked = question(new, self.items.weight.device)
        states, carried = self.reader.read(self.inputs(asked, before), carried)
        return State(kept, self.comparable(states[0, -1]).float(), carried)
