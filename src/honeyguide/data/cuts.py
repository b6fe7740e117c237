"""Cuts: which events are learned from, chosen on, asked for. One function per split, one table.

Everything drawn depends on the seed and on names alone, not on the order of rows. Users and items
whose events speak for nothing (impressions, searches) are never drawn and are learned from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int8, Int64

from honeyguide.data.interactions import PARTS, Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError

TRAIN, VALID, TEST = PARTS["train"], PARTS["valid"], PARTS["test"]
Parts = Int8[np.ndarray, " N"]
Rows = Bool[np.ndarray, " N"]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """part: by event 0 train, 1 validation, 2 test. shown: events of a held part that stand in the
    history of its own question (of new users, who are not learned from). now: the time of all
    questions of a part, where it has one.
    """

    part: Parts
    shown: Rows | None = None
    now: Mapping[int, float] = field(default_factory=dict)

    def before(self, side: int) -> Rows:
        """What may be known when this part is asked."""
        known: Rows = self.part < side
        return known if self.shown is None else known | (self.shown & (self.part == side))

    def after(self, side: int) -> Rows:
        """What this part is asked for."""
        held: Rows = self.part == side
        return held if self.shown is None else held & ~self.shown

    @property
    def sides(self) -> Parts:
        """`part`, with what is shown counted as before."""
        return self.part if self.shown is None else np.where(self.shown, TRAIN, self.part)


def counted(log: Interactions) -> Rows:
    """Events that speak for an item."""
    rows: Rows = EVENTS_FOR.mask()[log.kind] & (log.item != PAD)
    return rows


def cut(log: Interactions, protocol: Protocol) -> Cut:
    """Every event's place under this protocol. CallError where the log lacks what it needs."""
    return CUTS[protocol.split](log, protocol)


def random_cut(log: Interactions, test: float, valid: float, seed: int) -> Cut:
    """A random share of each user's pairs that count; all events of a pair go to one side.

    What speaks for no item (a mere impression, a search) is learned from.
    """
    pairs = _dealt(log, seed)
    n_test = np.floor(pairs.count * test + 0.5).astype(np.int64)
    n_valid = np.floor(pairs.count * valid + 0.5).astype(np.int64)
    place = pairs.place
    side = np.where(place < n_test, TEST, np.where(place < n_test + n_valid, VALID, TRAIN))
    return Cut(pairs.of_events(log, side))


def _by_time(log: Interactions, protocol: Protocol) -> Cut:
    """Everything from one moment on is test, from an earlier one validation."""
    if log.time is None:
        raise CallError(
            "A split by time needs times, and the table has none.",
            "Name the column with --time, or choose --split leave-last-out or --split random.",
        )
    if len(log) == 0:
        return Cut(np.zeros(0, dtype=np.int8))
    test, valid = protocol.test_fraction, protocol.valid_fraction
    cuts = np.quantile(log.time, [1 - test - valid, 1 - test], method="higher")
    part = (log.time >= cuts[0]).astype(np.int8) + (log.time >= cuts[1]).astype(np.int8)
    return Cut(part, now={VALID: float(cuts[0]), TEST: float(cuts[1])})


def _leave_last_out(log: Interactions, protocol: Protocol) -> Cut:
    """Test: each user's last event that counts, and what follows it. Validation: the one before.

    Users below 3 such events train only.
    """
    if log.order is None:
        raise CallError(
            "Leaving the last event out needs an order, and the table has none.",
            "Name a column with --time or --order (--order file if the rows stand in order).",
        )
    counts = counted(log)
    so_far = np.concatenate([[0], np.cumsum(counts)])
    total = so_far[log.offsets[1:]] - so_far[log.offsets[:-1]]
    # events that count from this one to the user's last: 1 at the last, 0 after it
    left = np.repeat(so_far[log.offsets[1:]], log.lengths) - so_far[:-1]
    before = left + ~counts  # an event that does not count goes with the one that it follows
    part = np.where(before == 1, TEST, np.where(before == 2, VALID, TRAIN)).astype(np.int8)
    part[np.repeat(total < 3, log.lengths)] = TRAIN
    return Cut(part)


def _random(log: Interactions, protocol: Protocol) -> Cut:
    return random_cut(log, protocol.test_fraction, protocol.valid_fraction, protocol.split_seed)


