"""Reading: guesses are said aloud, whole tables are checked, items and users come along."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from polars.testing import assert_frame_equal

from honeyguide.data.columns import HEADERS, SYNONYMS, Columns
from honeyguide.data.kinds import KINDS
from honeyguide.data.read import frame_kind, like
from honeyguide.data.table import EVENT_COLUMNS, Table
from honeyguide.errors import (
    CallError,
    ColumnError,
    InputError,
    UnknownName,
    ValueInColumn,
)
from tables import FRAME, read_now, refused, some_events, written


@pytest.mark.parametrize(
    ("user", "item"),
    [("userId", "movieId"), ("visitorid", "itemid"), ("reviewerID", "asin"), ("USER", "Track-ID")],
)
def test_guesses_are_said(user: str, item: str) -> None:
    table = read_now(some_events().rename({"user_id": user, "item_id": item}))
    assert table.events.columns == ["user_id", "item_id", "kind", "time"]
    assert f'column "{user}" read as user_id; say --user to change it' in table.notes
    assert f'column "{item}" read as item_id; say --item to change it' in table.notes


def test_canonical_names_win_and_rivals_are_named() -> None:
    table = read_now(some_events(uid=[9, 9, 9], sku=["a", "b", "c"], colour=["x", "y", "z"]))
    assert table.events["user_id"].to_list() == [1, 2, 3]
    notes = "\n".join(table.notes)
    assert '"user_id" read as user_id ("uid" would do too)' in notes
    assert 'columns left out: "uid", "sku", "colour"' in notes


def test_given_names_win_over_guesses() -> None:
    frame = some_events(buyer=[7, 8, 9], when=[10, 20, 30], user=[0, 0, 0])
    table = read_now(frame, columns=Columns(user="buyer", time="when"))
    assert table.events["user_id"].to_list() == [7, 8, 9]
    assert table.events["time"].to_list() == [10.0, 20.0, 30.0]
    assert not any("buyer" in note for note in table.notes)


def test_no_header_means_two_things() -> None:
    rows = [word for line in HEADERS.values() for word in line.split()]
    assert len(rows) == len(set(rows))
    assert set(HEADERS) | {"order"} == set(EVENT_COLUMNS)


def test_without_a_kind_the_events_are_ratings_or_views() -> None:
    viewed = read_now(some_events())
    assert viewed.events["kind"].unique().to_list() == ["view"]
    rated = read_now(some_events(stars=[1, 2, 3]))
    assert rated.events["kind"].unique().to_list() == ["rating"]
    assert rated.events["value"].dtype == pl.Float32
    assert any("every event is a view" in note for note in viewed.notes)
    assert any("every event is a rating" in note for note in rated.notes)


def test_kinds_in_other_words() -> None:
    table = read_now(some_events(event=["Add to Cart", "PV", "transaction"]))
    assert table.events["kind"].to_list() == ["cart", "view", "purchase"]
    assert 'kind "PV" read as view' in table.notes
    assert set(SYNONYMS.values()) == set(KINDS)


def test_a_search_has_words_instead_of_an_item() -> None:
    frame = some_events(
        item_id=[5, None, 7], kind=["view", "search", "view"], query=["", "tea", None]
    )
    assert read_now(frame).events["text"].to_list() == ["", "tea", None]
    without = read_now(frame.with_columns(item_id=pl.Series([5, 6, 7]), kind=pl.lit("view")))
    assert "text" not in without.events.columns
    assert 'column "query" not used: no event is a search' in without.notes


def test_ready_made_parts() -> None:
    parts = ["train", "valid", "test"]
    assert read_now(some_events(part=parts)).events["part"].to_list() == parts
    other = read_now(some_events(part=["lid", "cup", "train"]))
    assert "part" not in other.events.columns
    assert any('"part" not used' in note for note in other.notes)


def test_order_of_the_file_and_order_from_a_column() -> None:
    untimed = some_events().drop("time")
    assert any("in which order" in note for note in read_now(untimed).notes)
    table = read_now(untimed, columns=Columns(order="file"))
    assert table.events["order"].to_list() == [0, 1, 2]
    assert any(note.startswith("order: the rows") for note in table.notes)
    table = read_now(untimed.with_columns(n=pl.Series([3, 1, 2])), columns=Columns(order="n"))
    assert table.events["order"].to_list() == [3, 1, 2]
    refused(
        ValueInColumn,
        lambda: read_now(untimed.with_columns(seq=pl.Series([1.5, 2.0, 3.0]))),
        "1.5 (row 1)",
        "--order",
    )


def test_missing_and_misnamed_columns() -> None:
    refused(ColumnError, lambda: read_now(some_events().drop("user_id")), "item_id, time", "--user")
    refused(ColumnError, lambda: read_now(some_events().drop("item_id")), "user_id, time", "--item")
    misspelt = Columns(rating="tme")
    refused(
        ColumnError,
        lambda: read_now(some_events(), columns=misspelt),
        "'tme'",
        "Did you mean 'time'?",
        "--rating",
    )
    twice = Columns(user="time", time="time")
    refused(CallError, lambda: read_now(some_events(), columns=twice), "--user and --time")
    unknown: dict[str, Any] = {"usr": "x"}
    refused(UnknownName, lambda: Columns(**unknown), "user")
    assert all(field.description for field in Columns.model_fields.values())


@pytest.mark.parametrize(("column", "what"), [("user_id", "user"), ("item_id", "item")])
def test_one_user_or_one_item_is_nothing_to_learn(column: str, what: str) -> None:
    same = some_events(**{column: [1, 1, 1]})
    refused(InputError, lambda: read_now(same), f"only one {what}", f"--{what}")


def test_items_keep_their_columns(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "movieId,title,genres,year,price,code\n5,Heat,A|B,1995,1.5,01\n6,Up,,2009,2,02\n"
        "7,It,C,,,03\n",
    )
    table = read_now(some_events(), items=path)
    assert table.items is not None
    assert table.items.to_dict(as_series=False) == {
        "item_id": [5, 6, 7],
        "title": ["Heat", "Up", "It"],
        "genres": ["A|B", None, "C"],
        "year": [1995, 2009, None],
        "price": [1.5, 2.0, None],
        "code": ["01", "02", "03"],
    }
    assert 'items: column "movieId" read as item_id; say --items to change it' in table.notes


def test_sides_of_every_kind() -> None:
    items = pl.DataFrame({"sku": [5, 6, 7], "tags": [["a"], [], ["b", "c"]]})
    users = pd.DataFrame({"id": [1, 2], "age": [30, 40]})
    table = read_now(some_events(), items=items, users=users)
    assert table.items is not None
    assert table.users is not None
    assert table.items["tags"].dtype == pl.List(pl.String)
    assert table.users.columns == ["user_id", "age"]
    assert "users: 1 of 3 users of the events are not there" in table.notes
    named = some_events().rename({"item_id": "thing"})
    table = read_now(named, columns=Columns(item="thing"), items=items.rename({"sku": "thing"}))
    assert table.items is not None
    assert table.items["item_id"].to_list() == [5, 6, 7]


def test_ids_of_both_sides_get_one_type() -> None:
    table = read_now(some_events(), items=pl.DataFrame({"item_id": ["5", "6", "x"]}))
    assert table.items is not None
    assert table.events["item_id"].to_list() == ["5", "6", "7"]
    assert table.items["item_id"].to_list() == ["5", "6", "x"]
    assert any("read as text" in note for note in table.notes)


def test_bad_sides() -> None:
    def with_items(**columns: list[Any]) -> Callable[[], Table]:
        return lambda: read_now(some_events(), items=pl.DataFrame(columns))

    refused(ValueInColumn, with_items(item_id=[5, 6, 5]), "more than once", "5", "rows 1, 3")
    refused(ValueInColumn, with_items(item_id=[5, None, 6]), "1 of 3 rows have no item id")
    refused(ColumnError, with_items(title=["a"]), "title", "--items")
    refused(InputError, with_items(item_id=[]), "no rows")
    refused(InputError, with_items(item_id=[8, 9]), "None of the 3 items", "5, 6, 7", "8, 9")
    users = pl.DataFrame({"user_id": [1, 1]})
    refused(ValueInColumn, lambda: read_now(some_events(), users=users), "more than once")
    both = pl.DataFrame({"sku": [5, 6, 7], "item_id": [1, 2, 3]})
    named = some_events().rename({"item_id": "sku"})
    refused(
        InputError,
        lambda: read_now(named, columns=Columns(item="sku"), items=both),
        "'sku'",
        "'item_id'",
    )


def test_answers_come_in_the_callers_frame() -> None:
    for source, kind, cls in (
        (FRAME, "polars", pl.DataFrame),
        (FRAME.lazy(), "polars", pl.DataFrame),
        (FRAME.to_pandas(), "pandas", pd.DataFrame),
        (FRAME.to_arrow(), "arrow", pa.Table),
        ("log.csv", "polars", pl.DataFrame),
        ([1, 2], "polars", pl.DataFrame),
    ):
        assert frame_kind(source) == kind
        full = FRAME.drop("position")  # pandas turns integers with nulls into floats
        answer = like(full, frame_kind(source))
        assert isinstance(answer, cls)
        assert_frame_equal(pl.DataFrame(answer), full)


@pytest.mark.parametrize(("kind", "package"), [("pandas", "pandas"), ("arrow", "pyarrow")])
def test_a_missing_library_is_named(
    kind: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    refused(CallError, lambda: like(FRAME, kind), package, f"pip install {package}")
