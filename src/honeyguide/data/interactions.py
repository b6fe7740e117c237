"""What people did, as numbers: one row is one event, sorted by user and, where known, by order.

Frozen arrays. A change (fewer events, other numbers) is a new value. N events, U users, I items
with PAD.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from jaxtyping import Bool, Float, Float32, Float64, Int, Int8, Int32, Int64

from honeyguide.data.factorise import factorise
from honeyguide.data.kinds import KINDS
from honeyguide.data.rule import SEEN, SIGN, Rule
from honeyguide.data.sorting import by_user
from honeyguide.data.table import Table
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.data.words import of_searches
from honeyguide.errors import ColumnError, InputError, UnknownName, ValueInColumn

PARTS = {"train": 0, "valid": 1, "test": 2}
AT_ONCE = 1 << 22  # events for which columns of other types are made at once, some 40 bytes each
SEARCH = KINDS["search"].number
_KIND_NUMBERS = {kind.name: kind.number for kind in KINDS.values()}


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Events sorted by (user, order); the events of user u are offsets[u] to offsets[u + 1].

    order: what sorted the events inside a user: "time", "column", or None where nothing is known;
    models and splits that need an order refuse None. Equal ones keep the order of the table.
    item: PAD for a search, whose words stand in text, and for an item that a given vocabulary does
    not know. time: seconds since 1970. value, propensity: NaN = none. position, session: 0 = none;
    sessions are numbered in the order of their ids. words: those of searches (data/words.py), 0
    elsewhere. A column that says nothing is None.
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
    words: Int32[np.ndarray, "N W"] | None = None
    part: Int8[np.ndarray, " N"] | None = None

    @staticmethod
    def of(table: Table, users: Vocab | None = None, items: Vocab | None = None) -> "Interactions":
        """The events of a table. Without vocabularies, all users and items of its events.

        Raises ColumnError without user_id or item_id; ValueInColumn for a missing time or order,
        an item missing outside a search, a column of the wrong type; UnknownName for a kind or
        part nobody knows; InputError for users that a given vocabulary does not hold.
        """
        events = table.events
        for name, option in (("user_id", "--user"), ("item_id", "--item")):
            if name not in events.columns:
                raise ColumnError(name.removesuffix("_id"), name, events.columns, option)
        kind = _kinds(events)
        no_item = events["item_id"].is_null().to_numpy() & (kind != SEARCH)
        if no_item.any():
            raise ValueInColumn(
                f"{int(no_item.sum())} of {len(events)} events have no item and are no searches.",
                "Fill in item_id or drop these rows.",
            )
        users, user = _numbered(events["user_id"], users, Vocab.of_users)
        items, item = _numbered(
            events["item_id"], items, lambda names: Vocab.of_items(names.drop_nulls())
        )
        strangers = events["user_id"].filter(pl.Series(user < 0))
        if len(strangers):
            raise InputError(
                f"{len(strangers)} of {len(events)} events are of users that the vocabulary does "
                f"not know, such as {strangers[0]!r}.",
                "Grow the vocabulary by them first: users.grow(names).",
            )
        searches = kind == SEARCH
        item[searches] = PAD
        order = next((name for name in ("time", "order") if name in events.columns), None)
        rank = _sorting(user, events)
        session = events.get_column("session_id", default=None)
        text = events.get_column("text", default=None)
        words = None if text is None else of_searches(text, searches)
        part = events.get_column("part", default=None)

        def column(name: str, dtype: type) -> Any:
            if name not in events.columns or events[name].null_count() == len(events):
                return None
            return _as_numbers(events[name], dtype)[rank]

        return Interactions(
            users=users,
            items=items,
            offsets=_offsets(user[rank], len(users)),
            user=user[rank].astype(np.int32, copy=False),
            item=item[rank].astype(np.int32, copy=False),
            kind=kind[rank],
            order="column" if order == "order" else order,
            value=column("value", np.float32),
            time=column("time", np.float64),
            session=None
            if session is None or session.null_count() == len(session)
            else _as_numbers(session.rank("dense"), np.int32)[rank],
            position=column("position", np.int32),
            propensity=column("propensity", np.float32),
            text=None if text is None else text.gather(np.arange(len(text))[rank]),
            words=None if words is None else words[rank],
            part=None if part is None else _by_name(part, PARTS, "part of a split")[rank],
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
        """The events whose kind the rule looks at, of items that have a number; searches, where it
        looks at them, that have a word."""
        counts = rule.mask()[self.kind] & (self.item != PAD)
        if "search" in rule.kinds:
            return self.only(counts if self.words is None else counts | (self.words[:, 0] > 0))
        return replace(self, words=None).only(counts)

    def blocks(self) -> Iterator["Interactions"]:
        """The events in order in parts of whole users, who are numbered from 0 in each: AT_ONCE
        events and those that the last user has more."""
        if len(self) <= AT_ONCE:
            yield self
            return
        full = np.searchsorted(self.offsets, np.arange(AT_ONCE, len(self), AT_ONCE))
        ends = np.unique([0, *full, self.n_users])
        for first, last in pairwise(ends):
            yield self.of_users(np.arange(first, last))

    def of_users(self, users: Int64[np.ndarray, " B"]) -> "Interactions":
        """The events of these users, who are now numbered 0 to B - 1 in this order."""
        return self._picked(*take_rows(self.offsets, users), Vocab(self.users.of(users), 0))

    def stretches(
        self, first: Int64[np.ndarray, " B"], end: Int64[np.ndarray, " B"]
    ) -> "Interactions":
        """The events first[b] to before end[b], as those of B nameless people."""
        return self._picked(*_rows(first, end), Vocab(pl.Series(np.arange(len(first))), 0))

    def _picked(
        self, rows: Int64[np.ndarray, " M"], offsets: Int64[np.ndarray, " B1"], users: Vocab
    ) -> "Interactions":
        picked = {
            name: column[rows] if isinstance(column, np.ndarray) else column.gather(rows)
            for name in _COLUMNS
            if (column := getattr(self, name)) is not None and name != "user"
        }
        numbers = np.repeat(np.arange(len(users), dtype=np.int32), np.diff(offsets))
        return replace(self, users=users, offsets=offsets, user=numbers, **picked)

    def renumbered(self, items: Vocab, numbers: Int32[np.ndarray, " I"]) -> "Interactions":
        """The same events under another item vocabulary; numbers[old] = new."""
        return replace(self, items=items, item=numbers[self.item])

    def seen(self) -> "Interactions":
        """The events after which an item is known to the user (all but impressions, searches)."""
        return self.only(SEEN[self.kind] & (self.item != PAD))

    def pairs(self, rule: Rule) -> sp.csr_array:
        """(U, I) f32 (times: f64), one entry per user and item that count, rows sorted by item.

        A pair whose last event with an opinion speaks against the item is left out.
        """
        first, *others = (block._pairs(rule) for block in self.blocks())
        if not others:
            return first
        stacked: sp.csr_array = sp.vstack([first, *others], format="csr")
        stacked.has_canonical_format = True
        return stacked

    def _pairs(self, rule: Rule) -> sp.csr_array:
        shape = (self.n_users, self.n_items)
        opinion = (rule.mask() & (SIGN != 0))[self.kind] & (self.item != PAD)
        user, item, kind = self.user, self.item, self.kind
        if not opinion.all():
            user, item, kind = user[opinion], item[opinion], kind[opinion]
        # Two transpositions sort each row by item and keep the order of events of a pair.
        events: Any = sp.csr_array((SIGN[kind], item, _offsets(user, shape[0])), shape=shape)
        events = events.tocsc().tocsr()
        items, sign, ends = events.indices, events.data, events.indptr
        last = np.ones(len(items), dtype=bool)  # of its pair
        last[:-1] = items[1:] != items[:-1]
        last[ends[1:][np.diff(ends) > 0] - 1] = True
        kept = last & (sign > 0)
        if rule.value == "count":
            positive = np.cumsum(sign > 0)
            count = np.diff(positive[last], prepend=0)
            weight = count[kept[last]].astype(np.float32)
        elif rule.value == "value":
            weight = _in_pairs(self, self.value, opinion, np.float32)[kept]
        elif rule.value == "time":
            weight = _in_pairs(self, self.time, opinion, np.float64)[kept]
        else:
            weight = np.ones(int(kept.sum()), dtype=np.float32)
        kept_before = np.concatenate([[0], np.cumsum(kept)]).astype(ends.dtype)
        matrix: sp.csr_array = sp.csr_array((weight, items[kept], kept_before[ends]), shape=shape)
        matrix.has_canonical_format = True
        return matrix

    def frame(self) -> pl.DataFrame:
        """The events by name, in this order, under the canonical column names.

        Sessions are named by their numbers. Read again, the same events come out.
        """
        names = pl.Series(list(KINDS), dtype=pl.String)
        columns: dict[str, Any] = {
            "user_id": self.users.of(self.user),
            "item_id": self.items.of(self.item),
            "kind": names.gather(self.kind.astype(np.int64) - 1),
        }
        for name in ("value", "time", "propensity"):
            if (column := getattr(self, name)) is not None:
                columns[name] = pl.Series(column, nan_to_null=True)
        if self.order == "column":
            columns["order"] = np.arange(len(self), dtype=np.int64)
        for name, column in (("session_id", self.session), ("position", self.position)):
            if column is not None:
                columns[name] = pl.Series(column).set(pl.Series(column == 0), None)
        if self.text is not None:
            columns["text"] = self.text
        if self.part is not None:
            columns["part"] = pl.Series(list(PARTS)).gather(self.part)
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
    # a negative number would quietly be another user
    assert not len(users) or users.min() >= 0, "an unknown user has no rows"
    return _rows(offsets[users], offsets[users + 1])


def _rows(
    first: Int64[np.ndarray, " B"], end: Int64[np.ndarray, " B"]
) -> tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " B1"]]:
    """The numbers first[b] to before end[b], one stretch after another, and their offsets."""
    lengths = end - first
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths), offsets


def _in_pairs(
    log: Interactions,
    column: Float[np.ndarray, " N"] | None,
    rows: Bool[np.ndarray, " N"],
    dtype: type,
) -> Float[np.ndarray, " M"]:
    """A column of these events in the order of `pairs`; NaN where the log has no such column."""
    if column is None:
        return np.full(int(rows.sum()), np.nan, dtype)
    user, shape = log.user[rows], (log.n_users, log.n_items)
    events: Any = sp.csr_array(
        (column[rows], log.item[rows], _offsets(user, shape[0])), shape=shape
    )
    found: Float[np.ndarray, " M"] = events.tocsc().tocsr().data
    return found


def _offsets(user: np.ndarray, n_users: int) -> Int64[np.ndarray, " U1"]:
    """Where each user begins in a sorted column."""
    edges = np.arange(n_users + 1, dtype=user.dtype)  # another type would be copied
    return np.searchsorted(user, edges).astype(np.int64)


def _sorting(user: np.ndarray, events: pl.DataFrame) -> np.ndarray | slice:
    """What sorts the rows by user, time and order; equal ones keep the order of the rows."""
    keys = [user]
    for name in ("time", "order"):  # an order column breaks ties of time
        if name not in events.columns:
            continue
        column = events[name]
        if not column.dtype.is_numeric():
            raise ValueInColumn(
                f'Column "{name}" is of type {column.dtype}, not numbers.',
                "Times are seconds since 1970 UTC; data.read.read understands dates.",
            )
        missing = column.is_null() | ~column.cast(pl.Float64).is_finite().fill_null(False)
        if missing.any():
            raise ValueInColumn(
                f"{missing.sum()} of {len(events)} rows have no {name}.",
                "Drop these rows, or name another column with --order.",
            )
        keys.append(column.to_numpy())
    if _ascending(keys):
        return slice(None)
    if len(keys) == 3:
        return np.lexsort(keys[::-1])
    second = keys[1] if len(keys) == 2 else None
    if second is not None and np.issubdtype(second.dtype, np.integer):
        least, most = int(second.min()), int(second.max())
        if most - least >= 2**53:  # a float could not tell all of them apart
            return np.lexsort(keys[::-1])
        second = second.astype(np.int64) - least
    return by_user(user, None if second is None else second.astype(np.float64))


def _ascending(keys: Sequence[np.ndarray]) -> bool:
    tied = np.ones(max(len(keys[0]) - 1, 0), dtype=bool)
    for key in keys:
        if (tied & (key[1:] < key[:-1])).any():
            return False
        tied &= key[1:] == key[:-1]
    return True


def _numbered(
    names: pl.Series, vocab: Vocab | None, made: Callable[[pl.Series], Vocab]
) -> tuple[Vocab, Int[np.ndarray, " N"]]:
    """The vocabulary, made of the names where it is not given, and the number of each name."""
    plain = names.dtype == pl.String or names.dtype.is_integer()
    if vocab is not None or names.null_count() or not plain:
        vocab = made(names) if vocab is None else vocab
        return vocab, vocab.numbers(names)
    distinct, places = factorise(names if names.dtype == pl.String else names.cast(pl.Int64))
    vocab = made(distinct)
    places += vocab.first
    return vocab, places


def _kinds(events: pl.DataFrame) -> Int8[np.ndarray, " N"]:
    if "kind" in events.columns:
        return _by_name(events["kind"], _KIND_NUMBERS, "event kind")
    kind = "rating" if "value" in events.columns else "view"  # as in data.read
    return np.full(len(events), _KIND_NUMBERS[kind], dtype=np.int8)


def _by_name(series: pl.Series, table: Mapping[str, int], what: str) -> Int8[np.ndarray, " N"]:
    """The number of each word; UnknownName for a word (or null) that the table does not hold."""
    if series.null_count():
        raise UnknownName(what, "None", table)
    words, places = factorise(series.cast(pl.String))
    unknown = [word for word in words if word not in table]
    if unknown:
        raise UnknownName(what, unknown[0], table)
    numbers: Int8[np.ndarray, " N"] = np.array([table[word] for word in words], np.int8)[places]
    return numbers


def _as_numbers(series: pl.Series, dtype: type) -> Any:
    """Numbers as `dtype`; null becomes NaN, or 0 in whole numbers."""
    floating = np.issubdtype(dtype, np.floating)
    if not series.dtype.is_numeric():
        raise ValueInColumn(
            f'Column "{series.name}" is of type {series.dtype}, not numbers.',
            "Turn it into numbers; data.read.read does so for files and frames.",
        )
    filled = series.cast(pl.Float64) if floating else series.fill_null(0)
    return filled.to_numpy().astype(dtype)
