"""Session-kNN: sessions that share something with the present one say what comes next.

Ludewig and Jannach 2018 (V-SKNN: later events weigh more) with the index of Kersbergen et al. 2022
(Serenade: of each item only the latest sessions are looked at). Differences: what a neighbour says
about an item is scaled by how rare the item is; ties go to the later session.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from numba import njit
from torch import Tensor

from honeyguide.config import Choice, Range, Space
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query
from honeyguide.data.rule import EVENTS_FOR, Rule
from honeyguide.data.sessions import session_ends
from honeyguide.data.training import TrainingData
from honeyguide.models.held import Held
from honeyguide.models.spec import Count, Dense, Positive, Schema, Solved, Spec, never_pad
from honeyguide.nn.parallel import kernel_over_rows

FADES = np.float32(0.1)  # by so much for each event since the last one that is shared


class SessionKNN(Spec):
    """The likest among the latest sessions, heard."""

    name: ClassVar[str] = "session-knn"
    needs: ClassVar[frozenset[str]] = frozenset({"order"})
    rule: ClassVar[Rule] = EVENTS_FOR

    k: Annotated[Count, Range(50, 1_000, log=True)] = 200
    """Sessions that are heard."""
    recent: Annotated[Count, Range(200, 5_000, log=True)] = 1_000
    """Of each item, how many of the latest sessions are looked at. Fewer is faster and fresher."""
    inactivity: Annotated[Positive | None, Choice((None, 1_800.0, 86_400.0))] = None
    """Seconds without an event after which a new session starts. None = by the session ids of the
    table, or all events of a user where it has none."""
    history: Count = 50
    """The last so many events are read."""

    @property
    def past(self) -> int | None:
        return self.history

    def searched(self, log: Interactions) -> dict[str, Space]:
        found = self.spaces()
        if log.time is None:
            del found["inactivity"]
        return found

    def build(self, schema: Schema) -> "SessionKNNModel":
        return SessionKNNModel(self, schema)


class SessionKNNModel(Dense, Solved):
    """user.items, user.offsets: the items of S sessions, the latest one first. weight (I,): what an
    item's rarity is worth."""

    def __init__(self, spec: SessionKNN, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.settings = spec
        # what people did, by the name that erasure looks for; a session names nobody, so all of it
        # goes and is learned anew
        self.user = Held(schema.items, rows=None)
        self.weight: Tensor
        self.register_buffer("weight", torch.ones(schema.items))

    def solve(self, data: TrainingData, seed: int) -> None:
        events = data.interactions.counting(self.spec.rule)
        ends = session_ends(events, self.settings.inactivity)
        count = len(ends) - 1
        session = np.repeat(np.arange(count), np.diff(ends))
        # later sessions first: by the time of their last event, or else (no times) by number
        last = events.time[ends[1:] - 1] if events.time is not None else np.arange(count)
        place = np.empty(count, np.int64)
        place[np.argsort(-last, kind="stable")] = np.arange(count)
        # a session is a set: each of its items once
        keys = np.unique(place[session] * self.schema.items + events.item)
        holder, items = np.divmod(keys, self.schema.items)
        lengths = np.bincount(holder, minlength=count)
        self.user.hold(
            torch.from_numpy(items.astype(np.int32)),
            torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)),
        )
        found = np.bincount(items, minlength=self.schema.items)
        worth = np.log((1 + count) / np.maximum(found, 1)).astype(np.float32)
        self.weight = torch.from_numpy(np.maximum(worth, np.float32(1e-3)))

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        device = query.item.device
        scores = np.zeros((len(query), self.schema.items), np.float32)
        takers = self.user.takers
        sessions = self.user.offsets.cpu().numpy(), self.user.items.cpu().numpy()
        inverted = takers.offsets.cpu().numpy(), takers.items.cpu().numpy()
        asked = query.item.cpu().numpy(), query.length.cpu().numpy()
        spec = self.settings
        sizes = spec.k, spec.recent, spec.history
        weight = self.weight.cpu().numpy()
        kernel_over_rows(_hear, (scores, *asked), *sessions, *inverted, weight, *sizes, block=8)
        return never_pad(torch.from_numpy(scores).to(device))


@njit(cache=True, nogil=True)
def _hear(out, item, length, ends, items, starts, takers, weight, k, recent, history):  # type: ignore[no-untyped-def]
    likeness = np.zeros(len(ends) - 1, np.float32)
    shared = np.zeros(len(ends) - 1, np.int32)  # place of the last event that stands in it
    for row in range(len(item)):
        size, first = length[row], max(0, length[row] - history)
        touched = [np.int64(0) for _ in range(0)]  # empty, of a type that numba knows
        for place in range(size - 1, first - 1, -1):
            one = item[row, place]
            again = one == 0
            for later in range(place + 1, size):
                again |= item[row, later] == one
            if again:
                continue
            worth = np.float32((place - first + 1) / (size - first))
            last = min(starts[one + 1], starts[one] + recent)
            for number in range(starts[one], last):
                session = takers[number]
                if likeness[session] == 0:
                    touched.append(session)
                    shared[session] = place
                likeness[session] += worth
        found = np.array(touched)
        # the largest first, of equal ones the later session, which has the smaller number
        found.sort()
        value = np.empty(len(found), np.float32)
        for number in range(len(found)):
            value[number] = -likeness[found[number]]
        order = np.argsort(value, kind="mergesort")
        for number in range(min(k, len(order))):
            session = found[order[number]]
            fade = max(np.float32(1) - FADES * (size - 1 - shared[session]), np.float32(0))
            said = likeness[session] * fade
            if said == 0:
                continue
            for place in range(ends[session], ends[session + 1]):
                out[row, items[place]] += said * weight[items[place]]
        for session in found:
            likeness[session] = 0
