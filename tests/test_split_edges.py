"""Splits at their edges: nobody to ask, nothing to find, no truth, and what is dropped before."""

from collections import Counter
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol, Split
from honeyguide.data.rule import SEEN
from honeyguide.data.sets import load
from honeyguide.data.split import asked_events, holdout, inner_split, prepare, split
from honeyguide.errors import CallError, InputError
from logs import Event, asked, log, names, random_events, table, views
from tables import refused


def test_users_with_nothing_to_find_are_counted():
    events: list[Event] = [
        *views("ax", "bx", "cx", "dx", "ay", "by"),
        ("a", "z", "view"),
        ("b", "z", "dislike"),
        ("c", "z", "impression"),
        ("d", "x", "view"),
    ]
    part = ["train"] * 6 + ["test"] * 4
    parts = split(log(events, part=part, time=list(range(10))), Protocol(split="ready-made"))
    assert asked(parts.test) == {"a": {"z"}}
    assert parts.test.without_truth == 3
    assert "test: 3 users with nothing to find excluded" in parts.notes


def test_the_events_of_the_test_part_are_there_for_single_measures():
    rows = views("ax", "by", "ay", "az", "bx", "ap", "cx", "cy", "cp")
    last = Protocol(split="leave-last-out")
    assert names(asked_events(log(rows), last)) == [("a", "p"), ("c", "p")]
    events = log(views(*(f"{u}{i}" for u in "abcdefghij" for i in "klmnopqrst")))
    (user,) = {user for user, _ in names(asked_events(events, Protocol(split="new-users")))}
    shown = names(asked_events(events, Protocol(split="new-users")))
    assert shown == [(user, "s"), (user, "t")]  # not what their question shows


def test_one_user_is_enough():
    events = log(views(*(f"a{item}" for item in "klmnopqrst")), time=list(range(10)))
    for how in ("leave-last-out", "random"):
        assert len(split(events, Protocol(split=how)).test.truth) == 1
    assert asked(split(events, Protocol(split="time")).test) == {"a": {"t"}}


@pytest.mark.parametrize("how", get_args(Split))
def test_an_empty_side_is_refused(how):
    rows = views("ax", "ay")
    both = log(rows, time=[1.0, 1.0], part=["train", "train"])
    refused(InputError, lambda: split(both, Protocol(split=how)), "leaves the", "part without")
    refused(
        InputError, lambda: split(both.only(np.zeros(2, bool)), Protocol(split=how)), "training"
    )
    searches = log([("a", "", "search")] * 20, time=list(range(20)), part=["train", "test"] * 10)
    refused(InputError, lambda: split(searches, Protocol(split=how)), "leaves the")


def test_an_empty_validation_part_is_refused_unless_ready_made():
    rows = views("ax", "bx", "ay", "by", "az", "bz")
    events = log(rows, time=[1.0, 1, 1, 2, 2, 2], part=["train"] * 3 + ["test"] * 3)
    small = Protocol(split="time", test_fraction=0.5, valid_fraction=0.01)
    refused(InputError, lambda: split(events, small), "validation")
    made = split(events, Protocol(split="ready-made"))
    assert made.valid is None
    assert asked(made.test) == {"a": {"z"}, "b": {"y", "z"}}


def test_nobody_to_ask_is_refused():
    strangers = log(views("ax", "ay", "bx", "by"), part=["train", "train", "test", "test"])
    call = Protocol(split="ready-made")
    refused(InputError, lambda: split(strangers, call), "Nobody", "1 users without history")


def test_what_a_split_needs():
    bare = log(views("ax", "ay", "az"), ordered=False)
    for how, option in (
        ("time", "--time"),
        ("leave-last-out", "--order"),
        ("ready-made", "--train"),
    ):
        refused(CallError, lambda how=how: split(bare, Protocol(split=how)), option)


def test_what_was_taken_back_is_no_truth():
    events: list[Event] = [
        *views("ax", "bx"),
        ("a", "y", "purchase"),
        ("a", "y", "return"),
        ("a", "z", "hide"),
        ("a", "z", "like"),
        ("b", "y", "view"),
        ("b", "y", "impression"),
    ]
    parts = split(log(events, part=["train"] * 2 + ["test"] * 6), Protocol(split="ready-made"))
    assert asked(parts.test) == {"a": {"z"}, "b": {"y"}}
    assert parts.test.repeats == 0


