"""A split loses no event, lets nothing of the answer be seen, and says what it leaves out."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from honeyguide.data.cuts import counted, cut
from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.rule import EVENTS_FOR, SIGN
from honeyguide.data.split import Holdout, Split, split
from honeyguide.errors import InputError
from logs import Event, asked, drawn, log, names, random_events, views

SPLITS = ("time", "leave-last-out", "random", "new-users", "new-items", "k-fold", "ready-made")
TIMELESS = ("random", "new-items", "k-fold")  # what is learned from may come later


def triples(events: Interactions) -> list[tuple[Any, ...]]:
    frame = events.frame()
    columns = [name for name in ("user_id", "item_id", "kind", "time") if name in frame.columns]
    return frame.select(columns).rows()


def holdouts(parts: Split) -> list[tuple[Interactions, Holdout]]:
    """Each with the training part."""
    return [(parts.train, held) for held in (parts.valid, parts.test) if held is not None]


def check(whole: Interactions, parts: Split) -> None:
    """What holds for every split of every log."""
    train = parts.train
    assert parts.test.history.n_items == train.n_items
    for _, held in holdouts(parts):
        assert held.history.items.names.to_list() == train.items.names.to_list()
        assert held.truth.items.names.to_list()[: train.n_items - 1] == train.items.names.to_list()
        assert sorted(held.truth.items.names) == sorted(whole.items.names)
        pairs = names(held.truth)
        assert len(pairs) == len(set(pairs))
        assert (SIGN[held.truth.kind] > 0).all()
        assert not set(pairs) & set(names(held.history.seen()))
        with_truth = {user for user, _ in pairs}
        with_history = {user for user, _ in names(held.history.counting(EVENTS_FOR))}
        assert set(asked(held)) == with_truth & with_history
        assert held.without_history == len(with_truth - with_history)
        assert held.without_truth <= held.truth.n_users - len(with_truth)
        known = {item for _, item in names(train)}
        missing = [pair for pair in pairs if pair[1] not in known and pair[0] in with_history]
        assert held.unknown_items == len(missing)
        for item, name in zip(held.truth.item, (name for _, name in pairs), strict=True):
            assert (item >= train.n_items) == (name not in known)
        assert not Counter(triples(held.history)) - Counter(triples(whole))
    # nothing of the truth stands where it can be learned from, unless the log repeats itself
    assert (
        not Counter(triples(train)) + Counter(triples(parts.test.truth)) - Counter(triples(whole))
    )


def check_rows(whole: Interactions, parts: Split, part: Any) -> None:
    """Every row stands where its part says."""
    assert triples(parts.train) == triples(whole.only(part == 0))
    known = {item for _, item in names(parts.train)} | {None}
    before = [row for row in triples(whole.only(part < 2)) if row[1] in known]
    assert triples(parts.test.history) == before
    # each pair of the test part that speaks for its item is in the truth, seen, or taken back
    after = whole.only((part == 2) & (SIGN[whole.kind] != 0))
    last = dict(zip(names(after), SIGN[after.kind].tolist(), strict=True))
    speaking = {pair for pair, sign in last.items() if sign > 0}
    seen = set(names(whole.only(part < 2).seen()))
    assert set(names(parts.test.truth)) == speaking - seen
    assert parts.test.repeats == len(speaking & seen)
    there = {user for user, _ in names(whole.only(part == 2))}
    assert parts.test.without_truth == len(there - {user for user, _ in speaking - seen})


@pytest.mark.parametrize("how", SPLITS)
def test_any_log(how):
    made = sum(one_log(how, seed) for seed in range(60))
    assert made >= 20


def one_log(how: str, seed: int) -> bool:
    """Checks one random log; whether it could be split."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(5, 120))
    cuts = np.sort(rng.integers(0, size, 2))
    part = np.repeat(["train", "valid", "test"], np.diff([0, *cuts, size])).tolist()
    # a little after one another, so that no event stands there twice
    times = np.sort(rng.integers(0, 60, size)) + np.arange(size) / 200
    users = "abcdefgh" if how == "new-users" else "abcd"
    whole = log(drawn(seed, size, users, "qrstuvwxyz"), time=times.tolist(), part=part)
    protocol = Protocol(split=how, split_seed=seed, test_fraction=0.3, valid_fraction=0.3)
    try:
        parts = split(whole, protocol)
    except InputError:
        return False
    check(whole, parts)
    if how == "ready-made":
        check_rows(whole, parts, whole.part)
    if how == "time":
        assert whole.time is not None
        assert parts.valid is not None
        assert parts.valid.now is not None
        assert parts.test.now is not None
        cuts = np.array([parts.valid.now[0], parts.test.now[0]])
        check_rows(whole, parts, np.searchsorted(cuts, whole.time, side="right"))
    if how == "new-users":
        for events, held in holdouts(parts):
            assert not set(events.user) & set(held.truth.user)
    if how == "new-items":
        for events, held in holdouts(parts):
            assert not {item for _, item in names(events)} & {item for _, item in names(held.truth)}
    if how not in TIMELESS:  # all that is learned from is older than what is asked
        for _, held in holdouts(parts):
            assert held.now is not None
            assert held.history.time is not None
            assert (held.history.time < held.now[held.history.user])[
                np.isin(held.history.user, held.users)
            ].all()
            assert held.truth.time is not None
            assert (held.truth.time >= held.now[held.truth.user]).all()
    return True


