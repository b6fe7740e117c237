"""Splits: what is learned from, what is chosen on, what is asked once.

A Holdout is a question with its answer: the history that may be seen and the truth that came
after. Items that training never saw get numbers behind all others, so they stay in the truth (as
misses) and no model can know them.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int8, Int64

from honeyguide.data.interactions import PARTS, Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.data.table import Table
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, InputError, LeakError

TRAIN, VALID, TEST = PARTS["train"], PARTS["valid"], PARTS["test"]


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """Whom to ask, with what history, and what they did next.

    truth holds distinct pairs of user and item that speak for the item and are new to the user.
    users: those with a history and a truth. The counts say who and what was left out, and why.
    """

    history: Interactions
    truth: Interactions
    users: Int64[np.ndarray, " B"]
    now: Float64[np.ndarray, " U"] | None
    without_history: int
    repeats: int
    unknown_items: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The parts of a log. `valid` is None where a ready-made split brings none."""

    train: Interactions
    valid: Holdout | None
    test: Holdout
    notes: tuple[str, ...]


def prepare(table: Table, protocol: Protocol) -> Table:
    """The table after minimum rating and k-core."""
    events, notes = table.events, list(table.notes)
    if protocol.min_rating is not None:
        if "value" not in events.columns:
            raise CallError(
                "A minimum rating was asked for, but the table has no ratings.",
                "Name the column of ratings with --rating, or leave --min-rating out.",
            )
        low = pl.col("value") < protocol.min_rating
        if "kind" in events.columns:
            low &= pl.col("kind") == "rating"
        kept = events.filter(~low.fill_null(False))
        notes.append(f"{len(events) - len(kept)} ratings below {protocol.min_rating:g} left out")
        events = kept
    if protocol.k_core > 1:
        kept = events.filter(pl.Series(_core(events, protocol.k_core)))
        if len(kept) < len(events):
            notes.append(
                f"{protocol.k_core}-core: {len(events) - len(kept)} of {len(events)} events left out"
            )
        events = kept
    if len(events) == 0:
        raise InputError(
            "No event is left after the minimum rating and the k-core.",
            "Lower --min-rating or --k-core.",
        )
    return replace(table, events=events, notes=tuple(notes))


def split(log: Interactions, protocol: Protocol, *, allow_repeats: bool = False) -> Split:
    """Cut a log by its protocol. Raises InputError where a side would be empty, LeakError."""
    how = protocol.split
    if how == "time":
        part, now = _by_time(log, protocol)
    elif how == "leave-last-out":
        part, now = _leave_last_out(log), None
    elif how == "random":
        part, now = _random(log, protocol.test_fraction, protocol.valid_fraction, protocol), None
    else:
        part, now = _ready_made(log), None
    made = _assemble(log, part, now)
    if how == "ready-made":
        _refuse_same_events(log, part)
        _refuse_leaks(made, allow_repeats)
    return made


def inner_split(train: Interactions, protocol: Protocol) -> Split:
    """A seeded tenth of each user's training events held out, where no validation part exists."""
    part = _random(train, 0.1, 0.0, protocol)
    return _assemble(train, part, None)


def _core(events: pl.DataFrame, k: int) -> Bool[np.ndarray, " N"]:
    user = events["user_id"].rank("dense").to_numpy().astype(np.int64)
    item = events["item_id"].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    kept = np.ones(len(events), dtype=bool)
    while True:
        rare_user = np.bincount(user[kept], minlength=user.max() + 1)[user] < k
        rare_item = np.bincount(item[kept], minlength=item.max() + 1)[item] < k
        drop = kept & (rare_user | (rare_item & (item > 0)))
        if not drop.any():
            return kept
        kept &= ~drop


def _by_time(
    log: Interactions, protocol: Protocol
) -> tuple[Int8[np.ndarray, " N"], tuple[float, float]]:
    if log.time is None:
        raise CallError(
            "A split by time needs times, and the table has none.",
            "Name the column with --time, or choose --split leave-last-out or --split random.",
        )
    test, valid = protocol.test_fraction, protocol.valid_fraction
    cuts = np.quantile(log.time, [1 - test - valid, 1 - test], method="higher")
    part = (log.time >= cuts[0]).astype(np.int8) + (log.time >= cuts[1]).astype(np.int8)
    return part, (float(cuts[0]), float(cuts[1]))


def _leave_last_out(log: Interactions) -> Int8[np.ndarray, " N"]:
    """Last event of each user: test; the one before: validation. Users below 3 events train only."""
    if log.order is None:
        raise CallError(
            "Leaving the last event out needs an order, and the table has none.",
            "Name a column with --time or --order (--order file if the rows stand in order).",
        )
    counted = EVENTS_FOR.mask()[log.kind] & (log.item != PAD)
    part = np.zeros(len(log), dtype=np.int8)
    rows = np.flatnonzero(counted)
    from_end = np.zeros(len(log), dtype=np.int64)
    user = log.user[rows]
    ends = np.searchsorted(user, user, side="right")
    total = ends - np.searchsorted(user, user, side="left")
    from_end[rows] = ends - np.arange(len(rows))  # 1 = last
    enough = np.zeros(len(log), dtype=bool)
    enough[rows] = total >= 3
    part[enough & (from_end == 1)] = TEST
    part[enough & (from_end == 2)] = VALID
    return part


