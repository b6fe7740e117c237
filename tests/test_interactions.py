"""Tables become sorted numbers and nothing is lost on the way; pairs equal a plain loop."""

from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from honeyguide.data import interactions
from honeyguide.data.interactions import Interactions, take_rows
from honeyguide.data.kinds import KINDS
from honeyguide.data.query import fingerprints
from honeyguide.data.rule import EVENTS_FOR, NEGATIVE, POSITIVE, Rule
from honeyguide.data.table import Table
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.errors import CallError, ColumnError, InputError, UnknownName, ValueInColumn
from logs import entries, log, moments, names, pairs_by_hand, random_events, table, views
from tables import refused

FULL = pl.DataFrame(
    {
        "user_id": ["b", "a", "b", "a"],
        "item_id": ["y", "x", None, "x"],
        "kind": ["rating", "purchase", "search", "impression"],
        "value": [4, None, None, None],
        "time": [30, 20, 10, 5],
        "order": [1, 2, 3, 4],
        "session_id": ["s2", None, "s1", "s1"],
        "position": [None, None, None, 3],
        "propensity": [None, None, None, 0.25],
        "text": [None, None, "red shoes", None],
        "part": ["test", "valid", "train", "train"],
    }
)


def same(one: Interactions, other: Interactions) -> None:
    for field in fields(Interactions):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=field.name)
        elif isinstance(a, pl.Series):
            assert a.to_list() == b.to_list()
        elif isinstance(a, Vocab):
            assert a.names.to_list() == b.names.to_list()
        else:
            assert a == b, field.name


def test_every_column():
    events = Interactions.of(Table(FULL))
    assert events.users.names.to_list() == ["a", "b"]
    assert events.user.tolist() == [0, 0, 1, 1]
    assert events.offsets.tolist() == [0, 2, 4]
    assert events.lengths.tolist() == [2, 2]
    assert events.item.tolist() == [1, 1, PAD, 2]
    assert [list(KINDS)[n - 1] for n in events.kind] == [
        "impression",
        "purchase",
        "search",
        "rating",
    ]
    assert events.order == "time"
    assert events.time is not None
    assert events.time.tolist() == [5, 20, 10, 30]
    np.testing.assert_array_equal(events.value, np.float32([np.nan, np.nan, np.nan, 4]))
    np.testing.assert_array_equal(events.propensity, np.float32([0.25, np.nan, np.nan, np.nan]))
    assert events.session is not None
    assert events.session.tolist() == [1, 0, 1, 2]
    assert events.position is not None
    assert events.position.tolist() == [3, 0, 0, 0]
    assert events.text is not None
    assert events.text.to_list() == [None, None, "red shoes", None]
    assert events.part is not None
    assert events.part.tolist() == [0, 1, 0, 2]
    assert (len(events), events.n_users, events.n_items) == (4, 2, 3)


def test_two_columns_are_enough():
    events = Interactions.of(Table(FULL.select("user_id", "item_id").drop_nulls()))
    assert events.order is None
    assert {list(KINDS)[n - 1] for n in events.kind} == {"view"}
    assert events.value is events.time is events.session is events.text is events.part is None


def test_without_kinds_a_value_makes_a_rating():
    frame = pl.DataFrame({"user_id": [1], "item_id": [2], "value": [3.0]})
    assert Interactions.of(Table(frame)).kind.tolist() == [KINDS["rating"].number]


@pytest.mark.parametrize("name", ["value", "session_id", "position", "propensity"])
def test_a_column_of_nulls_says_nothing(name):
    frame = FULL.with_columns(pl.lit(None).alias(name))
    events = Interactions.of(Table(frame))
    assert getattr(events, name.removesuffix("_id")) is None


@pytest.mark.parametrize("columns", [["time"], ["order"], ["time", "order"], []])
@given(data=st.data())
def test_sorted_by_user_and_order_and_equal_ones_keep_their_places(columns, data):
    n = data.draw(st.integers(1, 30))
    column = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    frame = pl.DataFrame({name: data.draw(column) for name in ("user_id", "time", "order")})
    frame = frame.select("user_id", *columns).with_columns(item_id=pl.int_range(n))
    events = Interactions.of(Table(frame))
    rows = frame.select("user_id", *columns, "item_id").rows()
    wanted = sorted(rows, key=lambda row: row[:-1])  # a stable sort
    assert names(events) == [(row[0], row[-1]) for row in wanted]


