"""Splits: what is learned from, what is chosen on, what is asked once.

A Holdout is a question with its answer: the history that may be seen and the truth that came
after. Items that training never saw get numbers behind all others, so they stay in the truth (as
misses) and no model can know them. Where a log is cut is said in cuts.py.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from honeyguide.data import leaks
from honeyguide.data.cuts import TEST, TRAIN, VALID, Cut, counted, cut, random_cut
from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.rule import EVENTS_FOR, SEEN, SIGN
from honeyguide.data.table import Table
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, InputError


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """Whom to ask, with what history, and what they did next.

    truth holds distinct pairs of user and item that speak for the item (the last opinion in the
    part decides) and are new to the user. users: those with a history and a truth. now: the time
    of each user's question (NaN for those not asked), None without times. The counts say who and
    what was left out, and why: users with a truth and no history; pairs whose item the user had
    already seen; pairs of the asked users whose item training never saw (they stay, as misses);
    users with events in the part of which none is a truth (impressions, dislikes, items seen).
    """

    history: Interactions
    truth: Interactions
    users: Int64[np.ndarray, " B"]
    now: Float64[np.ndarray, " U"] | None
    without_history: int
    repeats: int
    unknown_items: int
    without_truth: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The parts of a log. `valid` is None where a ready-made split brings none."""

    train: Interactions
    valid: Holdout | None
    test: Holdout
    notes: tuple[str, ...]


def prepare(table: Table, protocol: Protocol) -> Table:
    """The table after minimum rating and k-core. InputError where nothing is left."""
    events, notes = table.events, list(table.notes)
    if protocol.min_rating is not None:
        if "value" not in events.columns:
            raise CallError(
                "A minimum rating was asked for, but the table has no ratings.",
                "Name the column of ratings with --rating, or leave --min-rating out.",
            )
        kept = rated_enough(events, protocol.min_rating)
        notes.append(f"{len(events) - len(kept)} ratings below {protocol.min_rating:g} left out")
        events = kept
    if protocol.k_core > 1 and len(events):
        kept = events.filter(pl.Series(_core(events, protocol.k_core)))
        if len(kept) < len(events):
            left_out = len(events) - len(kept)
            notes.append(f"{protocol.k_core}-core: {left_out} of {len(events)} events left out")
        events = kept
    if len(events) == 0:
        raise InputError(
            "No event is left after the minimum rating and the k-core.",
            "Lower --min-rating or --k-core.",
        )
    return replace(table, events=events, notes=tuple(notes))


def rated_enough(events: pl.DataFrame, least: float | None) -> pl.DataFrame:
    """The events without ratings below `least`; all of them where that is None."""
    if least is None or "value" not in events.columns:
        return events
    low = pl.col("value") < least
    if "kind" in events.columns:
        low &= pl.col("kind") == "rating"
    return events.filter(~low.fill_null(False))


def split(log: Interactions, protocol: Protocol, *, allow_repeats: bool = False) -> Split:
    """Cut a log by its protocol. Raises InputError where a side would be empty, LeakError.

    allow_repeats: whether, in a ready-made split without times, the same user, item and kind may
    stand on two sides (otherwise it is taken for the same event). Either way an item that the user
    has already seen is no part of the truth.
    """
    how = protocol.split
    made = cut(log, protocol)
    _refuse_empty(log, made, valid=how != "ready-made")
    if how == "ready-made":
        leaks.refuse_same_events(log, made.part, allow_repeats=allow_repeats)
        leaks.refuse_future_events(log, made.part)
    elif how in ("leave-last-out", "new-users") and log.time is not None:
        # an event logged twice would be asked for and seen
        leaks.refuse_same_events(log, made.sides, allow_repeats=allow_repeats)
    known = np.zeros(log.n_items, dtype=bool)
    known[log.item[made.part == TRAIN]] = True
    known[PAD] = False
    parts = _assemble(_renumbered(log, known), made, int(known.sum()) + 1)
    return replace(parts, notes=(*parts.notes, *_ALL_NEW)) if how == "new-items" else parts


def asked_events(log: Interactions, protocol: Protocol) -> Interactions:
    """Every event that the test part is asked for, of whomever and whatever kind.

    Users and items keep their numbers. For measures of single events, such as the error of a
    predicted rating, which need no history.
    """
    return log.only(cut(log, protocol).after(TEST))


def inner_split(train: Interactions, protocol: Protocol) -> Split:
    """A seeded share (valid_fraction) of each user's training pairs held out, as `test`.

    For choosing where no validation part exists. Users and items keep the numbers that they have
    in `train`, so a model built for it can be asked.
    """
    made = random_cut(train, protocol.valid_fraction, 0.0, protocol.split_seed)
    _refuse_empty(train, made, valid=False)
    return _assemble(train, made, train.n_items)