def test_an_item_in_the_cart_is_seen_and_its_purchase_no_truth():
    events: list[Event] = [
        ("a", "x", "purchase"),
        ("a", "y", "cart"),
        ("b", "y", "cart"),
        ("a", "y", "purchase"),
        ("b", "x", "purchase"),
    ]
    parts = split(
        log(events, ordered=False, part=["train"] * 3 + ["test"] * 2), Protocol(split="ready-made")
    )
    assert asked(parts.test) == {"b": {"x"}}
    assert parts.test.repeats == 1


def test_inner_split_keeps_the_numbers():
    rows = views(*(user + item for user in "abcdef" for item in "klmnopqrst"), "au")
    events = log(rows, part=["train"] * 60 + ["test"])
    outer = split(events, Protocol(split="ready-made"))
    inner = inner_split(outer.train, Protocol(split="ready-made", valid_fraction=0.2))
    assert inner.valid is None
    assert inner.train.items.names.to_list() == outer.train.items.names.to_list()
    assert inner.train.n_users == outer.train.n_users
    assert {user: len(items) for user, items in asked(inner.test).items()} == dict.fromkeys(
        "abcdef", 2
    )
    assert sorted(names(inner.train) + names(inner.test.truth)) == sorted(names(outer.train))
    assert inner.test.truth.n_items == outer.train.n_items


def test_holdout_of_ones_own_parts():
    past, later = log(views("ax", "by")), log(views("ax", "ay", "by"))
    held = holdout(past, later, None)
    assert asked(held) == {"a": {"y"}}
    assert held.repeats == 2


def ratings(*stars: float | None) -> Any:
    rows = [("a", f"{n}", "rating" if star else "view") for n, star in enumerate(stars)]
    return table(rows, value=list(stars))


def test_minimum_rating():
    made = prepare(ratings(5, 3, 4, None, 1), Protocol(split="random", min_rating=4))
    assert made.events["item_id"].to_list() == ["0", "2", "3"]  # a view has no rating to be low
    assert made.notes == ("2 ratings below 4 left out",)
    none = Protocol(split="random", min_rating=6, k_core=2)
    refused(InputError, lambda: prepare(ratings(5), none), "No event is left")
    refused(CallError, lambda: prepare(table(views("ax")), none), "--rating")


def by_hand(events: list[Event], k: int) -> list[Event]:
    while True:
        users, items = Counter(e[0] for e in events), Counter(e[1] for e in events)
        kept = [e for e in events if users[e[0]] >= k and (not e[1] or items[e[1]] >= k)]
        if len(kept) == len(events):
            return kept
        events = kept


@given(random_events(most=60), st.integers(0, 5))
def test_k_core(events, k):
    wanted = by_hand(events, k)
    protocol = Protocol(split="random", k_core=k)
    if not wanted:
        refused(InputError, lambda: prepare(table(events), protocol), "No event", "--k-core")
        return
    made = prepare(table(events), protocol)
    rows = made.events.select("user_id", "item_id", "kind").rows()
    assert [(user, item or "", kind) for user, item, kind in rows] == wanted
    assert bool(made.notes) == (len(wanted) < len(events))


def test_taobao_passes_and_its_carts_are_no_truth(data_folder):
    opened = load("taobao-cart-buy", data_folder=data_folder)
    parts = split(Interactions.of(prepare(opened.table, opened.protocol)), opened.protocol)
    assert parts.test.repeats == 8_326
    assert len(parts.test.truth) == 48_749 - 8_326
    assert SEEN[parts.train.kind].all()


def test_movielens_1m(data_folder):
    opened = load("movielens-1m", data_folder=data_folder)
    whole = Interactions.of(prepare(opened.table, opened.protocol))
    parts = split(whole, opened.protocol)
    assert parts.valid is not None
    assert len(parts.test.users) == len(parts.test.truth) == parts.train.n_users == 6_040
    assert len(parts.train) + 2 * 6_040 == len(whole)
    assert parts.test.repeats == parts.test.without_history == 0
