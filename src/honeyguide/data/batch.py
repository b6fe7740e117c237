"""What a model learns from in one step, cut from columns in memory: no loader, nothing per sample.

Examples follow the unit that a model declares: a pair (user, item), a user row (one user's whole
set), or a sequence (every position of one user's window at once).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float32, Float64, Int, Int32, Int64
from torch import Tensor

from honeyguide.data.epoch import by_length, permuted
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Pairs, Query, query
from honeyguide.data.rule import SIGN, Rule
from honeyguide.data.sample import Negatives, Sampler
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError
from honeyguide.shapes import rounded_up

Unit = Literal["pair", "user row", "sequence"]


@dataclass(frozen=True, slots=True)
class Batch:
    """A question, which state answers it, and what the answer should have been.

    at: the places whose state answers; P = 1 for pairs, L for all positions of a sequence.
    target: item numbers, PAD = no target there. negatives: (N,) shared by the batch or (B, P, N),
    with the log of the probability of drawing each item, by item. row: the user's whole set, for
    models whose unit is the user row. accidental: which shared negatives are positives of the user.
    """

    query: Query
    at: Int64[Tensor, "B P"]
    target: Int64[Tensor, "B P"]
    negatives: Int64[Tensor, " N"] | Int64[Tensor, "B P N"] | None = None
    log_p: Float32[Tensor, " I"] | None = None
    row: Pairs | None = None
    accidental: Bool[Tensor, "B N"] | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        row = self.row and self.row.to(device)
        moved = {
            name: tensor.to(device)
            for name in ("at", "target", "negatives", "log_p", "accidental")
            if (tensor := getattr(self, name)) is not None
        }
        return replace(self, query=self.query.to(device), row=row, **moved)


@runtime_checkable
class Examples(Protocol):
    """Everything that one epoch goes through, numbered 0 to len - 1."""

    @property
    def targets(self) -> int:
        """How many targets an epoch covers, for throughput."""
        ...

    def __len__(self) -> int: ...

    def epoch(self, batch: int, draw: np.random.Generator) -> list[Int[np.ndarray, " B"]]:
        """All examples in ceil(len / batch) batches."""
        ...

    def batch(self, rows: Int[np.ndarray, " B"], seed: int) -> Batch:
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
    sampling: Sampler


def examples(events: Interactions, asked: Asked) -> Examples:
    """The examples of a log in the unit that the model declares.

    With negatives of their own, users who know every item give no example: there is nothing that
    they like less. Raises CallError for a sequence without an order.
    """
    if asked.unit == "sequence":
        if events.order is None:
            raise CallError(
                "A sequence model needs an order, and the table has none.",
                "Name a column with --time or --order (--order file if the rows stand in order).",
            )
        counted = events.counting(asked.rule)
        if asked.negatives:
            draw, able = _drawing(counted.pairs(asked.rule), asked)
        else:  # the matrix of pairs would be made for nothing
            draw, able = _undrawing(counted.n_users)
        windows, targets = _windows(counted, asked.history, able)
        longest = int(np.diff(windows, axis=1).max(initial=1)) - 1
        return Sequences(counted, draw, windows, targets, longest)
    matrix = events.pairs(asked.rule)
    if asked.unit == "user row":
        assert asked.negatives == 0, "a user row is compared with all items"
        return UserRows(matrix, np.flatnonzero(np.diff(matrix.indptr)))
    draw, able = _drawing(matrix, asked)
    users = np.repeat(np.arange(len(able), dtype=np.int32), np.diff(matrix.indptr))
    items = matrix.indices.astype(np.int32, copy=False)
    now = matrix.data if asked.rule.value == "time" else None
    if not able.all():
        kept = able[users]
        users, items, now = users[kept], items[kept], None if now is None else now[kept]
    return PairRows(users, items, draw, now)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Negatives of a batch, as Batch holds them."""

    negatives: Tensor | None = None
    log_p: Tensor | None = None
    accidental: Tensor | None = None


# users (B,), target (B, P), seed -> negatives
Draw = Callable[[np.ndarray, Tensor, int], Drawn]


def _drawing(matrix: sp.csr_array, asked: Asked) -> tuple[Draw, Bool[np.ndarray, " U"]]:
    """How negatives are drawn, and for which users they can be."""
    if asked.negatives == 0:
        return _undrawing(matrix.shape[0])
    in_batch, count = asked.sampling == "in-batch", asked.negatives
    assert asked.shared or not in_batch, "the batch's own targets are shared"
    # a target stands in a batch as often as it stands in the data, hence the power
    if asked.sampling == "in-batch":
        source = Negatives.of(matrix, "popularity", power=1.0)
    else:
        source = Negatives.of(matrix, asked.sampling)
    log_p = torch.from_numpy(source.log_p)

    def shared(users: np.ndarray, target: Tensor, seed: int) -> Drawn:
        if in_batch:
            items = np.unique(target.numpy())
            items = items[items != PAD]
        else:
            items = source.shared(count, seed)
        # in a sequence an item may come again, so there only the target itself is taken out
        known = torch.from_numpy(source.known(users, items)) if target.shape[1] == 1 else None
        return Drawn(torch.from_numpy(items), log_p, known)

    def own(users: np.ndarray, target: Tensor, seed: int) -> Drawn:
        places = target.shape[1]
        drawn = torch.from_numpy(source.for_users(users, places * count, seed))
        return Drawn(drawn.view(len(users), places, count), log_p)

    if asked.shared:
        return shared, np.ones(matrix.shape[0], dtype=bool)
    return own, source.possible()


def _undrawing(users: int) -> tuple[Draw, Bool[np.ndarray, " U"]]:
    """The same where a model takes no negatives."""
    return lambda users, target, seed: Drawn(), np.ones(users, dtype=bool)


