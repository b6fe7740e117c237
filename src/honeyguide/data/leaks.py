"""Leaks: what of a held-out part can be seen from the parts before it. Each is refused.

The same event on two sides, events to learn from that are later than those asked about, the answer
among the features. Items and users that only the test part knows are no leaks; the split counts
them. A part is a number by event: 0 train, 1 validation, 2 test.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from jaxtyping import Int8, Int64

from honeyguide.data.features import Features
from honeyguide.data.interactions import PARTS, Interactions
from honeyguide.data.rule import SEEN
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.errors import LeakError

SIDES = {PARTS["valid"]: "validation", PARTS["test"]: "test"}


def refuse_same_events(
    log: Interactions, part: Int8[np.ndarray, " N"], *, allow_repeats: bool
) -> None:
    """LeakError where an event stands on two sides.

    An event is its user, item, kind and time. Without times it is its user, item and kind, of the
    kinds after which an item is known, unless allow_repeats says that people do repeat.
    """
    if log.time is None and allow_repeats:
        return
    rows = log.item != PAD
    if log.time is None:
        rows &= SEEN[log.kind]
    columns = {"user": log.user, "item": log.item, "kind": log.kind, "part": part}
    if log.time is not None:
        columns["time"] = log.time
    events = pl.DataFrame(columns).filter(pl.Series(rows)).lazy()
    key = [name for name in columns if name != "part"]
    for number, name in SIDES.items():
        before = events.filter(pl.col("part") < number).select(key)
        held = events.filter(pl.col("part") == number).select(key).unique()
        same = held.join(before, on=key, how="semi").select(pl.len()).collect().item()
        if same and log.time is None:
            raise LeakError(
                f"{same} events of the {name} part (user, item, kind) also stand before it.",
                "Remove them from one side, or say --allow-repeats if people do repeat.",
            )
        if same:
            raise LeakError(
                f"{same} events of the {name} part (user, item, kind, time) also stand before it.",
                "Remove the copies.",
            )


def refuse_future_events(log: Interactions, part: Int8[np.ndarray, " N"]) -> None:
    """LeakError where an event is older than one of the same user in a part before it."""
    if log.time is None:
        return
    for number, name in SIDES.items():
        before = part < number
        last = np.full(log.n_users, -np.inf)
        np.maximum.at(last, log.user[before], log.time[before])
        late = int(((part == number) & (log.time < last[log.user])).sum())
        if late:
            raise LeakError(
                f"{late} events of the {name} part are older than events of the same user that "
                "are learned from.",
                "Cut the parts by time, or leave --time out if the times mean nothing.",
            )


def refuse_target_in_features(
    truth: Interactions, *, items: Features | None = None, users: Features | None = None
) -> None:
    """LeakError where a column names the answers: each user's items, or each item's users.

    A column is refused when it names a tenth of the pairs of the truth more than it names of pairs
    of the same users and items that are mixed (and more than chance explains). Numbers that only
    happen to equal ids are so told apart. What predicts the answer without naming it is not seen.
    """
    n = len(truth)
    pairs = truth.user.astype(np.int64) * truth.n_items + truth.item
    mixed = truth.user.astype(np.int64) * truth.n_items + np.roll(truth.item, n // 2)
    for side, features, vocab in (("items", items, truth.users), ("users", users, truth.items)):
        if features is None:
            continue
        for name, row, named in _named(features, vocab):
            user, item = (row, named) if side == "users" else (named, row)
            said = user * truth.n_items + item
            hits, chance = (int(np.isin(keys, said).sum()) for keys in (pairs, mixed))
            if hits > chance + max(n / 10, 3 * (chance + 1) ** 0.5):
                raise LeakError(
                    f'Column "{name}" of the {side} names the answer in {hits} of {n} cases.',
                    "Leave this column out: it would not be known when the question is asked.",
                )


def _named(
    features: Features, vocab: Vocab
) -> Iterator[tuple[str, Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]]:
    """Of each column but the ids: its name, numbers of rows, numbers of what stands there."""
    rows = pl.int_range(len(features.vocab), eager=True)
    for name in features.frame.columns[1:]:
        said = pl.DataFrame({"row": rows, "value": features.frame[name]})
        if said["value"].dtype in (pl.List, pl.Array):
            said = said.explode("value")
        dtype = said["value"].dtype
        if dtype != pl.String and not dtype.is_integer() and not dtype.is_float():
            continue
        said = said.drop_nulls()
        numbers = vocab.numbers(said["value"])
        found = numbers != vocab.unknown
        yield name, said["row"].to_numpy()[found], numbers[found]