def _random(
    log: Interactions, test: float, valid: float, protocol: Protocol
) -> Int8[np.ndarray, " N"]:
    """A random share of each user's pairs; a pair that repeats stays on one side."""
    keys = log.user.astype(np.int64) * log.n_items + log.item
    distinct, inverse = np.unique(keys, return_inverse=True)
    draw = np.random.default_rng(protocol.split_seed).random(len(distinct))
    user = distinct // log.n_items
    order = np.lexsort((draw, user))
    place = np.empty(len(distinct), dtype=np.int64)
    starts = np.searchsorted(user, user, side="left")
    place[order] = np.arange(len(distinct)) - starts  # `user` is sorted, so starts fits order too
    count = np.bincount(user, minlength=log.n_users)[user]
    n_test = np.floor(count * test + 0.5).astype(np.int64)
    n_valid = np.floor(count * valid + 0.5).astype(np.int64)
    part = np.where(place < n_test, TEST, np.where(place < n_test + n_valid, VALID, TRAIN))
    return part.astype(np.int8)[inverse]


def _ready_made(log: Interactions) -> Int8[np.ndarray, " N"]:
    if log.part is None:
        raise CallError(
            "A ready-made split was asked for, but the table does not say its parts.",
            "Give the parts as files: --train FILE --test FILE [--valid FILE].",
        )
    return log.part


def _assemble(
    log: Interactions, part: Int8[np.ndarray, " N"], now: tuple[float, float] | None
) -> Split:
    _refuse_empty(part, EVENTS_FOR.mask()[log.kind])
    known = np.zeros(log.n_items, dtype=bool)
    known[log.item[part == TRAIN]] = True
    known[PAD] = True
    numbers = np.flatnonzero(known[1:]) + 1
    rest = np.flatnonzero(~known)
    order = np.concatenate([numbers, rest])
    new = np.zeros(log.n_items, dtype=np.int32)
    new[order] = np.arange(1, log.n_items, dtype=np.int32)
    everything = log.renumbered(log.items.reorder(order), new)
    catalogue = replace(everything.items, names=everything.items.names.head(len(numbers)))

    def seen_before(limit: int) -> Interactions:
        inside = everything.only((part < limit) & (everything.item <= len(numbers)))
        return replace(inside, items=catalogue)

    train = seen_before(VALID)
    asked_at = (None, None) if now is None else now
    valid = None
    if (part == VALID).any():
        valid = _holdout(train, everything.only(part == VALID), asked_at[0])
    test = _holdout(seen_before(TEST), everything.only(part == TEST), asked_at[1])
    notes = _notes("validation", valid) + _notes("test", test)
    return Split(train, valid, test, notes)


def _holdout(history: Interactions, after: Interactions, now: float | None) -> Holdout:
    after = after.counting(EVENTS_FOR)
    width = after.n_items
    keys = after.user.astype(np.int64) * width + after.item
    first = np.zeros(len(after), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    seen = history.seen()
    old = np.isin(keys, seen.user.astype(np.int64) * width + seen.item)
    truth = after.only(first & ~old)
    asked = truth.lengths > 0
    answerable = history.counting(EVENTS_FOR).lengths > 0
    if now is not None:
        when = np.full(history.n_users, now)
    elif after.time is not None and len(truth):
        when = np.full(history.n_users, np.nan)
        when[truth.user[::-1]] = truth.time[::-1] if truth.time is not None else np.nan
    else:
        when = None
    return Holdout(
        history=history,
        truth=truth,
        users=np.flatnonzero(asked & answerable),
        now=when,
        without_history=int((asked & ~answerable).sum()),
        repeats=int((first & old).sum()),
        unknown_items=int((truth.item >= history.n_items).sum()),
    )


def _notes(name: str, holdout: Holdout | None) -> tuple[str, ...]:
    if holdout is None:
        return ()
    said = []
    if holdout.without_history:
        said.append(f"{name}: {holdout.without_history} users without history excluded")
    if holdout.unknown_items:
        said.append(f"{name}: {holdout.unknown_items} pairs of items unseen in training are misses")
    if holdout.repeats:
        said.append(f"{name}: {holdout.repeats} pairs already seen are no part of the truth")
    return tuple(said)


def _refuse_empty(part: np.ndarray, positive: np.ndarray) -> None:
    for name, number in (("training", TRAIN), ("test", TEST)):
        if not (positive & (part == number)).any():
            raise InputError(
                f"The split leaves the {name} part without an event that counts.",
                "Give more data, or choose another --split.",
            )


def _refuse_same_events(log: Interactions, part: np.ndarray) -> None:
    """The very same event, time and all, on two sides."""
    if log.time is None:
        return
    events = pl.DataFrame(
        {"user": log.user, "item": log.item, "kind": log.kind, "time": log.time, "part": part}
    )
    parts = events.group_by("user", "item", "kind", "time").agg(pl.col("part").n_unique())
    same = int((parts["part"] > 1).sum())
    if same:
        raise LeakError(
            f"{same} events stand both in training and in validation or test.",
            "Remove them from one side.",
        )


def _refuse_leaks(made: Split, allow_repeats: bool) -> None:
    for name, holdout in (("validation", made.valid), ("test", made.test)):
        if holdout is None:
            continue
        if holdout.repeats and holdout.truth.time is None and not allow_repeats:
            raise LeakError(
                f"{holdout.repeats} pairs of user and item stand both in training and {name}.",
                "Remove them from one side, or say --allow-repeats if people do repeat.",
            )
        if holdout.history.time is None or holdout.truth.time is None:
            continue
        last = np.full(holdout.history.n_users, -np.inf)
        np.maximum.at(last, holdout.history.user, holdout.history.time)
        late = int((holdout.truth.time < last[holdout.truth.user]).sum())
        if late:
            raise LeakError(
                f"{late} {name} events are older than training events of the same user.",
                "Cut training and test by time, or leave --time out if the times mean nothing.",
            )
