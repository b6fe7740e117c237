"""Times: every spelling means the same second, and what cannot be one is refused."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from honeyguide.data.columns import Columns
from honeyguide.errors import (
    ValueInColumn,
)
from tables import NOW, read_now, refused, some_events

WHEN = 1_600_000_000.0
SPELLINGS: dict[str, tuple[Any, str]] = {
    "s": (1_600_000_000, "seconds"),
    "float s": (1.6e9, "seconds"),
    "ms": (1_600_000_000_000, "milliseconds"),
    "us": (1_600_000_000_000_000, "microseconds"),
    "ns": (1_600_000_000_000_000_000, "nanoseconds"),
    "number as text": ("1600000000", "seconds"),
    "ms as text": ("1600000000000", "milliseconds"),
    "naive": (datetime(2020, 9, 13, 12, 26, 40), "without a zone read as UTC"),
    "aware": (datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC), ""),
    "iso Z": ("2020-09-13T12:26:40Z", ""),
    "iso UTC": ("2020-09-13 12:26:40 UTC", ""),
    "iso zone": ("2020-09-13T14:26:40+02:00", ""),
    "iso west": ("2020-09-13T08:56:40.000-0330", ""),
    "iso fraction": ("2020-09-13 12:26:40.000", "without a zone read as UTC"),
}


@pytest.mark.parametrize(("spelt", "said"), SPELLINGS.values(), ids=SPELLINGS)
def test_times_in_every_spelling(spelt: Any, said: str) -> None:
    table = read_now(some_events(time=[spelt] * 3))
    assert table.events["time"].to_list() == [WHEN] * 3
    assert table.events["time"].dtype == pl.Float64
    spoken = [note for note in table.notes if note.startswith('column "time"')]
    assert len(spoken) == bool(said)
    assert said in "".join(spoken)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_every_resolution(unit: Any) -> None:
    when = pl.Series([WHEN + 0.5] * 3) * 1000
    zoned = when.cast(pl.Datetime("ms")).cast(pl.Datetime(unit)).dt.replace_time_zone("UTC")
    table = read_now(some_events(time=zoned.dt.convert_time_zone("Asia/Tokyo")))
    assert table.events["time"].to_list() == [WHEN + 0.5] * 3


@pytest.mark.parametrize("day", [date(2020, 9, 13), "2020-09-13", 20200913, "20200913"])
def test_days_are_midnight_utc(day: Any) -> None:
    table = read_now(some_events(time=[day] * 3))
    assert table.events["time"].to_list() == [datetime(2020, 9, 13, tzinfo=UTC).timestamp()] * 3
    assert any("UTC" in note for note in table.notes)


def test_zones_may_differ_from_row_to_row() -> None:
    spelt = ["2020-09-13T12:26:40Z", "2020-09-13T12:26+01", "2020-09-13"]
    expected = [WHEN, WHEN - 3640, WHEN - 44800]
    table = read_now(some_events(time=spelt))
    assert table.events["time"].to_list() == expected
    assert any("without a zone" in note for note in table.notes)


BAD_TIMES: dict[str, tuple[list[Any], tuple[str, ...]]] = {
    "words": (["2020-01-01", "soon", "later"], ("2 of 3", "'soon', 'later'", "rows 2, 3")),
    "no such day": (["2020-02-30", "2020-01-01", "2020-01-02"], ("'2020-02-30'", "row 1")),
    "no such hour": (["2020-01-01T25:00", "2020-01-01", "2020-01-02"], ("T25:00", "row 1")),
    "ambiguous": (["03/04/2020"] * 3, ("3 of 3", "ISO 8601")),
    "future": ([1.0, NOW + 90_000, NOW + 80_000], ("1 of 3", "2023-11-15T23:13:20", "row 2")),
    "far future": ([1.0, 2.0, 1e15], ("1 of 3", "1e+15 seconds")),
    "mixed units": ([1.6e12, 1.6e9, 1.61e12], ("most times are milliseconds", "1 of 3", "row 2")),
    "infinite": ([1.0, float("inf"), 2.0], ("1 of 3 times are infinite",)),
    "null": ([1.0, None, None], ("2 of 3 rows have no time", "--order")),
    "all null": ([None, None, None], ("3 of 3 rows have no time",)),
    "empty": (["2020-01-01", "", "2020-01-01"], ("1 of 3 rows have no time", "row 2")),
    "bool": ([True, False, True], ("Boolean", "--time")),
    "list": ([[1], [2], [3]], ("List", "--time")),
}


@pytest.mark.parametrize(("bad", "said"), BAD_TIMES.values(), ids=BAD_TIMES)
def test_bad_times(bad: list[Any], said: tuple[str, ...]) -> None:
    refused(ValueInColumn, lambda: read_now(some_events(time=bad)), 'Column "time"', *said)


def test_a_little_future_is_a_clock_and_missing_times_may_yield_to_an_order() -> None:
    assert (
        read_now(some_events(time=[NOW + 86_000] * 3)).events["time"].to_list()
        == [NOW + 86_000] * 3
    )
    table = read_now(some_events(time=[1.0, None, 2.0]), columns=Columns(order="file"))
    assert "time" not in table.events.columns
    assert any("1 of 3 rows have no time" in note for note in table.notes)
