"""Sources: every format gives the same table, and no bytes do anything but read or be refused."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from honeyguide.data.columns import Columns
from honeyguide.data.read import frame_kind, read
from honeyguide.data.table import Table
from honeyguide.errors import (
    CallError,
    ColumnError,
    HoneyguideError,
    InputError,
)
from tables import FRAME, read_now, refused, some_events, written


def _as_file(ending: str, write: Callable[[pl.DataFrame, Path], Any]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"log{ending}"
        write(FRAME, path)
        return path

    return make


def _zipped(ending: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"log{ending}.gz"
        path.write_bytes(gzip.compress(text.encode()))
        return path

    return make


FORMATS: dict[str, Callable[[Path], Any]] = {
    "csv": _as_file(".csv", lambda frame, path: frame.write_csv(path)),
    "CSV": _as_file(".CSV", lambda frame, path: frame.write_csv(path)),
    "tsv": _as_file(".tsv", lambda frame, path: frame.write_csv(path, separator="\t")),
    "parquet": _as_file(".parquet", lambda frame, path: frame.write_parquet(path)),
    "pq": _as_file(".pq", lambda frame, path: frame.write_parquet(path)),
    "ndjson": _as_file(".ndjson", lambda frame, path: frame.write_ndjson(path)),
    "jsonl": _as_file(".jsonl", lambda frame, path: frame.write_ndjson(path)),
    "csv.gz": _zipped(".csv", FRAME.write_csv()),
    "tsv.gz": _zipped(".tsv", FRAME.write_csv(separator="\t")),
    "ndjson.gz": _zipped(".ndjson", FRAME.write_ndjson()),
    "str path": lambda folder: str(FORMATS["csv"](folder)),
    "polars": lambda folder: FRAME,
    "lazy": lambda folder: FRAME.lazy(),
    "pandas": lambda folder: FRAME.to_pandas(),
    "pandas object": lambda folder: FRAME.to_pandas().astype({"item_id": object}),
    "pandas category": lambda folder: FRAME.to_pandas().astype({"item_id": "category"}),
    "arrow": lambda folder: FRAME.to_arrow(),
    "categorical": lambda folder: FRAME.with_columns(pl.col("item_id").cast(pl.Categorical)),
}


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_same_table(make: Callable[[Path], Any], tmp_path: Path) -> None:
    expected = FRAME.with_columns(
        pl.col("value").cast(pl.Float32), pl.col("propensity").cast(pl.Float32)
    )
    table = read_now(make(tmp_path))
    assert_frame_equal(table.events, expected)  # names, types, values and the order of the rows
    assert table.notes == ('column "time": numbers read as seconds since 1970 UTC',)


def test_a_table_is_returned_as_it_is() -> None:
    table = read_now(FRAME)
    assert read(table) is table
    with_items = read(table, items=pl.DataFrame({"item_id": ["007", "b c", " d"]}))
    assert with_items.events is table.events
    assert with_items.items is not None
    refused(CallError, lambda: read(table, columns=Columns(user="user_id")), "already")


def test_a_file_read_twice_through_its_own_table_is_the_same(tmp_path: Path) -> None:
    first = read_now(FRAME).events
    first.write_parquet(tmp_path / "again.parquet")
    assert_frame_equal(read_now(tmp_path / "again.parquet").events, first)


def test_movielens_dat_files(tmp_path: Path) -> None:
    ratings = written(tmp_path, "1::10::5::978300760\n2::11::3.5::978302109\n", "ratings.dat")
    movies = written(
        tmp_path,
        "10::Am\xe9lie (2001)::Comedy|Romance\n11::Heat (1995)::Action\n".encode("latin-1"),
        "movies.dat",
    )
    users = written(tmp_path, "1::F::1::10::48067\n2::M::56::16::02460\n", "users.dat")
    table = read_now(ratings, items=movies, users=users)
    assert table.events.to_dict(as_series=False) == {
        "user_id": [1, 2],
        "item_id": [10, 11],
        "kind": ["rating", "rating"],
        "value": [5.0, 3.5],
        "time": [978300760.0, 978302109.0],
    }
    assert table.items is not None
    assert table.users is not None
    assert table.items.rows() == [
        (10, "Amélie (2001)", "Comedy|Romance"),
        (11, "Heat (1995)", "Action"),
    ]
    assert table.users["zip_code"].to_list() == ["48067", "02460"]  # text: it would lose its zero
    assert any("by position as user_id, item_id, rating, timestamp" in n for n in table.notes)
    assert any("movies.dat is not UTF-8 and was read as Latin-1" in n for n in table.notes)
    zipped = tmp_path / "ratings.dat.gz"
    zipped.write_bytes(gzip.compress(ratings.read_bytes()))
    assert_frame_equal(read_now(zipped).events, table.events)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1::2::3::4\n1::2::3\n", "row 2 has 3 fields"),
        ("1::2\n3::4\n", "has 2 fields"),
        ("1\t2\t3\n", 'no "::"'),
        ("\n\n", 'no "::"'),
    ],
)
def test_dat_files_that_are_no_movielens_files(tmp_path: Path, text: str, said: str) -> None:
    refused(InputError, lambda: read_now(written(tmp_path, text, "x.dat")), said)


def test_empty_sources(tmp_path: Path) -> None:
    for ending in (".csv", ".tsv", ".ndjson", ".parquet", ".dat"):
        nothing = written(tmp_path, "", "x" + ending)
        refused(InputError, partial(read_now, nothing), "is empty")
    zipped = written(tmp_path, gzip.compress(b""), "x.csv.gz")
    refused(InputError, lambda: read_now(zipped), "is empty")
    refused(InputError, lambda: read_now(written(tmp_path, "user_id,item_id\n")), "no rows")
    refused(InputError, lambda: read_now(some_events().clear()), "no rows")
    refused(ColumnError, lambda: read_now(pl.DataFrame()), "--user")
    refused(InputError, lambda: read_now(written(tmp_path, "\n\n")), ".csv")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    gone = tmp_path / "gone.csv"
    refused(InputError, lambda: read_now(gone), str(gone))
    refused(InputError, lambda: read_now("s3://shop/log.csv"), "There is no file")
    refused(InputError, lambda: read_now(tmp_path), "is a folder")
    refused(InputError, lambda: read_now(written(tmp_path, "a", "log.xlsx")), ".xlsx", ".parquet")
    refused(InputError, lambda: read_now(written(tmp_path, "a", "log")), "''", ".csv")
    refused(InputError, lambda: read_now(written(tmp_path, "a", "log.parquet.gz")), ".parquet.gz")
    refused(CallError, lambda: read_now([1, 2]), "list", "pandas")
    refused(CallError, lambda: read_now(pl.Series([1])), "Series")


def test_files_that_are_not_what_their_endings_say(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 8
    for ending in (".csv", ".tsv", ".parquet", ".ndjson", ".csv.gz"):
        path = written(tmp_path, noise, "noise" + ending)
        refused(InputError, partial(read_now, path), "is not what its ending", str(path))
    parquet = tmp_path / "log.parquet"
    FRAME.write_parquet(parquet)
    disguised = written(tmp_path, parquet.read_bytes(), "parquet.csv")
    refused(InputError, lambda: read_now(disguised), "is not what its ending .csv says")
    cut = written(tmp_path, parquet.read_bytes()[:-20], "cut.parquet")
    refused(InputError, lambda: read_now(cut), "is not what its ending .parquet says")
    half = written(tmp_path, gzip.compress(FRAME.write_csv().encode())[:-12], "half.csv.gz")
    refused(InputError, lambda: read_now(half), "cut off")
    latin = written(tmp_path, "user_id,item_id\né,1\nb,2\n".encode("latin-1"))
    refused(InputError, lambda: read_now(latin), "not UTF-8")
    late = b"user_id,item_id\n" + b"a,1\n" * 20_000 + b"\xff,2\n"
    refused(InputError, lambda: read_now(written(tmp_path, late)), "utf-8")
    ragged = written(tmp_path, "user_id,item_id\n1,2,3\n")
    refused(InputError, lambda: read_now(ragged), ".csv")


def test_a_file_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "user_id,item_id\n1,2\n")

    def forbidden(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    refused(InputError, lambda: read_now(path), str(path), "Permission denied", "permissions")


def test_frames_of_other_libraries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("honeyguide.data.source.LIBRARIES", {})
    refused(CallError, lambda: read_now(FRAME), "are not read", "pandas, polars or Arrow")
    refused(CallError, lambda: frame_kind(FRAME), "are not read")


def test_a_lazy_frame_that_fails(tmp_path: Path) -> None:
    lazy = FRAME.lazy().with_columns(pl.col("item_id").cast(pl.Int64))
    refused(InputError, lambda: read_now(lazy), "The polars table cannot be")
    refused(InputError, lambda: read_now(FRAME.lazy().select("gone")), "cannot be read", "gone")


WITHOUT_PYARROW = """
import sys
from importlib.machinery import PathFinder
class Hide:
    find_distributions = PathFinder.find_distributions
    def find_spec(name, *rest):
        return None if name == "pyarrow" else PathFinder.find_spec(name, *rest)
