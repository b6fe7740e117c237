"""Names and numbers: every way in and out agrees, old numbers never move."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from honeyguide.data import vocab
from honeyguide.data.vocab import PAD, UNKNOWN_USER, Vocab
from honeyguide.errors import InputError
from tables import refused


def test_items_count_from_one_and_users_from_zero():
    items, users = Vocab.of_items(["b", "a", "b"]), Vocab.of_users([30, 10])
    assert items.numbers(["a", "b", "c"]).tolist() == [1, 2, PAD]
    assert users.numbers([10, 30, 20]).tolist() == [0, 1, UNKNOWN_USER]
    assert (len(items), len(users)) == (3, 2)
    assert "a" in items
    assert "c" not in items


def test_of_is_the_way_back():
    items = Vocab.of_items(["b", "a"])
    assert items.of(np.array([2, 0, 1, 9, -1])).to_list() == ["b", None, "a", None, None]
    assert items.of(np.array([], dtype=np.int64)).to_list() == []


def test_a_vocabulary_may_be_empty():
    nothing = Vocab.of_items(pl.Series([], dtype=pl.String))
    assert len(nothing) == 1
    assert nothing.numbers(["a"]).tolist() == [PAD]
    assert nothing.of(np.array([0, 1])).to_list() == [None, None]
    assert Vocab.of_users([]).grow(["a"]).numbers(["a"]).tolist() == [0]


@pytest.mark.parametrize("held", [[1, 12, -3], ["1", "12", "012", "a", "None", "1.0"]])
@pytest.mark.parametrize(
    "asked",
    [
        [1, 12, -3, 5],
        [1.0, 12.0, 12.5, float("nan"), float("inf")],
        ["1", "12", "012", "-3", "--3", "²", "a", "", "1.0", "+1"],
        [True, False],
        ["a", None, "1"],
        [None, 12],
    ],
)
def test_a_list_a_column_and_a_long_list_find_the_same(held, asked, monkeypatch):
    known = Vocab.of_items(held)
    one_by_one = known.numbers(asked)
    assert known.numbers(pl.Series(asked)).tolist() == one_by_one.tolist()
    monkeypatch.setattr(vocab, "_BULK", 1)
    assert known.numbers(asked).tolist() == one_by_one.tolist()
    assert [name in known for name in asked] == [number != PAD for number in one_by_one]


def test_other_types_are_understood_where_nothing_can_be_confused():
    whole, text = Vocab.of_items([7, 12]), Vocab.of_items(["7", "12", "None"])
    assert whole.numbers(["12", 12.0, 12.5, "012", True, None]).tolist() == [2, 2, 0, 0, 0, 0]
    assert text.numbers([12, "12", None]).tolist() == [1, 1, 0]
    assert whole.numbers([7, "twelve", 12]).tolist() == [1, 0, 2]  # of several types


def test_a_long_list_of_several_types_is_understood_too(monkeypatch):
    monkeypatch.setattr(vocab, "_BULK", 1)
    assert Vocab.of_users([7, 12]).numbers([7, "12", 2.5]).tolist() == [0, 1, -1]


def test_growing_never_moves_an_old_number():
    old = Vocab.of_items(["m", "z"])
    new = old.grow(["q", "a", "z", "q"])
    assert new.numbers(["m", "z", "q", "a"]).tolist() == [1, 2, 3, 4]
    assert len(old) == 3
    assert old.grow([]) is old
    assert Vocab.of_items([1]).grow(["12", "1"]).numbers([1, 12]).tolist() == [1, 2]


@given(st.lists(st.integers(-5, 5)), st.lists(st.integers(-5, 5)))
def test_growing_by_any_names(first, more):
    old = Vocab.of_items(pl.Series(first, dtype=pl.Int64))
    new = old.grow(pl.Series(more, dtype=pl.Int64))
    assert new.numbers(first).tolist() == old.numbers(first).tolist()
    assert sorted(new.numbers(list({*first, *more})).tolist()) == list(range(1, len(new)))


def test_reorder_keeps_names():
    items = Vocab.of_items(["a", "b", "c"]).reorder(np.array([3, 1, 2]))
    assert items.of(np.array([1, 2, 3])).to_list() == ["c", "a", "b"]
    assert items.numbers(["c", "a", "b"]).tolist() == [1, 2, 3]


def test_refused():
    refused(InputError, lambda: Vocab.of_users(["a", None]), "1 of 2 names are null")
    refused(InputError, lambda: Vocab.of_users([1.5, 2.5]), "Float64")
    refused(InputError, lambda: Vocab.of_users([1, "a"]), "several types")
    refused(InputError, lambda: Vocab.of_items([1]).grow(["1", "a"]), "'a'", "whole numbers")
    refused(InputError, lambda: Vocab.of_items(["a"]).grow(["b", None]), "null")
