"""What another framework answered: a file or frame of lists, or of predictions, by name.

Columns are found as in a log: by the names given for users and items, else by their usual headers.
"""

from typing import Any

import polars as pl

from honeyguide.data import columns as checks
from honeyguide.data.columns import Columns
from honeyguide.data.source import Source, open_source
from honeyguide.errors import ColumnError, InputError

# our column -> the headers it may have, as data.columns.normal spells them; the first one wins
LISTED: dict[str, str] = {
    "rank": "rank position place",
    "score": "score scores prediction pred relevance",
}
PREDICTED: dict[str, str] = {
    "prediction": "prediction pred predicted predictedrating estimate est score probability prob",
}


def read_lists(source: Any, columns: Columns | None = None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """user_id, item_id and rank or score (f64), in the order of the rows; and what was guessed.

    source: a path or a frame, one row per listed item. Where it has both, the rank is taken.
    Raises ColumnError, ValueInColumn, InputError where an item stands twice in a list.
    """
    return _answers(source, columns or Columns(), LISTED, "stand twice in the list of a user")


def read_predictions(
    source: Any, columns: Columns | None = None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """user_id, item_id, prediction (f64), one row per pair; and what was guessed.

    Raises ColumnError, ValueInColumn, InputError where a pair has two predictions.
    """
    return _answers(source, columns or Columns(), PREDICTED, "have two predictions")


def _answers(
    source: Any, columns: Columns, wanted: dict[str, str], twice: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    opened = open_source(source)
    notes = list(opened.notes)
    who, what = (
        _id_column(opened, canonical, given, notes)
        for canonical, given in (("user_id", columns.user), ("item_id", columns.item))
    )
    number, header = _number_column(opened, wanted, (who, what), notes)
    raw = opened.load([who, what, header])
    if raw.height == 0:
        raise InputError(f"{opened.what} has columns but no rows.", "Give at least one row.")
    done = {}
    for canonical, column in (("user_id", who), ("item_id", what)):
        opened.refuse_mixed(column)
        done[canonical] = checks.ids(raw[column], column, notes, as_text=opened.as_text)
        checks.refuse_null(done[canonical], column, f"{canonical.removesuffix('_id')} id")
    done[number] = checks.numbers(raw[header], header, f"the header {number}")
    checks.refuse_null(done[number], header, number)
    frame = pl.DataFrame(done)
    again = frame.select("user_id", "item_id").is_duplicated()
    if again.any():
        user, item = frame.filter(again).row(0)[:2]
        raise InputError(
            f"{frame.filter(again).select('user_id', 'item_id').n_unique()} pairs of user and item "
            f"{twice}, such as item {item!r} of user {user!r} ({checks.where(again)}).",
            "Keep one row for each pair.",
        )
    return frame, tuple(notes)


def _id_column(opened: Source, canonical: str, given: str | None, notes: list[str]) -> str:
    if given is not None and given in opened.names:
        return given
    found = checks.candidates(opened.names, canonical)
    if not found:
        field, what = checks.FIELDS[canonical]
        raise ColumnError(what, canonical, opened.names, checks.naming(field))
    notes += checks.guessed(canonical, found)
    return found[0]


def _number_column(
    opened: Source, wanted: dict[str, str], taken: tuple[str, str], notes: list[str]
) -> tuple[str, str]:
    """Which of the wanted columns there is, and its header."""
    free = [name for name in opened.names if name not in taken]
    for number, headers in wanted.items():
        for header in headers.split():
            found = next((name for name in free if checks.normal(name) == header), None)
            if found is not None:
                if found != number:
                    notes.append(f'column "{found}" read as {number}')
                return number, found
    known = " or ".join(wanted)
    raise ColumnError(known, known, opened.names, f"the header {known}")