def test_given_vocabularies_keep_their_numbers():
    users, items = Vocab.of_users(["a", "b", "z"]), Vocab.of_items(["w", "x"])
    events = Interactions.of(Table(FULL), users, items)
    assert events.n_users == 3
    assert events.offsets.tolist() == [0, 2, 4, 4]
    assert events.item.tolist() == [2, 2, PAD, PAD]  # y is not known
    none = Interactions.of(Table(FULL.clear()), users, items)
    assert (len(none), none.n_users, none.offsets.tolist()) == (0, 3, [0, 0, 0, 0])


def test_refused():
    def of(**changes: Any) -> Interactions:
        return Interactions.of(Table(FULL.with_columns(**changes)))

    null = pl.Series(["x", None, "y", "x"])
    refused(ValueInColumn, lambda: of(item_id=null), "1 of 4 events have no item", "item_id")
    refused(InputError, lambda: of(user_id=null), "null")
    refused(ValueInColumn, lambda: of(time=pl.Series([1, 2, None, 4])), "1 of 4", "time")
    refused(ValueInColumn, lambda: of(time=pl.Series([1.0, 2, float("nan"), 4])), "time")
    refused(ValueInColumn, lambda: of(order=pl.Series([1, None, None, 4])), "2 of 4", "order")
    refused(ValueInColumn, lambda: of(time=pl.lit("1999-01-01").str.to_datetime()), "Datetime")
    refused(ValueInColumn, lambda: of(value=pl.lit("good")), "value", "String")
    refused(UnknownName, lambda: of(kind=pl.lit("veiw")), "'veiw'", "Did you mean 'view'?")
    refused(UnknownName, lambda: of(kind=pl.lit(None)), "kind")
    refused(UnknownName, lambda: of(part=pl.lit("dev")), "'dev'", "train, valid, test")
    refused(ColumnError, lambda: Interactions.of(Table(FULL.drop("user_id"))), "user_id")
    refused(ColumnError, lambda: Interactions.of(Table(FULL.drop("item_id"))), "item_id")
    few = Vocab.of_users(["a"])
    refused(InputError, lambda: Interactions.of(Table(FULL), few), "2 of 4 events", "'b'", "grow")


@given(random_events(), st.data())
def test_frame_and_back(events, data):
    rows = len(events)
    times = data.draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows))
    maybe = st.lists(st.none() | st.integers(1, 5), min_size=rows, max_size=rows)
    columns = {
        "value": [None if v is None else v / 2 for v in data.draw(maybe)],
        "session_id": data.draw(maybe),
        "position": data.draw(maybe),
        "propensity": [None if v is None else v / 8 for v in data.draw(maybe)],
        "part": data.draw(
            st.lists(st.sampled_from(["train", "test"]), min_size=rows, max_size=rows)
        ),
        "text": ["words" if kind == "search" else None for _, _, kind in events],
    }
    order = data.draw(st.sampled_from([None, "time", "order"]))
    if order:
        columns[order] = times
    before = log(events, ordered=False, **columns)
    same(Interactions.of(Table(before.frame()), before.users, before.items), before)


@given(random_events(), st.data())
def test_only_takes_the_rows_and_moves_no_number(events, data):
    whole = log(events, text=[f"{n}" for n in range(len(events))])
    rows = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))), dtype=bool
    )
    some = whole.only(rows)
    assert names(some) == [pair for pair, kept in zip(names(whole), rows, strict=True) if kept]
    assert some.users is whole.users
    assert some.items is whole.items
    assert some.lengths.tolist() == np.bincount(some.user, minlength=whole.n_users).tolist()
    assert whole.text is not None
    assert some.text is not None
    assert some.text.to_list() == whole.text.filter(pl.Series(rows)).to_list()


@given(random_events(), st.lists(st.integers(0, 3), max_size=5))
def test_of_users_numbers_them_anew(events, chosen):
    whole = log(events)
    users = np.array(chosen, dtype=np.int64) % whole.n_users
    some = whole.of_users(users)
    wanted = [
        (row, pair)
        for row, user in enumerate(users)
        for pair, owner in zip(names(whole), whole.user, strict=True)
        if owner == user
    ]
    assert list(zip(some.user.tolist(), names(some), strict=True)) == wanted
    assert some.users.names.to_list() == whole.users.of(users).to_list()
    assert len(some.offsets) == len(users) + 1


