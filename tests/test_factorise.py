"""Names to places in one pass, and rows in order, against the plain ways."""

import numpy as np
import polars as pl
import pytest

from honeyguide.data import factorise as module
from honeyguide.data.factorise import factorise
from honeyguide.data.sorting import by_user


@pytest.mark.parametrize("kinds", [1, 7, 3_000])
@pytest.mark.parametrize("text", [True, False])
def test_places_are_those_among_the_sorted_names(kinds, text):
    draw = np.random.default_rng(kinds)
    values = draw.integers(-(2**62), 2**62, kinds)[draw.integers(0, kinds, 5_000)]
    names = pl.Series(values).cast(pl.String) if text else pl.Series(values)
    distinct, places = factorise(names)
    assert distinct.to_list() == sorted(set(names.to_list()))
    assert distinct[places].to_list() == names.to_list()


def test_two_names_with_one_hash_are_told_apart(monkeypatch):
    real = module._codes
    monkeypatch.setattr(module, "_codes", lambda keys: real(keys % np.uint64(3)))
    names = pl.Series(["d", "a", "c", "b", "e", "a"] * 4)
    distinct, places = factorise(names)
    assert distinct.to_list() == ["a", "b", "c", "d", "e"]
    assert distinct[places].to_list() == names.to_list()


@pytest.mark.parametrize("spread", [3, 10_000])
def test_rows_are_ordered_as_by_lexsort(spread):
    draw = np.random.default_rng(spread)
    user = draw.choice(40, 4_000, p=np.arange(1, 41) / 820)
    key = draw.integers(0, spread, 4_000).astype(np.float64)
    assert by_user(user, key).tolist() == np.lexsort((key, user)).tolist()
    assert by_user(user, None).tolist() == np.argsort(user, kind="stable").tolist()
    assert len(by_user(user[:0], key[:0])) == 0
