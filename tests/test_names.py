"""Names in, numbers inside, names out."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import torch

from honeyguide.data.features import Features
from honeyguide.data.vocab import Vocab
from honeyguide.errors import CallError, InputError
from honeyguide.recommender.names import (
    allowed,
    are_histories,
    as_list,
    candidates_asked,
    checked,
    column,
    histories_asked,
    kind_of_answer,
    ranked_frame,
)
from honeyguide.types import NEVER, Ranking
from tables import refused

TEXT = Vocab.of_items(["ant", "bee", "cat"])
NUMBERS = Vocab.of_items([10, 20, 30])
FRAME = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"]})


@pytest.mark.parametrize(
    "asked",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        pl.Series(["a", "b"]),
        pd.Series(["a", "b"]),
        pa.chunked_array([["a"], ["b"]]),
        FRAME,
        FRAME.lazy(),
        FRAME.to_pandas(),
        FRAME.to_arrow(),
    ],
    ids=lambda asked: f"{type(asked).__module__}.{type(asked).__name__}",
)
def test_lists_columns_and_frames(asked):
    assert as_list(asked) == ["a", "b"]
    if "Frame" in type(asked).__name__ or isinstance(asked, pa.Table):
        assert as_list(asked, "item_id") == ["x", "y"]


def test_a_set_has_no_order():
    refused(CallError, lambda: as_list({"a", "b"}), "from a set")


def test_histories_or_users():
    assert are_histories([["a"], ("b",), np.array(["c"]), pl.Series(["d"])])
    assert not are_histories(["a", "b"])
    assert not are_histories([])


def test_ids_are_whole_numbers_or_text():
    assert checked([np.int64(3), 4.0, "x", np.str_("y")], "an item") == [3, 4, "x", "y"]
    for bad in (None, 1.5, float("nan"), True, b"x", ("a",)):
        refused(CallError, partial(checked, ["a", bad], "an item"), "no id of an item")


def test_a_column_has_one_type():
    assert column([], "users").dtype == pl.Int64
    assert column(["a"], "users").dtype == pl.String
    refused(CallError, lambda: column([1, "a"], "users"), "two types, such as 1 and 'a'")


def test_histories_as_events():
    past, skipped = histories_asked([["cat", "?", "ant"], [], ["bee", "bee"]], TEXT)
    assert past.item.tolist() == [3, 1, 2, 2]
    assert past.offsets.tolist() == [0, 2, 2, 4]
    assert past.user.tolist() == [0, 0, 2, 2]
    assert skipped.tolist() == [1, 0, 0]
    assert past.order == "column"
    past, _ = histories_asked([pl.Series([20]), np.array([30]), ("10", 10)], NUMBERS)
    assert past.item.tolist() == [2, 3, 1, 1]
    refused(InputError, lambda: histories_asked([[], ["?"]], TEXT), "history 1")


def test_candidates_as_numbers():
    one = candidates_asked(["bee", "?", "cat", "?"], TEXT, rows=2, scorable=3)
    assert one.numbers.tolist() == [[2, 0, 0, 0]] * 2  # cat came after training
    assert one.unknown == [["?", "cat"]] * 2
    each = candidates_asked([["bee"], ["ant", "cat"]], TEXT, rows=2, scorable=4)
    assert each.numbers.tolist() == [[2, 0], [1, 3]]
    assert each.unknown == [[], []]


def test_filters_say_yes_or_no_for_each_number():
    frame = pl.DataFrame({"item_id": ["ant", "cat"], "legs": [6, 4], "eats": [["leaf"], ["bird"]]})
    features = Features.of(TEXT, frame, "item_id")

    def passed(wanted, scorable=4):
        return allowed(wanted, features, scorable).tolist()

    assert passed(pl.col("legs") > 5) == [False, True, False, False]
    assert passed(pl.col("legs") > 5, 2) == [False, True]
    assert passed({"legs": {4, 6}}) == [False, True, False, True]
    assert passed({"eats": ["bird", "fish"]}) == [False, False, False, True]
    assert passed({"legs": 4, "eats": "leaf"}) == [False] * 4


def test_a_ranking_by_name():
    ranking = Ranking(torch.tensor([[2, 0], [3, 1]]), torch.tensor([[0.5, NEVER], [2.0, 1.0]]))
    asked = pl.Series(["u", "v"])
    told = ranked_frame(ranking, asked, TEXT, None, 2)
    assert told.rows() == [("u", "bee", 0.5, 1), ("v", "cat", 2.0, 1), ("v", "ant", 1.0, 2)]
    told = ranked_frame(ranking, asked, TEXT, [["?", "!"], ["?"]], 2)
    assert told.rows() == [
        ("u", "bee", 0.5, 1),
        ("u", "?", None, 2),
        ("v", "cat", 2.0, 1),
        ("v", "ant", 1.0, 2),
    ]
    assert told.schema == {
        "user_id": pl.String,
        "item_id": pl.String,
        "score": pl.Float32,
        "rank": pl.Int32,
    }
    told = ranked_frame(ranking, asked, NUMBERS, [[7], ["?"]], 3)
    assert told["item_id"].to_list() == ["20", "7", "30", "10", "?"]
    assert ranked_frame(ranking, asked, NUMBERS, [[7], []], 3)["item_id"].to_list() == [
        20,
        7,
        30,
        10,
    ]


def test_the_kind_of_answer():
    assert kind_of_answer(["a"], "arrow") == "arrow"
    assert kind_of_answer(pl.Series(["a"]), "pandas") == "pandas"
    assert kind_of_answer(FRAME.to_pandas(), "polars") == "pandas"
    assert kind_of_answer(FRAME.lazy(), "pandas") == "polars"
