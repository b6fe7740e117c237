"""What people did, as numbers: one row is one event, sorted by user and, where known, by order.

Frozen arrays. A change (fewer events, other numbers) is a new value. N events, U users.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from jaxtyping import Bool, Float32, Float64, Int8, Int32, Int64

from honeyguide.data.kinds import KINDS
from honeyguide.data.rule import SEEN, SIGN, Rule
from honeyguide.data.table import Table
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.errors import InputError

PARTS = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Events sorted by (user, order); the events of user u are offsets[u] to offsets[u + 1].

    order: what sorted the events inside a user: "time", "column", or None where nothing is known;
    models and splits that need an order refuse None. time: seconds since 1970.
    """

    users: Vocab
    items: Vocab
    offsets: Int64[np.ndarray, " U1"]
    user: Int32[np.ndarray, " N"]
    item: Int32[np.ndarray, " N"]
    kind: Int8[np.ndarray, " N"]
    order: str | None
    value: Float32[np.ndarray, " N"] | None = None
    time: Float64[np.ndarray, " N"] | None = None
    session: Int32[np.ndarray, " N"] | None = None
    position: Int32[np.ndarray, " N"] | None = None
    propensity: Float32[np.ndarray, " N"] | None = None
    text: pl.Series | None = None
    part: Int8[np.ndarray, " N"] | None = None

    @staticmethod
    def of(table: Table, users: Vocab | None = None, items: Vocab | None = None) -> "Interactions":
        """The events of a table. Without vocabularies, all users and items of its events."""
        events = table.events
        users = users or Vocab.of_users(events["user_id"])
        items = items or Vocab.of_items(events["item_id"].drop_nulls())
        user, item = users.numbers(events["user_id"]), items.numbers(events["item_id"])
        order = next((name for name in ("time", "order") if name in events.columns), None)
        rank = _sorting(user, events, order)
        session = events.get_column("session_id", default=None)
        if session is not None:
            session = session.rank("dense").cast(pl.Int32).fill_null(0)
        kind = (
            events["kind"].replace_strict({k.name: k.number for k in KINDS.values()})
            if "kind" in events.columns
            else pl.Series(np.full(len(events), KINDS["view"].number))
        )
        text = events.get_column("text", default=None)
        part = events.get_column("part", default=None)
        if part is not None:
            part = part.replace_strict(PARTS, return_dtype=pl.Int8)

        def column(name: str, dtype: type, given: Any = None) -> Any:
            series = given if given is not None else events.get_column(name, default=None)
            if series is None or series.null_count() == len(series):
                return None
            numbers = (
                series.cast(pl.Float64).to_numpy()
                if series.dtype.is_float()
                else (series.fill_null(0).to_numpy())
            )
            return numbers.astype(dtype)[rank]

        return Interactions(
            users=users,
            items=items,
            offsets=_offsets(user[rank], len(users)),
            user=user[rank].astype(np.int32),
            item=item[rank].astype(np.int32),
            kind=kind.to_numpy().astype(np.int8)[rank],
            order="column" if order == "order" else order,
            value=column("value", np.float32),
            time=column("time", np.float64),
            session=column("session_id", np.int32, session),
            position=column("position", np.int32),
            propensity=column("propensity", np.float32),
            text=None if text is None else text.gather(rank),
            part=column("part", np.int8, part),
        )

    def __len__(self) -> int:
        return len(self.item)

    @property
    def n_users(self) -> int:
        """U: how many users have a number, with or without events."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """I: how many item numbers there are, PAD counted."""
        return len(self.items)

    @property
    def lengths(self) -> Int64[np.ndarray, " U"]:
        """Events by user."""
        return np.diff(self.offsets)

    def only(self, rows: Bool[np.ndarray, " N"]) -> "Interactions":
        """The events where `rows` is true; users and items keep their numbers."""
        if rows.all():
            return self
        picked = {
            name: column[rows] if isinstance(column, np.ndarray) else column.filter(pl.Series(rows))
            for name in _COLUMNS
            if (column := getattr(self, name)) is not None
        }
        return replace(self, offsets=_offsets(picked["user"], self.n_users), **picked)

    def counting(self, rule: Rule) -> "Interactions":
        """The events of items whose kind the rule looks at."""
        return self.only(rule.mask()[self.kind] & (self.item != PAD))

    def of_users(self, users: Int64[np.ndarray, " B"]) -> "Interactions":
        """The events of these users, who are now numbered 0 to B - 1 in this order."""
        rows, offsets = take_rows(self.offsets, users)
        picked = {
            name: column[rows] if isinstance(column, np.ndarray) else column.gather(rows)
            for name in _COLUMNS
            if (column := getattr(self, name)) is not None and name != "user"
        }
        numbers = np.repeat(np.arange(len(users), dtype=np.int32), np.diff(offsets))
        names = Vocab(self.users.of(users), 0)
        return replace(self, users=names, offsets=offsets, user=numbers, **picked)

    def renumbered(self, items: Vocab, numbers: Int32[np.ndarray, " I"]) -> "Interactions":
        """The same events under another item vocabulary; numbers[old] = new."""
        return replace(self, items=items, item=numbers[self.item])

    def seen(self) -> "Interactions":
        """The events after which an item is known to the user (all but impressions, searches)."""
        return self.only(SEEN[self.kind] & (self.item != PAD))

    def pairs(self, rule: Rule) -> sp.csr_array:
        """(U, I) f32, one entry per user and item that count, rows sorted by item.

        A pair whose last event with an opinion speaks against the item is left out.
        """
        counted = self.counting(rule)
        keys = counted.user.astype(np.int64) * self.n_items + counted.item
        sign = SIGN[counted.kind]
        distinct, inverse = np.unique(keys, return_inverse=True)
        positive = np.bincount(inverse[sign > 0], minlength=len(distinct)).astype(np.float32)
        if (sign < 0).any():
            last = np.ones(len(distinct), dtype=np.int8)
            last[inverse] = sign  # the events stand in order, so the last assignment stays
            positive[last < 0] = 0
        weight = positive if rule.value == "count" else (positive > 0).astype(np.float32)
        kept = weight > 0
        rows, columns = np.divmod(distinct[kept], self.n_items)
        matrix = sp.csr_array(
            (weight[kept], (rows, columns)), shape=(self.n_users, self.n_items), dtype=np.float32
        )
        matrix.sort_indices()
        return matrix

    def frame(self) -> pl.DataFrame:
        """The events by name, in this order, under the canonical column names."""
        names = pl.Series(list(KINDS), dtype=pl.String)
        columns: dict[str, Any] = {
            "user_id": self.users.of(self.user),
            "item_id": self.items.of(self.item),
            "kind": names.gather(self.kind.astype(np.int64) - 1),
        }
        for name, column in (("value", self.value), ("time", self.time)):
            if column is not None:
                columns[name] = pl.Series(column, nan_to_null=True)
        if self.order == "column":
            columns["order"] = np.arange(len(self), dtype=np.int64)
        if self.session is not None:
            columns["session_id"] = self.session
        return pl.DataFrame(columns)


_COLUMNS: Sequence[str] = [
    field.name
    for field in fields(Interactions)
    if field.name not in ("users", "items", "offsets", "order")
]


def take_rows(
    offsets: Int64[np.ndarray, " U1"], users: Int64[np.ndarray, " B"]
) -> tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " B1"]]:
    """The row numbers of these users' events, one user after another, and their new offsets."""
    starts, lengths = offsets[users], offsets[users + 1] - offsets[users]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)
    return rows, ends


def _offsets(user: np.ndarray, n_users: int) -> Int64[np.ndarray, " U1"]:
    counts = np.bincount(user, minlength=n_users)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _sorting(user: np.ndarray, events: pl.DataFrame, order: str | None) -> np.ndarray:
    """The permutation that sorts by user and order; equal ones keep the order of the rows."""
    if order is None:
        return np.argsort(user, kind="stable")
    column = events[order]
    if column.null_count():
        raise InputError(
            f"{column.null_count()} of {len(events)} rows have no {order}.",
            "Drop these rows, or name another column with --order.",
        )
    if order == "time" and "order" in events.columns:  # the order column breaks ties of time
        return np.lexsort((events["order"].to_numpy(), column.to_numpy(), user))
    return np.lexsort((column.to_numpy(), user))
