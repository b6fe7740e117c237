"""How a fitted recommender keeps up: new events, new users and new items, without training.

A change is a new State. Events are inserted where they belong in the order of their user, so that
an update costs a copy of the histories (O(events)) and no sorting; old numbers never move.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32, Int64

from honeyguide.data.columns import ids, refuse_null
from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.read import read
from honeyguide.data.source import open_source
from honeyguide.data.split import rated_enough
from honeyguide.data.table import Table
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.errors import ColumnError, InputError
from honeyguide.recommender.state import HISTORY, State, kept


def with_events(state: State, events: Any) -> State:
    """The same recommender after these events, in any form that `fit` takes.

    Those earlier in time than a user's last one are inserted at their place; without times they
    come after all that is known. Ratings below the minimum that `fit` was given are left out.
    Raises InputError where the histories have times and these none.
    """
    table = counted(state, events)
    users = grown(state.users.vocab, table.events["user_id"])
    items = grown(state.items.vocab, table.events["item_id"].drop_nulls())
    fresh = kept(Interactions.of(table, users=users, items=items), state.model.spec.rule)
    old = state.histories
    if old.time is not None and fresh.time is None and len(fresh):
        raise InputError(
            "The new events have no times, but the histories have.",
            "Give each event its time, in seconds since 1970 or as a date.",
        )
    return replace(
        state,
        histories=merged(old, fresh),
        users=_longer(state.users, users, "user_id"),
        items=_longer(state.items, items, "item_id"),
    )


def counted(state: State, events: Any) -> Table:
    """A table of few events, without those ratings that `fit` would have left out too."""
    table = read(events, few=True)
    least = state.resolved["protocol"]["min_rating"]
    return replace(table, events=rated_enough(table.events, least))


def with_items(state: State, frame: Any) -> tuple[State, pl.Series]:
    """The same recommender with new items, and the ids of all items in the frame.

    frame: a file, a frame or {column: values} with item_id and any other columns. What is known of
    known items stays as it is. Raises ColumnError without item_id, ValueInColumn for ids that are
    null or stand twice, InputError for values of another type than before.
    """
    rows = _item_rows(frame)
    names = rows["item_id"]
    items = grown(state.items.vocab, names)
    known = state.items.frame
    fresh = rows.filter(pl.Series(items.numbers(names) >= len(state.items.vocab)))
    try:
        fresh = fresh.cast({n: known.schema[n] for n in fresh.columns if n in known.columns})
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"The columns of the new items do not fit: {str(error).splitlines()[0]}.",
            "Give them the types that they had in training.",
        ) from None
    both = pl.concat([known.slice(PAD + 1), fresh], how="diagonal")
    features = Features.of(items, both, "item_id")
    histories = replace(state.histories, items=items)
    return replace(state, items=features, histories=histories), names


def grown(vocab: Vocab, names: pl.Series) -> Vocab:
    """The vocabulary with the new ones of these names; the very same where there is none."""
    return vocab.grow(names) if (vocab.numbers(names) == vocab.unknown).any() else vocab


def merged(old: Interactions, fresh: Interactions) -> Interactions:
    """Both in one order, under the vocabularies of `fresh`, which are those of `old` or longer."""
    if len(fresh) == 0:
        return under(old, fresh.users, fresh.items)
    old = under(old, fresh.users, fresh.items)
    at = old.offsets[1:][fresh.user]
    if old.time is not None and fresh.time is not None:
        at = _places(old, fresh.user, fresh.time)
    columns: dict[str, Any] = {
        name: np.insert(column, at, _column(fresh, name, old), axis=0)
        for name in HISTORY
        if (column := getattr(old, name)) is not None
    }
    lengths = old.lengths + fresh.lengths
    return replace(
        old,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        user=np.insert(old.user, at, fresh.user),
        **columns,
    )


def _column(fresh: Interactions, name: str, old: Interactions) -> Any:
    """A column of the new events; NaN or 0 where they have none."""
    column, like = getattr(fresh, name), getattr(old, name)
    if column is None:
        nothing = np.nan if like.dtype.kind == "f" else 0
        return np.full((len(fresh), *like.shape[1:]), nothing, like.dtype)
    if name == "session":  # numbered anew in each table, so theirs come behind ours
        return np.where(column > 0, column + like.max(initial=0), 0)
    return column


def _places(
    old: Interactions, user: Int32[np.ndarray, " M"], time: Float64[np.ndarray, " M"]
) -> Int64[np.ndarray, " M"]:
    """Behind the last event of the user that is not later: all binary searches at once."""
    assert old.time is not None
    low: Int64[np.ndarray, " M"]
    low, high = old.offsets[user], old.offsets[user + 1]
    while (searching := low < high).any():
        middle = (low + high) // 2
        later = old.time[middle.clip(max=len(old) - 1)] > time
        low = np.where(searching & ~later, middle + 1, low)
        high = np.where(searching & later, middle, high)
    return low


def under(events: Interactions, users: Vocab, items: Vocab) -> Interactions:
    """The same events under longer vocabularies; the new users have none."""
    more = len(users) - events.n_users
    offsets = np.pad(events.offsets, (0, more), mode="edge") if more else events.offsets
    return replace(events, users=users, items=items, offsets=offsets)


def _longer(features: Features, vocab: Vocab, key: str) -> Features:
    """The features with empty rows for the new names."""
    if len(vocab) == len(features.vocab):
        return features
    fresh = vocab.names.slice(len(features.vocab.names)).alias(key)
    return Features(vocab, pl.concat([features.frame, fresh.to_frame()], how="diagonal"))


def _item_rows(frame: Any) -> pl.DataFrame:
    opened = open_source(pl.DataFrame(frame) if isinstance(frame, dict) else frame, "item_id")
    if "item_id" not in opened.names:
        raise ColumnError("id of the items", "item_id", opened.names, "the header item_id")
    rows = opened.load(opened.names)
    names = ids(rows["item_id"], "item_id", [], as_text=opened.as_text)
    refuse_null(names, "item_id", "item id")
    return rows.with_columns(names.alias("item_id"))
