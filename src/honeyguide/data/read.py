"""From a file or a frame to a `Table`: events, items and users under the house's own names.

Special here: one path for every format. A source is its column names plus a way to load some of
them; what follows (guesses, checks, types) never asks where the columns came from. Values are not
trimmed, rows keep their order, and whatever was guessed, retyped or left out stands in
`Table.notes`. Nothing is ever fetched: a path is a path, even when it looks like an address.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import narwhals as nw
import polars as pl

from honeyguide.data import columns as checks
from honeyguide.data.columns import Columns
from honeyguide.data.source import Source, library, open_source
from honeyguide.data.table import EVENT_COLUMNS, Table
from honeyguide.data.times import times
from honeyguide.errors import CallError, ColumnError, InputError, ValueInColumn

FrameKind = Literal["polars", "pandas", "arrow"]
PARTS = ("train", "valid", "test")


def read(
    source: Any,
    *,
    columns: Columns | None = None,
    items: Any = None,
    users: Any = None,
    now: float | None = None,
    few: bool = False,
) -> Table:
    """The table in `source`, checked, with every guess in its notes.

    source:  a path (CSV, TSV, NDJSON/JSONL or MovieLens `::` .dat, each also .gz; Parquet), a
             pandas, polars (eager or lazy) or Arrow table, or a Table, which is returned as it is.
    columns: names of columns; the rest are guessed from data.columns.HEADERS.
    items:   a path or frame with one row per item (title, category, ...), kept whole.
    users:   the same per user.
    now:     seconds since 1970 UTC; times more than 24 hours later are refused (default: the
             clock).
    few:     let there be one user or item only: events that come after training.

    Errors: InputError (ColumnError, ValueInColumn) for what cannot be used, CallError (UnknownName)
    for a call that makes no sense.
    """
    if isinstance(source, Table):
        return _with_sides(source, columns, items, users)
    columns = columns or Columns()
    opened = open_source(source)
    chosen, guesses = checks.resolve(opened.names, columns)
    notes = [*opened.notes, *guesses]
    raw = opened.load(list(dict.fromkeys(chosen.values())))
    _refuse_empty(raw, opened)
    for canonical in ("user_id", "item_id"):
        opened.refuse_mixed(chosen[canonical])
    clock = time.time() if now is None else now
    events = _events(raw, chosen, columns, notes, clock, as_text=opened.as_text)
    if not few:
        _refuse_single(events, opened)
    unused = [f'"{name}"' for name in opened.names if name not in chosen.values()]
    if unused:
        notes.append(f"columns left out: {', '.join(unused)}")
    table = Table(events, notes=tuple(notes))
    for canonical, side in (("item_id", items), ("user_id", users)):
        if side is not None:
            table = _with_side(table, canonical, side, columns)
    return table


def _with_sides(table: Table, columns: Columns | None, items: Any, users: Any) -> Table:
    if columns is not None:
        raise CallError(
            "A Table already has its columns, so none can be named.",
            "Give the path or frame it came from, or leave `columns` away.",
        )
    for canonical, side in (("item_id", items), ("user_id", users)):
        if side is not None:
            table = _with_side(table, canonical, side, Columns())
    return table


def _refuse_empty(frame: pl.DataFrame, opened: Source) -> None:
    if frame.height == 0:
        raise InputError(
            f"{opened.what} has columns but no rows.",
            "Give a table with at least two users and two items.",
        )


def _refuse_single(events: pl.DataFrame, opened: Source) -> None:
    for canonical, what in (("user_id", "user"), ("item_id", "item")):
        names = events[canonical].drop_nulls()
        if not len(names) or (names == names[0]).all():
            raise InputError(
                f"{opened.what} has only one {what}, so there is nothing to learn.",
                f"Give events of at least two {what}s; if the wrong column was read, name the "
                f"right one with --{what}.",
            )


def _events(
    raw: pl.DataFrame,
    chosen: dict[str, str],
    columns: Columns,
    notes: list[str],
    now: float,
    *,
    as_text: bool,
) -> pl.DataFrame:
    """The events under canonical names and types, in the order of the rows."""
    take = {canonical: raw[name] for canonical, name in chosen.items()}
    done: dict[str, pl.Series] = {}
    done["kind"] = _kind(take.get("kind"), chosen, raw.height, notes)
    search = done["kind"] == "search"
    for canonical, what in (("user_id", "user"), ("item_id", "item")):
        name = chosen[canonical]
        done[canonical] = checks.ids(take[canonical], name, notes, as_text=as_text)
        needed = ~search if canonical == "item_id" else None
        checks.refuse_null(done[canonical], name, f"{what} id", needed)
    if "value" in take:
        rated = done["kind"] == "rating"
        done["value"] = checks.values(take["value"], chosen["value"], rated)
    _when(take, chosen, columns, notes, now, done)
    if "session_id" in take:
        done["session_id"] = checks.ids(
            take["session_id"], chosen["session_id"], notes, as_text=as_text
        )
    if "position" in take:
        done["position"] = checks.integers(
            take["position"], chosen["position"], checks.naming("position"), least=1
        )
    if "propensity" in take:
        done["propensity"] = checks.propensities(take["propensity"], chosen["propensity"])
    if "text" in take:
        if columns.text is None and not search.any():
            notes.append(f'column "{chosen["text"]}" not used: no event is a search')
        else:
            done["text"] = _words(take["text"], chosen["text"])
    if "part" in take:
        part = _part(take["part"], chosen["part"], notes)
        done |= {} if part is None else {"part": part}
    return pl.DataFrame({name: done[name] for name in EVENT_COLUMNS if name in done})


def _kind(
    raw: pl.Series | None, chosen: dict[str, str], height: int, notes: list[str]
) -> pl.Series:
    if raw is not None:
        return checks.kinds(raw, chosen["kind"], notes)
    kind, why = ("rating", "a rating") if "value" in chosen else ("view", "no rating")
    notes.append(
        f"no column says the kind of event and there is {why} column: every event is a {kind}; "
        "say --kind to change it"
    )
    return pl.Series([kind]).new_from_index(0, height)


def _when(
    take: dict[str, pl.Series],
    chosen: dict[str, str],
    columns: Columns,
    notes: list[str],
    now: float,
    done: dict[str, pl.Series],
) -> None:
    """`time` and `order`, into `done`, where the source has them."""
    if columns.order == "file":
        done["order"] = pl.int_range(len(done["kind"]), dtype=pl.Int64, eager=True)
        notes.append("order: the rows are taken to stand in the order in which they happened")
    elif "order" in take:
        done["order"] = checks.integers(take["order"], chosen["order"], "--order")
        checks.refuse_null(done["order"], chosen["order"], "order")
    if "time" in take:
        name = chosen["time"]
        when = times(take["time"], name, notes, now=now)
        if not when.null_count():
            done["time"] = when
        elif columns.order is not None:
            notes.append(
                f'column "{name}" not used: {when.null_count()} of {len(when)} rows have no time; '
                "the order comes from --order"
            )
        else:
            raise ValueInColumn(
                f'Column "{name}": {when.null_count()} of {len(when)} rows have no time (first: '
                f"{checks.where(when.is_null())}).",
                "Drop these rows, or give --order COLUMN or --order file.",
            )
    if "time" not in done and "order" not in done:
        notes.append(
            "no column says when or in which order: models and splits that need it will refuse; "
            "say --time COLUMN, --order COLUMN or --order file"
        )


def _words(raw: pl.Series, column: str) -> pl.Series:
    if raw.dtype.is_nested() or raw.dtype in (pl.Object, pl.Binary):
        raise ValueInColumn(
            f'Column "{column}" is of type {raw.dtype}, not the words of a search.',
            f"Turn it into text, or name another column with {checks.naming('text')}.",
        )
    return raw.cast(pl.String)


def _part(raw: pl.Series, column: str, notes: list[str]) -> pl.Series | None:
    """train, valid or test per row; None (noted) when the column means something else."""
    if raw.dtype == pl.String and raw.is_in(PARTS).all() and not raw.null_count():
        notes.append(f'column "{column}" read as a ready-made split')
        return raw
    notes.append(f'column "{column}" not used: a ready-made split holds only {", ".join(PARTS)}')
    return None


def _with_side(table: Table, canonical: str, source: Any, columns: Columns) -> Table:
    """The table with its items (canonical "item_id") or users ("user_id") read from `source`."""
    field, what = checks.FIELDS[canonical]
    option = f"--{field}s"
    opened = open_source(source, side=canonical)
    notes = [*table.notes, *opened.notes]
    name = _side_id(opened.names, canonical, columns.item if field == "item" else columns.user)
    if name is None:
        raise ColumnError(f"id in the {field}s", canonical, opened.names, option)
    if name != canonical:
        notes += [f"{field}s: {note}" for note in checks.guessed(canonical, [name], option)]
    if name != canonical and canonical in opened.names:
        raise InputError(
            f"{opened.what} has both a column {name!r}, named as the {what} id, and {canonical!r}.",
            f"Rename or drop one of the two before giving it to {option}.",
        )
    raw = opened.load(opened.names)
    _refuse_empty(raw, opened)
    opened.refuse_mixed(name)
    said: list[str] = []
    ids = checks.ids(raw[name], name, said, as_text=opened.as_text)
    notes += [f"{field}s: {note}" for note in said]
    checks.refuse_null(ids, name, f"{what} id")
    twice = ids.is_duplicated()
    if twice.any():
        repeated = ids.filter(twice)
        raise ValueInColumn(
            f'Column "{name}" of {opened.what}: {repeated.n_unique()} {what} ids stand there more '
            f"than once, such as {checks.examples(repeated)} ({checks.where(twice)}).",
            f"Keep one row per {what}.",
        )
    frame = raw.with_columns(ids.alias(name)).rename({name: canonical})
    if opened.as_text:
        frame = frame.with_columns(
            _typed(frame[other]) for other in frame.columns if other != canonical
        )
    return _joined(table, canonical, frame, notes)


def _side_id(names: Sequence[str], canonical: str, given: str | None) -> str | None:
    if given is not None and given in names:
        return given
    found = checks.candidates(names, canonical)
    found = found or [name for name in names if checks.normal(name) == "id"]
    return found[0] if found else None


def _typed(raw: pl.Series) -> pl.Series:
    """A column of a text file as Int64 or Float64 if all of it is numbers, else as it came."""
    filled = raw.drop_nulls()
    if filled.len() == 0:
        return raw
    if filled.str.contains(checks.WHOLE).all():
        whole = raw.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == raw.null_count() else raw
    if filled.str.contains(r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$").all():
        return raw.cast(pl.Float64)
    return raw


def _joined(table: Table, canonical: str, frame: pl.DataFrame, notes: list[str]) -> Table:
    """The table with `frame`, ids on both sides of one type (text as soon as one side is text)."""
    events = table.events
    if events[canonical].dtype != frame[canonical].dtype:
        events = events.with_columns(pl.col(canonical).cast(pl.String))
        frame = frame.with_columns(pl.col(canonical).cast(pl.String))
        notes.append(f"{canonical}: text on one side and integers on the other, read as text")
    known = frame[canonical].implode()
    absent = events[canonical].drop_nulls().unique()
    missing = absent.filter(~absent.is_in(known))
    side = "items" if canonical == "item_id" else "users"
    if len(missing) == len(absent):
        raise InputError(
            f"None of the {len(absent)} {side} of the events stands in --{side}; the events have "
            f"{checks.examples(absent.sort())}, --{side} has {checks.examples(frame[canonical])}.",
            f"Check that both use the same ids, or name the id column with --{side[:-1]}.",
        )
    if len(missing):
        notes.append(f"{side}: {len(missing)} of {len(absent)} {side} of the events are not there")
    if side == "items":
        return replace(table, events=events, items=frame, notes=tuple(notes))
    return replace(table, events=events, users=frame, notes=tuple(notes))


def frame_kind(source: Any) -> FrameKind:
    """The caller's kind of frame; polars for whatever is no frame (a path, a list, a Table).

    CallError for a frame of a library that is not one of the three.
    """
    frame = nw.from_native(source, pass_through=True)
    return library(frame) if isinstance(frame, (nw.DataFrame, nw.LazyFrame)) else "polars"


def like(frame: pl.DataFrame, kind: FrameKind) -> Any:
    """`frame` as a frame of that kind: polars.DataFrame, pandas.DataFrame or pyarrow.Table.

    CallError when pandas or pyarrow is needed and not installed.
    """
    if kind == "polars":
        return frame
    for package in ("pyarrow", "pandas")[: 1 if kind == "arrow" else 2]:
        _need(package, kind)
    return frame.to_arrow() if kind == "arrow" else frame.to_pandas()


def _need(package: str, kind: str) -> None:
    try:
        __import__(package)
    except ImportError as error:
        raise CallError(
            f"An answer as a frame of kind {kind!r} needs {package}, which is not installed.",
            f"Run `pip install {package}`, or ask with polars frames or lists.",
        ) from error
