"""A table of what people did: named columns as they came in, before any name becomes a number."""

from dataclasses import dataclass

import polars as pl

EVENT_COLUMNS: dict[str, str] = {
    "user_id": "who; integers or text",
    "item_id": "what; integers or text (null only for a search)",
    "kind": "what happened: one of the names in data.kinds (default: see read)",
    "value": "how much: a rating, a count, seconds watched (f32)",
    "time": "when, in seconds since 1970 UTC (f64)",
    "order": "what came first, where no time says it (i64; only the order inside a user counts)",
    "session_id": "which visit",
    "position": "place in the list that was shown, from 1",
    "propensity": "probability with which the item was shown",
    "text": "the words of a search",
    "part": "train, valid or test, where a split comes ready-made",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Events, items and users by name.

    `events` holds a subset of EVENT_COLUMNS under exactly these names, at least user_id and
    item_id. `items` and `users` hold one row per item_id or user_id and any further columns
    (title, category, price, ...). `notes` are the guesses that reading made, to be shown aloud.
    """

    events: pl.DataFrame
    items: pl.DataFrame | None = None
    users: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()