def test_time():
    events = log(
        views("ax", "bx", "ay", "by", "az", "bz", "ap", "bq", "cx", "ax"),
        time=[float(n) for n in range(10)],
    )
    parts = split(events, Protocol(split="time", test_fraction=0.4, valid_fraction=0.2))
    assert names(parts.train) == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert parts.valid is not None
    assert asked(parts.valid) == {"a": {"z"}, "b": {"z"}}
    assert parts.valid.now is not None
    assert parts.valid.now.tolist() == [4.0, 4.0, 4.0]
    # z is known to no model, but a and b have seen it
    assert ("a", "z") not in names(parts.test.history)
    assert asked(parts.test) == {"a": {"p"}, "b": {"q"}}
    assert (parts.test.without_history, parts.test.repeats, parts.test.unknown_items) == (1, 1, 2)
    assert parts.notes == (
        "validation: 2 pairs of items unseen in training are misses",
        "test: 1 users without history excluded",
        "test: 2 pairs of items unseen in training are misses",
        "test: 1 pairs already seen are no part of the truth",
    )


def test_an_item_seen_in_validation_only_is_no_truth_of_the_test():
    events = log(
        views("ax", "ay", "az", "ap", "az", "aq"),
        part=["train", "train", "valid", "valid", "test", "test"],
        time=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    )
    parts = split(events, Protocol(split="ready-made"))
    assert asked(parts.test) == {"a": {"q"}}
    assert (parts.test.repeats, parts.test.unknown_items) == (1, 1)


def test_leave_last_out():
    events = log(views("ax", "by", "ay", "az", "bx", "ap", "cx", "cy", "cp"))
    parts = split(events, Protocol(split="leave-last-out"))
    assert names(parts.train) == [("a", "x"), ("a", "y"), ("b", "y"), ("b", "x"), ("c", "x")]
    assert parts.valid is not None
    assert asked(parts.valid) == {"a": {"z"}, "c": {"y"}}
    assert asked(parts.test) == {"a": {"p"}, "c": {"p"}}  # b has two events and trains only
    assert ("c", "y") in names(parts.test.history)
    assert parts.test.now is None


def test_leave_last_out_lets_nothing_later_be_learned_from():
    events = log(
        [
            ("a", "x", "view"),
            ("a", "y", "view"),
            ("a", "q", "impression"),
            ("a", "z", "view"),
            ("a", "r", "impression"),
            ("a", "", "search"),
            ("a", "w", "view"),
            ("a", "w", "impression"),
            ("a", "x", "hide"),
            ("b", "", "search"),
        ]
    )
    parts = split(events, Protocol(split="leave-last-out"))
    # y is asked for in validation by whoever only saw x
    assert names(parts.train) == [("a", "x"), ("a", "y"), ("a", "q"), ("b", None)]
    assert parts.valid is not None
    assert asked(parts.valid) == {"a": {"z"}}
    assert asked(parts.test) == {"a": {"w"}}
    held = names(parts.test.history)
    assert ("a", None) in held
    assert ("a", "w") not in held
    assert parts.test.history.kind.tolist().count(6) == 0  # the hide came after the question


