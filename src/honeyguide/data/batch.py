"""What a model learns from in one step, cut from columns in memory: no loader, nothing per sample.

Examples follow the unit that a model declares: a pair (user, item), a user row (one user's whole
set), or a sequence (every position of one user's window at once).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Pairs, Query, query
from honeyguide.data.rule import Rule
from honeyguide.data.sample import Negatives, Sampling
from honeyguide.errors import CallError

Unit = Literal["pair", "user row", "sequence"]


@dataclass(frozen=True, slots=True)
class Batch:
    """A question, which state answers it, and what the answer should have been.

    at: the places whose state answers; P = 1 for pairs, L for all positions of a sequence.
    target: item numbers, PAD = no target there. negatives: (N,) shared by the batch or (B, P, N),
    with the log of the probability of drawing each item, by item. row: the user's whole set, for
    models whose unit is the user row.
    """

    query: Query
    at: Int64[Tensor, "B P"]
    target: Int64[Tensor, "B P"]
    negatives: Int64[Tensor, " N"] | Int64[Tensor, "B P N"] | None = None
    log_p: Float32[Tensor, " I"] | None = None
    row: Pairs | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        row = self.row and Pairs(*(getattr(self.row, n).to(device) for n in self.row.__slots__))
        moved = {
            name: tensor.to(device)
            for name in ("at", "target", "negatives", "log_p")
            if (tensor := getattr(self, name)) is not None
        }
        return replace(self, query=self.query.to(device), row=row, **moved)


class Examples(Protocol):
    """Everything that one epoch goes through, numbered 0 to len - 1."""

    @property
    def targets(self) -> int:
        """How many targets an epoch covers, for throughput."""
        ...

    def __len__(self) -> int: ...

    def batch(self, rows: Int64[np.ndarray, " B"], seed: int) -> Batch:
        """These examples; `seed` fixes the negatives."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model declares about its examples (see models.spec)."""

    unit: Unit
    rule: Rule
    history: int | None
    negatives: int
    shared: bool
    sampling: Sampling


def examples(events: Interactions, asked: Asked) -> Examples:
    """The examples of a log in the unit that the model declares."""
    counted = events.counting(asked.rule)
    if asked.unit == "sequence":
        if events.order is None:
            raise CallError(
                "A sequence model needs an order, and the table has none.",
                "Name a column with --time or --order (--order file if the rows stand in order).",
            )
        return Sequences(counted, _drawing(counted, asked), _windows(counted, asked.history))
    if asked.unit == "user row":
        return UserRows(counted, counted.pairs(asked.rule))
    matrix = counted.pairs(asked.rule)
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return PairRows(counted, users, matrix.indices.astype(np.int64), _drawing(counted, asked))


Draw = Callable[[np.ndarray, int], tuple[Tensor | None, Tensor | None]]


def _drawing(events: Interactions, asked: Asked) -> Draw:
    """users (B,), seed -> negatives and the log-probabilities they were drawn with."""
    if asked.negatives == 0:
        return lambda users, seed: (None, None)
    source = Negatives.of(events.pairs(asked.rule), asked.sampling)
    log_p = torch.from_numpy(source.log_p)
    if asked.shared:
        return lambda users, seed: (torch.from_numpy(source.shared(asked.negatives, seed)), log_p)
    return lambda users, seed: (
        torch.from_numpy(source.for_users(users, asked.negatives, seed))[:, None],
        log_p,
    )


@dataclass(frozen=True, slots=True, eq=False)
class PairRows:
    """One example per distinct pair of user and item."""

    events: Interactions
    users: Int64[np.ndarray, " M"]
    items: Int64[np.ndarray, " M"]
    draw: Draw

    @property
    def targets(self) -> int:
        return len(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def batch(self, rows: Int64[np.ndarray, " B"], seed: int) -> Batch:
        users = self.users[rows]
        negatives, log_p = self.draw(users, seed)
        target = torch.from_numpy(self.items[rows])[:, None]
        return Batch(_nameless(users), torch.zeros_like(target), target, negatives, log_p)


@dataclass(frozen=True, slots=True, eq=False)
class UserRows:
    """One example per user: all the items that count."""

    events: Interactions
    matrix: sp.csr_array

    @property
    def targets(self) -> int:
        return int(self.matrix.nnz)

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def batch(self, rows: Int64[np.ndarray, " B"], seed: int) -> Batch:
        part = self.matrix[rows]
        pairs = Pairs(
            torch.from_numpy(part.indices.astype(np.int64)),
            torch.from_numpy(part.data),
            torch.from_numpy(part.indptr.astype(np.int64)),
        )
        none = torch.zeros((len(rows), 0), dtype=torch.int64)
        return Batch(_nameless(rows), none, none, row=pairs)


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """One example per window: every event but the last asks for the event after it.

    windows: (W, 2) first and one-past-last event row. A user longer than the history gives
    several windows, so that every event but the first is a target exactly once.
    """

    events: Interactions
    draw: Draw
    windows: Int64[np.ndarray, "W 2"]

    @property
    def targets(self) -> int:
        return int((self.windows[:, 1] - self.windows[:, 0] - 1).sum())

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, rows: Int64[np.ndarray, " B"], seed: int) -> Batch:
        first, last = self.windows[rows].T
        lengths = last - first - 1
        width = int(lengths.max())
        places = first[:, None] + np.minimum(np.arange(width), lengths[:, None] - 1)
        real = np.arange(width) < lengths[:, None]
        events, users = self.events, self.events.user[first].astype(np.int64)

        def padded(column: np.ndarray, shift: int, dtype: type) -> Tensor:
            return torch.from_numpy(np.where(real, column[places + shift], 0).astype(dtype))

        unknown = torch.zeros(len(rows), dtype=torch.int64)
        asked = Query(
            item=padded(events.item, 0, np.int64),
            kind=padded(events.kind, 0, np.int64),
            length=torch.from_numpy(lengths),
            user=torch.from_numpy(users),
            as_of=unknown,
            value=None if events.value is None else padded(events.value, 0, np.float32),
            time=None if events.time is None else padded(events.time, 0, np.float64),
        )
        negatives, log_p = self.draw(users, seed)
        at = torch.arange(width).expand(len(rows), width)
        return Batch(asked, at, padded(events.item, 1, np.int64), negatives, log_p)


def _windows(events: Interactions, history: int | None) -> Int64[np.ndarray, "W 2"]:
    """Cut each user's events from the end into windows of `history` targets that share one event."""
    starts, ends = events.offsets[:-1], events.offsets[1:]
    if history is None:
        pieces = (ends - starts > 1).astype(np.int64)
        span = ends - starts
    else:
        pieces = np.maximum(np.ceil((ends - starts - 1) / history), 0).astype(np.int64)
        span = np.full(len(starts), history)
    user = np.repeat(np.arange(len(starts)), pieces)
    piece = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    last = ends[user] - piece * span[user]
    first = np.maximum(last - span[user] - 1, starts[user])
    return np.stack([first, last], axis=1).astype(np.int64)


def _nameless(users: Int64[np.ndarray, " B"]) -> Query:
    """A question that says who asks and nothing of the history."""
    nothing = torch.zeros((len(users), 1), dtype=torch.int64)
    zeros = torch.zeros(len(users), dtype=torch.int64)
    return Query(nothing, nothing, zeros, torch.from_numpy(users.astype(np.int64)), zeros)


__all__ = ["Asked", "Batch", "Examples", "Unit", "examples", "query"]