def _new_users(log: Interactions, protocol: Protocol) -> Cut:
    """All events of a share of the users are held out; the earlier four fifths are shown.

    By events that count, rounded down; without an order, a seeded four fifths of the pairs. An
    event that does not count goes with the one that it follows.
    """
    counts = counted(log)
    part = _held(np.bincount(log.user[counts], minlength=log.n_users) > 0, protocol)[log.user]
    if log.order is None:
        pairs = _dealt(log, protocol.split_seed)
        asked = np.where(pairs.place < 4 * pairs.count // 5, TRAIN, TEST)
        later = pairs.of_events(log, asked) == TEST
    else:
        so_far = np.concatenate([[0], np.cumsum(counts)])
        start, total = so_far[log.offsets[:-1]], np.diff(so_far[log.offsets])
        later = so_far[1:] > np.repeat(start + 4 * total // 5, log.lengths)
    return Cut(part, shown=(part != TRAIN) & ~later)


def _new_items(log: Interactions, protocol: Protocol) -> Cut:
    """All events of a share of the items are held out."""
    taken = np.bincount(log.item[counted(log)], minlength=log.n_items) > 0
    return Cut(_held(taken, protocol)[log.item])


def _k_fold(log: Interactions, protocol: Protocol) -> Cut:
    """Each user's pairs are dealt into as many parts; one is test, the next one validation.

    Where the dealing begins is drawn by user, lest short histories fill the first folds alone.
    """
    pairs, folds = _dealt(log, protocol.split_seed), protocol.folds
    first = np.random.default_rng((protocol.split_seed, 1)).integers(folds, size=log.n_users)
    fold = (pairs.place + first[pairs.user]) % folds
    test, valid = protocol.fold, (protocol.fold + 1) % folds
    side = np.where(fold == test, TEST, np.where(fold == valid, VALID, TRAIN))
    return Cut(pairs.of_events(log, side))


def _ready_made(log: Interactions, protocol: Protocol) -> Cut:
    if log.part is None:
        raise CallError(
            "A ready-made split was asked for, but the table does not say its parts.",
            "Give the parts as files: --train FILE --test FILE [--valid FILE].",
        )
    return Cut(log.part)


CUTS: dict[str, Callable[[Interactions, Protocol], Cut]] = {
    "time": _by_time,
    "leave-last-out": _leave_last_out,
    "random": _random,
    "new-users": _new_users,
    "new-items": _new_items,
    "k-fold": _k_fold,
    "ready-made": _ready_made,
}


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The distinct pairs that count, by user, each user's in a random order.

    keys: user * I + item, ascending. place: in the order of its user, from 0. count: pairs of the
    user.
    """

    keys: Int64[np.ndarray, " M"]
    user: Int64[np.ndarray, " M"]
    place: Int64[np.ndarray, " M"]
    count: Int64[np.ndarray, " M"]

    def of_events(self, log: Interactions, side: Int64[np.ndarray, " M"]) -> Parts:
        """The side of each event's pair; training where the pair does not count."""
        held, held_side = self.keys[side != TRAIN], side[side != TRAIN]
        if not len(held):
            return np.zeros(len(log), dtype=np.int8)
        keys = _keys(log)
        found = np.searchsorted(held, keys).clip(max=len(held) - 1)
        return np.where(held[found] == keys, held_side[found], TRAIN).astype(np.int8)


def _dealt(log: Interactions, seed: int) -> _Pairs:
    keys = _distinct(_keys(log)[counted(log)])
    user = keys // log.n_items
    order = np.lexsort((np.random.default_rng(seed).random(len(keys)), user))
    starts = np.searchsorted(user, np.arange(log.n_users + 1))
    place = np.empty(len(keys), dtype=np.int64)
    place[order] = np.arange(len(keys)) - starts[user]  # `user` is sorted and fits order too
    return _Pairs(keys, user, place, np.diff(starts)[user])


def _held(able: Bool[np.ndarray, " M"], protocol: Protocol) -> Int8[np.ndarray, " M"]:
    """The part of each user or item, of which those that are able are drawn."""
    drawn = np.random.default_rng((protocol.split_seed, 2)).permutation(np.flatnonzero(able))
    n_test = int(len(drawn) * protocol.test_fraction + 0.5)
    n_valid = int(len(drawn) * protocol.valid_fraction + 0.5)
    side = np.full(len(able), TRAIN, dtype=np.int8)
    side[drawn[:n_test]] = TEST
    side[drawn[n_test : n_test + n_valid]] = VALID
    return side


def _keys(log: Interactions) -> Int64[np.ndarray, " N"]:
    keys: Int64[np.ndarray, " N"] = log.user.astype(np.int64) * log.n_items + log.item
    return keys


def _distinct(keys: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " M"]:
    # np.unique of 10^6 keys without counts takes .7 s by hashing where a sort takes .03 s
    ordered = np.sort(keys)
    kept = np.ones(len(ordered), dtype=bool)
    kept[1:] = ordered[1:] != ordered[:-1]
    return ordered[kept]