def test_random_keeps_a_pair_on_one_side():
    rng = np.random.default_rng(0)
    events = [
        (user, item, kind)
        for user in "abcdef"
        for item in rng.choice(list("klmnopqrstuvwxyz"), 10, replace=False)
        for kind in ("impression", "view", "view")
    ] + [(user, "", "search") for user in "abcdef"]
    whole = log(events)
    parts = split(whole, Protocol(split="random"))
    assert parts.valid is not None
    for held in (parts.valid, parts.test):
        assert {user: len(items) for user, items in asked(held).items()} == dict.fromkeys(
            "abcdef", 1
        )
    held = names(parts.valid.truth) + names(parts.test.truth)
    assert not set(names(parts.train)) & set(held)
    assert len(set(held)) == 12
    assert set(names(parts.train)) | set(held) == set(names(whole))
    assert len(parts.train) == 6 * 8 * 3 + 6  # searches are learned from


def test_random_follows_its_seed_and_not_the_order_of_rows():
    events = views(*(user + item for user in "abcdef" for item in "klmnopqrst"))
    one, same, other = (
        names(split(log(rows, ordered=False), Protocol(split="random", split_seed=seed)).test.truth)
        for rows, seed in ((events, 0), (events[::-1], 0), (events, 1))
    )
    assert one == same
    assert one != other


def test_new_users_are_not_learned_from_and_shown_four_fifths():
    rows = [(user, item, "view") for user in "abcdefghij" for item in "klmnopqrst"]
    protocol = Protocol(split="new-users", test_fraction=0.2, valid_fraction=0.1)
    parts = split(log(rows), protocol)
    assert parts.valid is not None
    learned, valid, test = (
        {user for user, _ in names(events)}
        for events in (parts.train, parts.valid.truth, parts.test.truth)
    )
    assert (len(learned), len(valid), len(test)) == (7, 1, 2)
    assert not learned & (valid | test)
    assert not valid & test
    assert parts.train.n_users == 10  # they keep their numbers
    for held in (parts.valid, parts.test):
        assert set(map(frozenset, asked(held).values())) == {frozenset("st")}
    for user in test:
        assert [item for who, item in names(parts.test.history) if who == user] == list("klmnopqr")
    assert not {user for user, _ in names(parts.valid.history)} & test
    assert {user for user, _ in names(parts.test.history)} == learned | valid | test


def test_new_users_with_one_event_or_two():
    rows = views("ax", "by", "bx", "cx", "cy", "cz", *(f"{u}{i}" for u in "defgh" for i in "xyz"))
    found = {"a": set(), "b": {"x"}, "c": {"z"}}  # a has nothing to be asked with
    met = set()
    for seed in range(30):
        protocol = Protocol(
            split="new-users", split_seed=seed, test_fraction=0.4, valid_fraction=0.25
        )
        test = split(log(rows), protocol).test
        drawn = found.keys() & {user for user, _ in names(test.truth)}
        assert test.without_history == ("a" in drawn)
        assert {user: asked(test).get(user, set()) for user in drawn} == {
            u: found[u] for u in drawn
        }
        met |= drawn
    assert met == found.keys()


def test_what_does_not_count_goes_with_what_it_follows():
    rows: list[Event] = [
        *((user, item, "view") for user in "bcd" for item in "xyz"),
        ("a", "q", "impression"),
        ("a", "x", "view"),
        ("a", "", "search"),
        ("a", "y", "view"),
        ("a", "x", "hide"),
    ]
    for seed in range(40):
        protocol = Protocol(split="new-users", split_seed=seed, test_fraction=0.25)
        parts = split(log(rows), protocol.but(valid_fraction=0.25))
        if asked(parts.test).keys() == {"a"}:
            assert asked(parts.test) == {"a": {"y"}}
            shown = [item for user, item in names(parts.test.history) if user == "a"]
            assert shown == ["x", None]  # q is in no training part, so it has no number
            return
    raise AssertionError("a was never drawn")


