"""Small logs as lists of events, random ones for hypothesis, and how to count by plain loops."""

from collections import defaultdict
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.rule import Rule
from honeyguide.data.split import Holdout
from honeyguide.data.table import Table

Event = tuple[str, str, str]  # user, item, kind


def table(events: list[Event], **columns: Any) -> Table:
    """Events of (user, item, kind) in this order; an item "" is null."""
    who, what, kind = zip(*events, strict=True) if events else ((), (), ())
    frame = pl.DataFrame(
        {
            "user_id": pl.Series(who, dtype=pl.String),
            "item_id": pl.Series([name or None for name in what], dtype=pl.String),
            "kind": pl.Series(kind, dtype=pl.String),
        }
    )
    return Table(frame.with_columns(**{k: pl.Series(k, v) for k, v in columns.items()}))


def log(events: list[Event], *, ordered: bool = True, **columns: Any) -> Interactions:
    """The same as Interactions; `ordered`: the events stand in the order of the list."""
    if ordered and "time" not in columns:
        columns["order"] = list(range(len(events)))
    return Interactions.of(table(events, **columns))


def views(*pairs: str) -> list[Event]:
    """ "ax" is a view of item x by user a."""
    return [(pair[0], pair[1], "view") for pair in pairs]


def moments(events: list[Event]) -> list[float]:
    """A time for each event, in their order, which f32 could not tell apart."""
    return [1.7e9 + n for n in range(len(events))]


def names(events: Interactions) -> list[tuple[Any, Any]]:
    """(user, item) by name, in the order of the log."""
    frame = events.frame()
    return list(zip(frame["user_id"], frame["item_id"], strict=True))


def asked(held: Holdout) -> dict[str, set[str]]:
    """By user who is asked: the names of the true items."""
    who = held.history.users.of(held.users).to_list()
    found: dict[str, set[str]] = {name: set() for name in who}
    for user, item in names(held.truth):
        if user in found:
            found[user].add(item)
    return found


def drawn(seed: int, size: int, users: str = "abcd", items: str = "uvwxyz") -> list[Event]:
    """Events of every kind, half of them views; searches have no item."""
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(size) < 0.5, "view", rng.choice(list(KINDS), size)).tolist()
    who, what = rng.choice(list(users), size).tolist(), rng.choice(list(items), size).tolist()
    return [
        (user, "" if kind == "search" else item, kind)
        for user, item, kind in zip(who, what, kinds, strict=True)
    ]


def random_events(most: int = 40, **names: str) -> st.SearchStrategy[list[Event]]:
    """1 to `most` events of `drawn`. (Lists that hypothesis draws itself hold about six.)"""
    return st.builds(drawn, st.integers(0, 2**32), st.integers(1, most), **_just(names))


def _just(names: dict[str, str]) -> dict[str, st.SearchStrategy[str]]:
    return {key: st.just(value) for key, value in names.items()}


def pairs_by_hand(events: Interactions, rule: Rule) -> dict[tuple[int, int], float]:
    """What Interactions.pairs must hold."""
    opinions, last = defaultdict(list), {}
    names = list(KINDS)
    for row, (user, item, number) in enumerate(
        zip(events.user, events.item, events.kind, strict=True)
    ):
        kind = KINDS[names[number - 1]]
        if item and kind.name in rule.kinds and kind.sign:
            opinions[int(user), int(item)].append(kind.sign)
            last[int(user), int(item)] = row

    def worth(pair: tuple[int, int]) -> float:
        if rule.value == "time":
            assert events.time is not None
            return float(events.time[last[pair]])
        return float(opinions[pair].count(1)) if rule.value == "count" else 1.0

    return {pair: worth(pair) for pair, signs in opinions.items() if signs[-1] > 0}


def entries(matrix: Any) -> dict[tuple[int, int], float]:
    """The entries of a sparse matrix; a column that stands twice in a row is an error."""
    found: dict[tuple[int, int], float] = {}
    for row in range(matrix.shape[0]):
        places = slice(matrix.indptr[row], matrix.indptr[row + 1])
        columns = matrix.indices[places]
        assert np.all(np.diff(columns) > 0)
        found |= {
            (row, int(c)): float(v) for c, v in zip(columns, matrix.data[places], strict=True)
        }
    return found
