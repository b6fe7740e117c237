"""Columns: ids, kinds, values, positions and propensities, good and bad."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from honeyguide.data.kinds import KINDS
from honeyguide.errors import (
    InputError,
    UnknownName,
    ValueInColumn,
)
from tables import read_now, refused, some_events, written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (("1", "2", "30"), [1, 2, 30]),
        (("01", "2", "3"), ["01", "2", "3"]),
        (("1.0", "2.0", "3"), [1, 2, 3]),
        (("-1", "0", "2"), [-1, 0, 2]),
        ((" 1", "2", "3"), [" 1", "2", "3"]),
        (("1", "2", "99999999999999999999"), ["1", "2", "99999999999999999999"]),
        (("1", "2", "x"), ["1", "2", "x"]),
    ],
)
def test_ids_of_text_files(tmp_path: Path, text: tuple[str, ...], expected: list[Any]) -> None:
    lines = "".join(f"{name},{item}\n" for name, item in zip(text, "abc", strict=True))
    events = read_now(written(tmp_path, f"user_id,item_id\n{lines}")).events
    assert events["user_id"].to_list() == expected


def test_ids_of_typed_sources() -> None:
    assert read_now(some_events(user_id=["1", "2", "3"])).events["user_id"].dtype == pl.String
    table = read_now(some_events(user_id=[1.0, 2.0, 3.0]))
    assert table.events["user_id"].dtype == pl.Int64
    assert 'column "user_id": floats that are all whole, read as integers' in table.notes
    huge = read_now(some_events(user_id=pl.Series([1, 2, 2**64 - 1], dtype=pl.UInt64)))
    assert huge.events["user_id"].to_list() == ["1", "2", str(2**64 - 1)]


BAD_IDS: dict[str, tuple[list[Any], tuple[str, ...]]] = {
    "null": ([1, None, None], ("2 of 3 rows have no user id", "rows 2, 3")),
    "all null": ([None, None, None], ("3 of 3 rows", "rows 1, 2, 3")),
    "empty": (["a", "", "b"], ("1 of 3 rows have no user id", "row 2")),
    "nan": ([1.0, float("nan"), 2.0], ("1 of 3 rows have no user id",)),
    "fraction": ([1.0, 2.5, 3.0], ("2.5", "row 2", "--user")),
    "infinite": ([1.0, float("inf"), 3.0], ("inf", "row 2")),
    "vague": ([1.0, 2.0**60, 3.0], ("2**53", "row 2")),
    "bool": ([True, False, True], ("Boolean", "whole numbers or text")),
    "list": ([[1], [2], [3]], ("List", "whole numbers or text")),
    "date": ([date(2020, 1, 1)] * 3, ("Date",)),
}


@pytest.mark.parametrize(("bad", "said"), BAD_IDS.values(), ids=BAD_IDS)
def test_bad_ids(bad: list[Any], said: tuple[str, ...]) -> None:
    refused(ValueInColumn, lambda: read_now(some_events(user_id=bad)), 'Column "user_id"', *said)


def test_an_item_may_be_missing_only_in_a_search() -> None:
    frame = some_events(item_id=[5, None, None], kind=["view", "search", "view"])
    refused(
        ValueInColumn, lambda: read_now(frame), "1 of 3 rows have no item id", "row 3", "search"
    )


@pytest.mark.parametrize("mixed", [[1, "x", "y"], ["x", 1, 2], [1, 2.5, "x"]])
def test_mixed_ids_in_pandas(mixed: list[Any]) -> None:
    frame = pd.DataFrame({"user_id": mixed, "item_id": [1, 2, 3]}, index=[0, 0, 0])
    refused(ValueInColumn, lambda: read_now(frame), "mixes types, such as", "all of it text")


def test_mixed_ids_in_ndjson(tmp_path: Path) -> None:
    text = '{"user_id": 1, "item_id": 2}\n{"user_id": "x", "item_id": 3}\n'
    path = written(tmp_path, text, "log.ndjson")
    refused(ValueInColumn, lambda: read_now(path), "mixes types", '1 and "x"')


def test_strange_pandas_columns() -> None:
    frame = pd.DataFrame({"user_id": [object(), object()], "item_id": [1, 2]})
    refused(InputError, lambda: read_now(frame), "cannot be turned into columns")
    frame = pd.DataFrame([[1, 2], [3, 4]])
    refused(InputError, lambda: read_now(frame), "not text, such as 0")
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=["user_id", "user_id"])
    refused(InputError, lambda: read_now(frame), "two columns of one name")
    arrow = pa.Table.from_arrays([pa.array([1, 2])] * 2, names=["user_id", "user_id"])
    refused(InputError, lambda: read_now(arrow), "two columns of one name")
    unused = pd.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "junk": [1, "x"]})
    assert read_now(unused).events.height == 2  # what is not used need not be clean


def test_bad_kinds() -> None:
    refused(
        UnknownName, lambda: read_now(some_events(kind=["view", "veiw", "x"])), "'veiw'", "'view'"
    )
    refused(UnknownName, lambda: read_now(some_events(kind=[0, 1, 1])), "'0'", ", ".join(KINDS))
    refused(
        ValueInColumn, lambda: read_now(some_events(kind=["view", None, ""])), "2 of 3", "rows 2, 3"
    )
    refused(ValueInColumn, lambda: read_now(some_events(kind=[[1], [2], [3]])), "List", "--kind")


BAD_VALUES: dict[str, tuple[list[Any], tuple[str, ...]]] = {
    "nan": ([1.0, float("nan"), 2.0], ("1 of 3 values are NaN or infinite", "row 2")),
    "infinite": ([1.0, float("inf"), float("-inf")], ("2 of 3", "rows 2, 3")),
    "text": (["1", "good", "2"], ("1 of 3 values are not numbers", "'good'", "row 2", "--rating")),
    "text nan": (["1", "nan", "2"], ("NaN or infinite",)),
    "missing": ([1.0, None, 2.0], ("1 of 3 ratings are missing", "row 2")),
    "empty": (["1", "", "2"], ("1 of 3 ratings are missing", "row 2")),
    "bool": ([True, False, True], ("Boolean", "--rating")),
    "too large": ([1.0, 1e300, 2.0], ("32-bit", "1e+300", "row 2")),
}


@pytest.mark.parametrize(("bad", "said"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_bad_values(bad: list[Any], said: tuple[str, ...]) -> None:
    refused(ValueInColumn, lambda: read_now(some_events(rating=bad)), 'Column "rating"', *said)


def test_a_missing_rating_in_pandas_is_refused_too() -> None:
    frame = some_events(rating=[1.0, float("nan"), 3.0]).to_pandas()
    refused(ValueInColumn, lambda: read_now(frame), "1 of 3 ratings are missing, empty or NaN")


POSITION = "Columns(position=...) in Python"


def test_bad_positions_and_propensities() -> None:
    refused(ValueInColumn, lambda: read_now(some_events(position=[0, 1, 2])), "from 1", POSITION)
    refused(ValueInColumn, lambda: read_now(some_events(position=["1", "x", "2"])), "'x'", POSITION)
    bad = some_events(propensity=[0.0, 0.5, 1.5])
    refused(ValueInColumn, lambda: read_now(bad), "2 of 3", "0.0, 1.5", "Columns(propensity=...)")