@dataclass(frozen=True, slots=True, eq=False)
class PairRows:
    """One example per distinct pair of user and item. now: when each is asked, for rules that value
    a pair by its time."""

    users: Int32[np.ndarray, " M"]
    items: Int32[np.ndarray, " M"]
    draw: Draw
    now: Float64[np.ndarray, " M"] | None = None

    @property
    def targets(self) -> int:
        return len(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def epoch(self, batch: int, draw: np.random.Generator) -> list[Int[np.ndarray, " B"]]:
        return permuted(len(self), batch, draw)

    def batch(self, rows: Int[np.ndarray, " B"], seed: int) -> Batch:
        users = self.users[rows].astype(np.int64)
        target = torch.from_numpy(self.items[rows].astype(np.int64))[:, None]
        drawn = self.draw(users, target, seed)
        return Batch(
            _nameless(users, None if self.now is None else self.now[rows]),
            torch.zeros_like(target),
            target,
            drawn.negatives,
            drawn.log_p,
            accidental=drawn.accidental,
        )


@dataclass(frozen=True, slots=True, eq=False)
class UserRows:
    """One example per user who has any: all the items that count."""

    matrix: sp.csr_array
    users: Int64[np.ndarray, " M"]

    @property
    def targets(self) -> int:
        return int(self.matrix.nnz)

    def __len__(self) -> int:
        return len(self.users)

    def epoch(self, batch: int, draw: np.random.Generator) -> list[Int[np.ndarray, " B"]]:
        return permuted(len(self), batch, draw)

    def batch(self, rows: Int[np.ndarray, " B"], seed: int) -> Batch:
        users = self.users[rows]
        part = self.matrix[users]
        pairs = Pairs(
            torch.from_numpy(part.indices.astype(np.int64)),
            torch.from_numpy(part.data),
            torch.from_numpy(part.indptr.astype(np.int64)),
        )
        none = torch.zeros((len(rows), 0), dtype=torch.int64)
        return Batch(_nameless(users), none, none, row=pairs)


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """One example per window: every event but the last asks for the event after it.

    windows: (W, 2) first and one-past-last event row. A user longer than the history gives
    several windows, so that every event but the first is a target exactly once. An event that
    does not speak for its item is read and never asked for. longest: the most that one asks.
    """

    events: Interactions
    draw: Draw
    windows: Int64[np.ndarray, "W 2"]
    targets: int
    longest: int

    def __len__(self) -> int:
        return len(self.windows)

    def epoch(self, batch: int, draw: np.random.Generator) -> list[Int[np.ndarray, " B"]]:
        return by_length(np.diff(self.windows, axis=1)[:, 0] - 1, batch, draw)

    def batch(self, rows: Int[np.ndarray, " B"], seed: int) -> Batch:
        first, last = self.windows[rows].T
        lengths = last - first - 1
        width = min(rounded_up(int(lengths.max())), self.longest)
        places = first[:, None] + np.minimum(np.arange(width), lengths[:, None] - 1)
        real = np.arange(width) < lengths[:, None]
        events, users = self.events, self.events.user[first].astype(np.int64)

        def padded(column: np.ndarray, shift: int, dtype: type) -> Tensor:
            there = real if column.ndim == 1 else real[..., None]
            return torch.from_numpy(np.where(there, column[places + shift], 0).astype(dtype))

        unknown = torch.zeros(len(rows), dtype=torch.int64)
        asked = Query(
            item=padded(events.item, 0, np.int64),
            kind=padded(events.kind, 0, np.int64),
            length=torch.from_numpy(lengths),
            user=torch.from_numpy(users),
            as_of=unknown,
            value=None if events.value is None else padded(events.value, 0, np.float32),
            time=None if events.time is None else padded(events.time, 0, np.float64),
            words=None if events.words is None else padded(events.words, 0, np.int64),
        )
        speaks = torch.from_numpy(SIGN)[padded(events.kind, 1, np.int64)] > 0
        target = padded(events.item, 1, np.int64).masked_fill(~speaks, PAD)
        drawn = self.draw(users, target, seed)
        at = torch.arange(width).expand(len(rows), width)
        return Batch(asked, at, target, drawn.negatives, drawn.log_p)


def _windows(
    events: Interactions, history: int | None, able: Bool[np.ndarray, " U"]
) -> tuple[Int64[np.ndarray, "W 2"], int]:
    """Each user's events cut from the end into windows of `history` targets that share one event.

    Windows without a target are left out. Also the number of targets.
    """
    starts, ends = events.offsets[:-1], events.offsets[1:]
    targets = np.where(able, np.maximum(ends - starts - 1, 0), 0)
    span = max(int(targets.max(initial=1)), 1) if history is None else history
    pieces = -(-targets // span)
    user = np.repeat(np.arange(len(starts)), pieces)
    piece = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    last = ends[user] - piece * span
    first = np.maximum(last - span - 1, starts[user])
    speaking = np.concatenate([[0], np.cumsum(SIGN[events.kind] > 0)])
    asked = speaking[last] - speaking[first + 1]
    windows = np.stack([first, last], axis=1).astype(np.int64)
    return windows[asked > 0], int(asked.sum())


def _nameless(
    users: Int64[np.ndarray, " B"], now: Float64[np.ndarray, " B"] | None = None
) -> Query:
    """A question that says who asks, perhaps when, and nothing of the history."""
    nothing = torch.zeros((len(users), 1), dtype=torch.int64)
    zeros = torch.zeros(len(users), dtype=torch.int64)
    asking = torch.from_numpy(users.astype(np.int64))
    when = None if now is None else torch.from_numpy(now)
    return Query(nothing, nothing, zeros, asking, zeros, now=when)


__all__ = ["Asked", "Batch", "Examples", "Unit", "examples", "query"]
