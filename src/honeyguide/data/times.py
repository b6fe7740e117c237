"""When things happened: whatever a column says, as seconds since 1970 UTC.

Special here: the unit of plain numbers is told from their magnitude and said aloud, every row may
carry its own zone, and a time in the future is refused, since it nearly always is a wrong unit.
Not here: formats such as 03/04/2020, which mean different days to different people.
"""

from datetime import UTC, datetime

import polars as pl

from honeyguide.data.columns import examples, where
from honeyguide.errors import ValueInColumn

# From this magnitude on, the median is read in this unit: 1e11 s is the year 5138, 1e11 ms is 1973.
TYPICAL = 100_000  # times that the unit is guessed from, at least
UNITS: tuple[tuple[float, float, str], ...] = (
    (1e17, 1e9, "nanoseconds"),
    (1e14, 1e6, "microseconds"),
    (1e11, 1e3, "milliseconds"),
    (0.0, 1.0, "seconds"),
)
PER_SECOND: dict[str, float] = {"ms": 1e3, "us": 1e6, "ns": 1e9}
ISO = (
    r"^(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<hour>[01]\d|2[0-3]):(?<minute>[0-5]\d)(?::(?<second>[0-5]\d(?:[.,]\d{1,9})?))?"
    r" ?(?<zone>Z|UTC|GMT|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?$"
)
DAY = 86_400.0


def times(raw: pl.Series, column: str, notes: list[str], *, now: float) -> pl.Series:
    """Times (N,) as Float64 seconds since 1970 UTC; nulls, "" and NaN stay null.

    `now` is in the same seconds. ValueInColumn for what cannot be read and for times more than 24
    hours after `now`.
    """
    if raw.dtype == pl.Null:
        return raw.cast(pl.Float64)
    if raw.dtype == pl.String:
        seconds = _text(raw, column, notes)
    elif raw.dtype == pl.Date:
        notes.append(f'column "{column}": days read as midnight UTC')
        seconds = raw.cast(pl.Int32).cast(pl.Float64) * DAY
    elif isinstance(raw.dtype, pl.Datetime):
        if raw.dtype.time_zone is None:
            notes.append(f'column "{column}": times without a zone read as UTC')
        seconds = raw.to_physical().cast(pl.Float64) / PER_SECOND[raw.dtype.time_unit]
    elif raw.dtype.is_numeric():
        seconds = _numbers(raw.cast(pl.Float64), column, notes)
    else:
        raise ValueInColumn(
            f'Column "{column}" is of type {raw.dtype}, which cannot be a time.',
            "Times are dates, numbers since 1970 or ISO 8601 text; name the column with --time.",
        )
    late = (seconds > now + DAY).fill_null(False)
    if late.any():
        raise ValueInColumn(
            f'Column "{column}": {late.sum()} of {len(raw)} times lie in the future, the latest '
            f"{_readable(seconds)} ({where(late)}).",
            "Probably a wrong unit or a typing error: correct or drop these rows, or name another "
            "column with --time.",
        )
    return seconds


def _numbers(raw: pl.Series, column: str, notes: list[str]) -> pl.Series:
    number = raw.fill_nan(None)
    endless = number.is_infinite().fill_null(False)
    if endless.any():
        raise ValueInColumn(
            f'Column "{column}": {endless.sum()} of {len(raw)} times are infinite '
            f"({where(endless)}).",
            "Correct or drop these rows, or name another column with --time.",
        )
    some = number.gather_every(max(1, len(number) // TYPICAL))  # a median of all takes seconds
    typical = (some if some.null_count() < len(some) else number).abs().median()
    if not isinstance(typical, float):
        return number
    days = _calendar(number)
    if days is not None:
        notes.append(f'column "{column}": numbers read as days, YYYYMMDD, midnight UTC')
        return days
    least, scale, unit = next(row for row in UNITS if typical >= row[0])
    mixed = number.abs().is_between(1e9, least, closed="left").fill_null(False)
    if mixed.any():
        raise ValueInColumn(
            f'Column "{column}": most times are {unit} since 1970, but {mixed.sum()} of {len(raw)} '
            f"look like a larger unit, such as {examples(number.filter(mixed))} ({where(mixed)}).",
            "Bring all times to one unit.",
        )
    notes.append(f'column "{column}": numbers read as {unit} since 1970 UTC')
    return number / scale


def _calendar(number: pl.Series) -> pl.Series | None:
    """Days written as 20240131, if every number is one (as seconds, all would lie in 1970)."""
    if not number.is_between(19_000_101, 21_001_231).all():
        return None
    day = number.cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d", strict=False)
    if day.null_count() > number.null_count() or not (number == number.floor()).all():
        return None
    return day.cast(pl.Int32).cast(pl.Float64) * DAY


def _text(raw: pl.Series, column: str, notes: list[str]) -> pl.Series:
    text = raw.str.strip_chars()
    text = text.set(text == "", None)
    number = text.cast(pl.Float64, strict=False)
    if number.null_count() == text.null_count():
        return _numbers(number, column, notes)
    part = text.str.extract_groups(ISO).struct.unnest()
    zone = part["zone"]
    offset = zone.set(zone.is_in(["Z", "UTC", "GMT"]), "+00").str.replace(":", "")
    sign = pl.select(pl.when(offset.str.starts_with("-")).then(-1.0).otherwise(1.0)).to_series()
    ahead = sign * (
        offset.str.slice(1, 2).cast(pl.Float64) * 3600
        + offset.str.slice(3, 2).cast(pl.Float64, strict=False).fill_null(0.0) * 60
    )
    seconds = (
        part["day"].str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Float64) * DAY
        + part["hour"].cast(pl.Float64).fill_null(0.0) * 3600
        + part["minute"].cast(pl.Float64).fill_null(0.0) * 60
        + part["second"].str.replace(",", ".").cast(pl.Float64).fill_null(0.0)
        - ahead.fill_null(0.0)
    )
    broken = seconds.is_null() & text.is_not_null()
    if broken.any():
        if 2 * number.count() > text.count():  # then the few others are what is wrong
            broken = number.is_null() & text.is_not_null()
        raise ValueInColumn(
            f'Column "{column}": {broken.sum()} of {len(raw)} times cannot be read, such as '
            f"{examples(text.filter(broken))} ({where(broken)}).",
            "Write times as ISO 8601 (2024-01-31T18:30:00Z) or as numbers since 1970, or name "
            "another column with --time.",
        )
    if (zone.is_null() & text.is_not_null()).any():
        notes.append(f'column "{column}": times without a zone read as UTC')
    return seconds


def _readable(seconds: pl.Series) -> str:
    latest = seconds.max()
    assert isinstance(latest, float)
    if latest < 253_402_300_800:  # the year 10000, past which datetime cannot go
        return datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds")
    return f"{latest:.6g} seconds since 1970"
