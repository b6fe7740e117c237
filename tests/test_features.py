"""Columns stand where their item's number says."""

import numpy as np
import polars as pl
import pytest

from honeyguide.data.features import Features
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import Vocab
from honeyguide.errors import ColumnError, UnknownName, ValueInColumn
from logs import log, views
from tables import refused

ITEMS = Vocab.of_items(["a", "b", "c"]).reorder(np.array([3, 1, 2]))  # c, a, b
FILMS = pl.DataFrame(
    {
        "item_id": ["b", "zzz", "c", None],
        "title": ["Bee", "Zed", "Sea", "None"],
        "year": [2, 9, 3, 1],
    }
)


def test_one_row_per_number():
    films = Features.of(ITEMS, FILMS, "item_id")
    assert films.frame["item_id"].to_list() == [None, "c", "a", "b"]
    assert films.column("year").to_list() == [None, 3, None, 2]
    assert films.titles is not None
    assert films.titles.to_list() == [None, "Sea", None, "Bee"]


def test_users_have_no_padding_row_and_ids_may_be_of_the_other_type():
    people = pl.DataFrame({"user_id": ["12", "7"], "age": [30, 40]})
    assert Features.of(Vocab.of_users([7, 12]), people, "user_id").column("age").to_list() == [
        40,
        30,
    ]


def test_without_a_table_only_names_are_known():
    films = Features.of(ITEMS, None, "item_id")
    assert films.frame.columns == ["item_id"]
    assert len(films.frame) == 4
    assert films.titles is None


def test_refused():
    refused(UnknownName, lambda: Features.of(ITEMS, FILMS, "item_id").column("yaer"), "'year'")
    refused(ColumnError, lambda: Features.of(ITEMS, FILMS, "user_id"), "item_id, title", "--users")
    twice = pl.concat([FILMS, FILMS.head(1)])
    refused(ValueInColumn, lambda: Features.of(ITEMS, twice, "item_id"), "1 ids", "'b'")


def test_training_data_number_alike():
    events = log(views("ac", "bb", "ca"))
    films = Features.of(events.items, FILMS, "item_id")
    assert TrainingData(events, films).items is films
    with pytest.raises(AssertionError, match="number differently"):
        TrainingData(events, Features.of(ITEMS, FILMS, "item_id"))