def holdout(
    history: Interactions,
    after: Interactions,
    now: float | None,
    *,
    before: Interactions | None = None,
) -> Holdout:
    """The question of everyone in `after`, given the history.

    Items are numbered alike in both; those of `after` may go on. now: the time of all questions;
    None = of each user's first answer. before: the history together with items that are not to be
    asked with and that the users have seen nevertheless.
    """
    before = history if before is None else before
    there = after.lengths > 0
    after = after.only((SIGN[after.kind] != 0) & (after.item != PAD))
    width = max(before.n_items, after.n_items)
    keys = after.user.astype(np.int64) * width + after.item
    speaks = SIGN[after.kind] > 0
    first = _first_of_each(keys, speaks) & ~_among(keys, keys[_last_of_each(keys) & ~speaks])
    seen = SEEN[before.kind] & (before.item != PAD)
    old = _among(keys, before.user[seen].astype(np.int64) * width + before.item[seen])
    truth = after.only(first & ~old)
    has_truth = truth.lengths > 0
    answerable = history.counting(EVENTS_FOR).lengths > 0
    asked = has_truth & answerable
    when = None
    if now is not None:
        when = np.full(history.n_users, now)
    elif truth.time is not None:
        when = np.full(history.n_users, np.nan)
        when[has_truth] = truth.time[truth.offsets[:-1][has_truth]]
    return Holdout(
        history=history,
        truth=truth,
        users=np.flatnonzero(asked),
        now=when,
        without_history=int((has_truth & ~answerable).sum()),
        repeats=int((first & old).sum()),
        unknown_items=int((asked[truth.user] & (truth.item >= history.n_items)).sum()),
        without_truth=int((there & ~has_truth).sum()),
    )


def _core(events: pl.DataFrame, k: int) -> Bool[np.ndarray, " N"]:
    user = events["user_id"].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    item = events["item_id"].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    kept = np.ones(len(events), dtype=bool)
    while True:
        rare_user = (np.bincount(user[kept], minlength=user.max() + 1) < k)[user]
        rare_item = (np.bincount(item[kept], minlength=item.max() + 1) < k)[item]
        drop = kept & (rare_user | (rare_item & (item > 0)))  # a search has no item
        if not drop.any():
            return kept
        kept &= ~drop


def _refuse_empty(log: Interactions, made: Cut, *, valid: bool) -> None:
    """InputError where a part has no event that counts; `valid`: whether validation is one."""
    speaks = counted(log)
    needed = {TRAIN: "training", TEST: "test"} | ({VALID: "validation"} if valid else {})
    for number, name in needed.items():
        if not (speaks & made.after(number)).any():
            raise InputError(
                f"The split leaves the {name} part without an event that counts.",
                "Give more data, or choose another --split.",
            )


def _renumbered(log: Interactions, known: Bool[np.ndarray, " I"]) -> Interactions:
    """The known items first, in the order they had, then the others."""
    numbers = np.arange(1, log.n_items)
    order = np.concatenate([numbers[known[1:]], numbers[~known[1:]]])
    new = np.zeros(log.n_items, dtype=np.int32)
    new[order] = numbers
    return log.renumbered(log.items.reorder(order), new)


def _assemble(log: Interactions, made: Cut, n_items: int) -> Split:
    """The parts, where the items below n_items are those of the training catalogue."""
    catalogue = replace(log.items, names=log.items.names.head(n_items - 1))

    def ask(side: int) -> Holdout:
        before = log.only(made.before(side))
        history = replace(before.only(before.item < n_items), items=catalogue)
        asked = holdout(history, log.only(made.after(side)), made.now.get(side), before=before)
        if not len(asked.users):
            raise InputError(
                f"Nobody can be asked in the {leaks.SIDES[side]} part: no user has both a history "
                f"and an item that is new to them ({asked.without_history} users without history, "
                f"{asked.repeats} pairs already seen).",
                "Give more data, or choose another --split.",
            )
        return asked

    train = replace(log.only(made.part == TRAIN), items=catalogue)
    valid = ask(VALID) if (made.part == VALID).any() else None
    test = ask(TEST)
    return Split(train, valid, test, _notes(VALID, valid) + _notes(TEST, test))


_ALL_NEW = ("new items: a model that knows items by their ids alone misses every one of them",)


def _notes(side: int, holdout: Holdout | None) -> tuple[str, ...]:
    if holdout is None:
        return ()
    name, said = leaks.SIDES[side], []
    if holdout.without_history:
        said.append(f"{name}: {holdout.without_history} users without history excluded")
    if holdout.without_truth:
        said.append(f"{name}: {holdout.without_truth} users with nothing to find excluded")
    if holdout.unknown_items:
        said.append(f"{name}: {holdout.unknown_items} pairs of items unseen in training are misses")
    if holdout.repeats:
        said.append(f"{name}: {holdout.repeats} pairs already seen are no part of the truth")
    return tuple(said)


def _among(
    keys: Int64[np.ndarray, " N"], others: Int64[np.ndarray, " M"]
) -> Bool[np.ndarray, " N"]:
    """Which keys stand among the others; for few keys and many others."""
    found = np.zeros(len(keys), dtype=bool)
    if not len(keys) or not len(others):
        return found
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    place = np.searchsorted(ordered, others).clip(max=len(ordered) - 1)
    hit = np.zeros(len(ordered), dtype=bool)
    hit[place[ordered[place] == others]] = True  # the first of equal ones
    first = np.searchsorted(ordered, ordered)
    found[order] = hit[first]
    return found


def _first_of_each(
    keys: Int64[np.ndarray, " N"], rows: Bool[np.ndarray, " N"]
) -> Bool[np.ndarray, " N"]:
    """The first of the equal keys among these rows."""
    places = np.flatnonzero(rows)
    first = np.zeros(len(keys), dtype=bool)
    first[places[np.unique(keys[places], return_index=True)[1]]] = True
    return first


def _last_of_each(keys: Int64[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    return _first_of_each(keys[::-1], np.ones(len(keys), dtype=bool))[::-1]
