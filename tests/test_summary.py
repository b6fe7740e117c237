"""What `honeyguide data` says of a table, against counts by hand."""

import polars as pl
import pytest
from hypothesis import given

from honeyguide.data.summary import summarise
from honeyguide.data.table import Table
from logs import random_events, table

DAY = 86_400


def test_a_table_counted_by_hand():
    events = pl.DataFrame(
        {
            "user_id": ["a", "a", "a", "b", "b", "c"],
            "item_id": ["x", "x", "y", "x", "x", None],
            "kind": ["view", "view", "view", "rating", "view", "search"],
            "value": [None, None, None, 4.0, None, None],
            "time": [0.0, 0.0, 2.0 * DAY, 3.0, 4.0, 5.0],
        }
    )
    items = pl.DataFrame({"item_id": ["x"], "title": ["X"], "price": [1.0]})
    told = summarise(Table(events, items=items, notes=("guessed",)))
    assert (told["events"], told["users"], told["items"]) == (6, 3, 2)
    assert told["density"] == pytest.approx(3 / 6)  # ax, ay, bx of 3 x 2
    assert told["kinds"] == {"view": 4, "rating": 1, "search": 1}
    assert told["duplicates"] == 1  # a, x, view at 0, twice
    assert told["repeated_pairs"] == 2  # ax and bx, once more each
    assert told["time"] == {
        "first": "1970-01-01T00:00:00Z",
        "last": "1970-01-03T00:00:00Z",
        "days": 2.0,
    }
    assert told["values"] == {"lowest": 4.0, "mean": 4.0, "highest": 4.0}
    assert told["events_per_user"] == {"fewest": 1, "median": 2, "mean": 2, "most": 3}
    assert told["events_per_item"] == {"fewest": 1, "median": 2.5, "mean": 2.5, "most": 4}
    assert told["item_columns"] == ["title", "price"]
    assert told["user_columns"] is None
    assert told["parts"] is None
    assert told["notes"] == ["guessed"]


def test_the_long_tail():
    counts = [50, *[5] * 9, *[1] * 10]  # events of 20 items
    items = [f"i{n}" for n, count in enumerate(counts) for _ in range(count)]
    told = summarise(Table(pl.DataFrame({"user_id": list(range(len(items))), "item_id": items})))
    tail, total = told["long_tail"], sum(counts)
    assert tail["top_1_percent"] == pytest.approx(50 / total)  # one item at least
    assert tail["top_10_percent"] == pytest.approx(55 / total)
    assert tail["top_20_percent"] == pytest.approx(65 / total)
    assert tail["items_below_5_events"] == pytest.approx(0.5)


def test_the_order_column_makes_no_row_different():
    events = pl.DataFrame({"user_id": [1, 1], "item_id": [2, 2], "order": [0, 1]})
    told = summarise(Table(events))
    assert told["duplicates"] == 1
    assert told["time"] is None
    assert told["values"] is None


@given(random_events())
def test_any_log_is_counted_like_by_plain_loops(events):
    told = summarise(table(events))
    pairs = {(user, item) for user, item, _ in events if item}
    assert told["events"] == len(events)
    assert told["users"] == len({user for user, _, _ in events})
    assert told["items"] == len({item for _, item in pairs})
    assert told["duplicates"] == len(events) - len(set(events))
    assert told["repeated_pairs"] == sum(bool(item) for _, item, _ in events) - len(pairs)
    assert sum(told["kinds"].values()) == len(events)
    if told["long_tail"]:
        assert 0 < told["long_tail"]["top_1_percent"] <= told["long_tail"]["top_20_percent"] <= 1