def test_new_users_without_an_order_are_shown_pairs_at_random():
    rows = [
        (user, item, kind)
        for user in "abcdefghij"
        for item in "klmnopqrst"
        for kind in ("impression", "view", "view")
    ]
    taken = set()
    for seed in range(4):
        protocol = Protocol(split="new-users", split_seed=seed)
        parts = split(log(rows, ordered=False), protocol)
        (items,) = asked(parts.test).values()
        assert len(items) == 2
        assert parts.test.repeats == 0  # all events of a pair are on one side
        taken |= items
    assert len(taken) > 2


def test_new_items_are_misses_and_the_history_is_the_rest():
    rows = [
        (user, item, kind)
        for user in "abcdef"
        for item in "klmnopqrst"
        for kind in ("impression", "view", "purchase")
    ] + [(user, "", "search") for user in "abcdef"]
    parts = split(log(rows), Protocol(split="new-items", test_fraction=0.2))
    assert parts.valid is not None
    learned = {item for _, item in names(parts.train)} - {None}
    found, chosen = ({item for _, item in names(h.truth)} for h in (parts.test, parts.valid))
    assert (len(learned), len(chosen), len(found)) == (7, 1, 2)
    assert sorted([*learned, *chosen, *found]) == list("klmnopqrst")
    assert asked(parts.test) == dict.fromkeys("abcdef", found)
    assert parts.test.unknown_items == len(parts.test.truth) == 12
    assert {item for _, item in names(parts.test.history)} == learned | {None}
    assert len(parts.train) == 6 * (7 * 3 + 1)  # searches are learned from
    assert "ids alone misses every one" in parts.notes[-1]
    assert not any("ids alone" in note for note in split(log(rows), Protocol(split="random")).notes)


@given(random_events(most=60, items="pqrstuvwxyz"), st.integers(3, 6), st.integers(0, 2**31))
def test_over_all_folds_every_pair_is_test_exactly_once(events, folds, seed):
    whole = log(events, ordered=False)
    protocol = Protocol(split="k-fold", folds=folds, split_seed=seed)
    cuts = [cut(whole, protocol.but(fold=fold)) for fold in range(folds)]
    pairs = np.array([f"{user}{item}" for user, item in names(whole)])
    for fold, made in enumerate(cuts):
        after = cuts[(fold + 1) % folds]
        assert set(pairs[made.part == 1]) == set(pairs[after.part == 2])
        for one in (1, 2):  # all events of a pair stand on one side
            assert not set(pairs[made.part == one]) & set(pairs[made.part != one])
    tests = np.array([made.part == 2 for made in cuts])
    assert tests.sum(0).tolist() == np.isin(pairs, np.unique(pairs[counted(whole)])).tolist()


def test_k_fold_finds_everything_once():
    rows = views(*(user + item for user in "abcdef" for item in "klmnopqrst"))
    found: list[tuple[str, str]] = []
    for fold in range(5):
        parts = split(log(rows), Protocol(split="k-fold", fold=fold))
        assert len(parts.train) == 36
        assert (parts.test.repeats, parts.test.without_history) == (0, 0)
        found += names(parts.test.truth)
    assert sorted(found) == sorted((row[0], row[1]) for row in rows)


def test_a_short_history_falls_into_any_fold():
    rows = views(*(f"{chr(user)}{item}" for user in range(200, 600) for item in "xy"))
    for fold in range(5):
        part = cut(log(rows), Protocol(split="k-fold", fold=fold)).part
        assert 120 < (part == 2).sum() < 200  # 160 expected


@pytest.mark.parametrize("how", ["new-users", "new-items", "k-fold"])
def test_what_is_drawn_follows_its_seed_and_not_the_order_of_rows(how):
    rows = views(*(user + item for user in "abcdefghij" for item in "klmnopqrst"))
    one, same, other = (
        {*names(split(log(events, ordered=False), Protocol(split=how, split_seed=seed)).test.truth)}
        for events, seed in ((rows, 0), (rows[::-1], 0), (rows, 2))
    )
    assert one == same
    assert one != other