def test_an_unknown_user_has_no_rows():
    with pytest.raises(AssertionError, match="unknown user"):
        take_rows(log(views("ax", "by")).offsets, np.array([-1]))


def test_counting_and_seen():
    events = log(
        [
            ("a", "x", "impression"),
            ("a", "", "search"),
            ("a", "y", "view"),
            ("a", "y", "hide"),
            ("b", "x", "purchase"),
        ]
    )
    assert names(events.counting(Rule(kinds=("purchase",)))) == [("b", "x")]
    assert names(events.counting(EVENTS_FOR)) == [("a", "y"), ("b", "x")]
    assert names(events.counting(Rule())) == [("a", "y"), ("a", "y"), ("b", "x")]
    assert names(events.seen()) == names(events.counting(Rule()))
    unknown = Interactions.of(table(views("ax", "ay")), items=Vocab.of_items(["y"]))
    assert names(unknown.counting(Rule())) == names(unknown.seen()) == [("a", "y")]


def test_a_pair_goes_out_when_the_last_word_is_against_it():
    events = log(
        [
            ("a", "x", "view"),
            ("a", "x", "like"),
            ("a", "y", "purchase"),
            ("a", "y", "return"),
            ("a", "y", "impression"),
            ("a", "z", "hide"),
            ("a", "z", "view"),
            ("b", "y", "dislike"),
        ]
    )
    count = events.pairs(Rule(kinds=tuple(KINDS), value="count"))
    assert entries(count) == {(0, 1): 2.0, (0, 3): 1.0}  # a shown item is not yet wanted again
    assert entries(events.pairs(EVENTS_FOR)) == {
        (0, 1): 1.0,
        (0, 2): 1.0,
        (0, 3): 1.0,
    }
    assert count.dtype == np.float32
    assert count.shape == (2, 4)
    assert count.has_canonical_format


KIND_SETS = st.sets(st.sampled_from(list(KINDS))).filter(lambda kinds: kinds & set(POSITIVE))
VALUES = st.sampled_from(["one", "count", "time"])


@given(random_events(most=60), st.integers(1, 20), KIND_SETS, st.sampled_from(["one", "count"]))
def test_blocks_hold_everyone_once_and_give_the_same_pairs(events, most, kinds, value):
    whole, rule = log(events), Rule(kinds=tuple(sorted(kinds)), value=value)
    wanted, known = whole.pairs(rule), fingerprints(whole, rule)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interactions, "AT_ONCE", most)
        blocks = list(whole.blocks())
        found = whole.pairs(rule)
        np.testing.assert_array_equal(fingerprints(whole, rule), known)
    assert [pair for block in blocks for pair in names(block)] == names(whole)
    assert np.concatenate([block.lengths for block in blocks]).tolist() == whole.lengths.tolist()
    # a block ends with the user who fills it
    assert all(len(block) - block.lengths[-1] < most for block in blocks)
    for name in ("indptr", "indices", "data"):
        there, here = getattr(wanted, name), getattr(found, name)
        assert there.dtype == here.dtype
        np.testing.assert_array_equal(there, here)
    assert found.shape == wanted.shape


@given(random_events(most=80), KIND_SETS, VALUES)
def test_pairs_equal_a_plain_loop(events, kinds, value):
    whole = log(events, time=moments(events))
    rule = Rule(kinds=tuple(sorted(kinds)), value=value)
    assert entries(whole.pairs(rule)) == pairs_by_hand(whole, rule)


def test_pairs_of_nothing():
    empty = log(views("ax")).only(np.array([False]))
    matrix = empty.pairs(Rule())
    assert (matrix.shape, matrix.nnz) == ((1, 2), 0)


def test_a_rule_names_known_kinds_and_something_that_speaks_for_an_item():
    refused(UnknownName, lambda: Rule(kinds=("veiw",)), "'veiw'")
    refused(CallError, lambda: Rule(kinds=NEGATIVE), "counts nothing")
    assert set(Rule().kinds) == {*POSITIVE, *NEGATIVE}