sys.meta_path = [Hide if finder is PathFinder else finder for finder in sys.meta_path]
import pandas as pd
from honeyguide.data.read import read
from honeyguide.errors import CallError
try:
    read(pd.DataFrame({"user_id": ["a", "b"], "item_id": ["c", "d"]}))
except CallError as error:
    print(error)
"""


def test_a_pandas_table_without_pyarrow() -> None:
    # A process of its own: polars remembers the pyarrow that it once found.
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYARROW],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    wrong, do = done.stdout.splitlines()
    assert wrong == "The pandas table cannot be read without pyarrow, which is not installed."
    assert "pip install pyarrow" in do


def test_csv_headers_that_are_none(tmp_path: Path) -> None:
    refused(
        InputError, lambda: read_now(written(tmp_path, "1,2,3\n4,5,6\n")), "1, 2, 3", "first line"
    )
    refused(InputError, lambda: read_now(written(tmp_path, "user;item\n1;2\n")), "separated by ';'")
    broken = written(tmp_path, '"us\ner",item\n1,2\n')
    refused(InputError, lambda: read_now(broken), "line break", repr("us\ner"))
    twice = written(tmp_path, "user,item,user\n1,2,3\n")
    refused(InputError, lambda: read_now(twice), "two columns named 'user'")


def _outcome(path: Path) -> Table | HoneyguideError:
    """What reading gives; anything but a table or an error of ours goes up and fails the test."""
    try:
        return read_now(path)
    except HoneyguideError as error:
        return error


HEADS = (b"", b"user_id,item_id\n", b'{"user_id":1,"item_id":', b"PAR1", b"user_id,item_id,time\n")


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".parquet", ".ndjson", ".jsonl", ".dat", ".csv.gz"]
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.tuples(
        st.sampled_from(HEADS),
        st.one_of(st.binary(max_size=300), st.text(max_size=80).map(str.encode)),
    ).map(b"".join)
)
def test_any_bytes_read_or_are_refused(tmp_path: Path, ending: str, data: bytes) -> None:
    path = written(tmp_path, data, "any" + ending)
    outcome = _outcome(path)
    if isinstance(outcome, Table):
        assert {"user_id", "item_id", "kind"} <= set(outcome.events.columns)
    else:
        assert re.fullmatch(r"[^\n]+\n[^\n]+", str(outcome))


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_damaged_parquet_file_reads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    FRAME.write_parquet(folder / "log.parquet")
    data = bytearray((folder / "log.parquet").read_bytes())
    for place, byte in places:
        data[place % len(data)] = byte
    _outcome(written(folder, bytes(data), "bad.parquet"))
