"""Lists by name: what a caller asks with and what a caller gets, in the caller's own ids.

The inner shapes (Query, Ranking) hold numbers; everything that turns names into them and back for a
Recommender is here. A name is a whole number or text; which of the two is Vocab's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.read import FrameKind, frame_kind
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.errors import CallError, InputError, UnknownName
from honeyguide.types import Ranking

Filter = pl.Expr | dict[str, Any]

_LISTS = (list, tuple, np.ndarray, pl.Series)
_NAMES = (int, str)
_VIEW = KINDS["view"].number


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """numbers: one row per question. unknown: the names of each that have no number to score."""

    numbers: Int64[Tensor, "B C"]
    unknown: list[list[Any]]


# ---------------------------------------------------------------------- what comes in


def as_list(asked: Any, key: str = "user_id") -> list[Any]:
    """A list, a column, or the column `key` of a frame, as a list.

    Raises CallError for anything else; a single name is refused, for it might be a user or an item.
    """
    if isinstance(asked, list):
        return asked
    if isinstance(asked, tuple):
        return list(asked)
    if isinstance(asked, str | int | np.generic):
        raise CallError(
            f"One name, {asked!r}, was given in place of a list.",
            f"Write [{asked!r}]; and [[{asked!r}]] for a history of one item.",
        )
    if isinstance(asked, np.ndarray):
        return list(asked.tolist())
    native = nw.from_native(asked, pass_through=True, allow_series=True)
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    if isinstance(native, nw.DataFrame):
        if key not in native.columns:
            raise UnknownName("column", key, native.columns)
        native = native[key]
    if isinstance(native, nw.Series):
        return list(native.to_list())
    raise CallError(
        f"Names cannot be taken from a {type(asked).__name__}.",
        f"Give a list, a column, or a frame with the column {key}.",
    )


def kind_of_answer(asked: Any, fitted: FrameKind) -> FrameKind:
    """A frame is answered by its own kind; lists and columns by the kind that `fit` was given."""
    if isinstance(asked, list | tuple):
        return fitted
    native = nw.from_native(asked, pass_through=True)
    return frame_kind(asked) if isinstance(native, nw.DataFrame | nw.LazyFrame) else fitted


def are_histories(asked: list[Any]) -> bool:
    """Whether these are histories (lists of items) rather than users. CallError if some are."""
    lists = sum(isinstance(one, _LISTS) for one in asked)
    if 0 < lists < len(asked):
        raise CallError(
            "Some of the questions are names and some are lists.",
            'Ask for users, ["a", "b"], or for histories of items, [["a", "b"], ["c"]].',
        )
    return lists > 0


def checked(names: list[Any], what: str) -> list[Any]:
    """The names as int and str. CallError names the first that is neither."""
    if set(map(type, names)) <= {*_NAMES}:
        return names
    plain = [name.item() if isinstance(name, np.generic) else name for name in names]
    plain = [int(n) if isinstance(n, float) and n.is_integer() else n for n in plain]
    bad = next((name for name in plain if type(name) not in _NAMES), "")
    if bad != "":
        raise CallError(f"{bad!r} is no id of {what}.", "Ids are whole numbers or text.")
    return plain


def column(names: list[Any], what: str) -> pl.Series:
    """The names as one column. CallError where some are numbers and some are text."""
    if len(set(map(type, names))) > 1:
        number = next(name for name in names if isinstance(name, int))
        text = next(name for name in names if isinstance(name, str))
        raise CallError(
            f"The ids of {what} are of two types, such as {number!r} and {text!r}.",
            "Give all as whole numbers or all as text.",
        )
    return pl.Series(names, dtype=pl.String if names and isinstance(names[0], str) else pl.Int64)


def histories_asked(
    asked: Sequence[Any], items: Vocab
) -> tuple[Interactions, Int64[np.ndarray, " B"]]:
    """Lists of item names as the events of strangers, and how many names of each were skipped.

    Unknown names are skipped. Raises InputError where a list that is not empty holds no known one.
    """
    lists = [one if isinstance(one, list) else as_list(one, "item_id") for one in asked]
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    flat = checked([name for one in lists for name in one], "an item")
    numbers = items.numbers(flat).astype(np.int32)
    known = numbers != PAD
    row = np.repeat(np.arange(len(lists), dtype=np.int32), lengths)
    kept = lengths
    if not known.all():
        row, numbers = row[known], numbers[known]
        kept = np.bincount(row, minlength=len(lists))
    lost = np.flatnonzero((kept == 0) & (lengths > 0))
    if len(lost):
        names = ", ".join(repr(name) for name in lists[lost[0]][:3])
        raise InputError(
            f"No item of history {lost[0]} is known: {names}.",
            "Check the ids, or ask with an empty history for what is popular.",
        )
    strangers = Interactions(
        users=Vocab(pl.Series(np.arange(len(lists))), 0),
        items=items,
        offsets=np.concatenate([[0], np.cumsum(kept)]),
        user=row,
        item=numbers,
        kind=np.full(len(numbers), _VIEW, np.int8),
        order="column",
    )
    return strangers, lengths - kept


def candidates_asked(candidates: Any, items: Vocab, rows: int, scorable: int) -> Candidates:
    """Candidate names as numbers, one list for all or one per row, and the unknown ones of each.

    scorable: item numbers from here on have no score yet and count as unknown.
    """
    asked = as_list(candidates, "item_id")
    lists = [as_list(one, "item_id") for one in asked] if are_histories(asked) else [asked]
    lists = [checked(one, "an item") for one in lists]
    if len(lists) not in (1, rows):
        raise CallError(
            f"{len(lists)} lists of candidates were given for {rows} questions.",
            "Give one list for all, or one for each.",
        )
    width = max(map(len, lists), default=0)
    if width == 0:
        raise CallError("The list of candidates is empty.", "Leave it out to rank all items.")
    numbers = np.full((len(lists), width), PAD, np.int64)
    unknown: list[list[Any]] = []
    for row, names in enumerate(lists):
        found = items.numbers(names)
        found[found >= scorable] = PAD
        numbers[row, : len(names)] = found
        unknown.append(
            list(dict.fromkeys(n for n, i in zip(names, found, strict=True) if i == PAD))
        )
    if len(lists) == rows:
        return Candidates(torch.from_numpy(numbers), unknown)
    return Candidates(torch.from_numpy(numbers).expand(rows, -1), unknown * rows)


def allowed(wanted: Filter, features: Features, scorable: int) -> Bool[Tensor, " I"]:
    """Which items a filter lets through: a polars expression, or {column: value or values}.

    A column of lists lets through where one of its values is wanted. Raises UnknownName for a
    column nobody knows, CallError where the filter is not yes or no for each item.
    """
    frame = features.frame.head(scorable)
    expression = _as_expression(wanted, frame)
    for name in expression.meta.root_names():
        if name not in frame.columns:
            raise UnknownName("item column", name, frame.columns)
    try:
        passed = frame.select(expression.alias("passed"))["passed"]
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise CallError(
            f"The filter does not work: {first}.", "Write it over item columns."
        ) from None
    if len(passed) != scorable or passed.dtype != pl.Boolean:
        raise CallError("The filter does not say yes or no for each item.", "Compare a column.")
    return torch.from_numpy(passed.fill_null(False).to_numpy().copy())


def _as_expression(wanted: Any, frame: pl.DataFrame) -> pl.Expr:
    if isinstance(wanted, pl.Expr):
        return wanted
    if not isinstance(wanted, dict) or not wanted:
        raise CallError(
            f"{wanted!r} is no filter.",
            'Give a polars expression, or {"column": value} or {"column": [values]}.',
        )
    every = []
    for name, value in wanted.items():
        if name not in frame.columns:
            raise UnknownName("item column", str(name), frame.columns)
        values = list(value) if isinstance(value, list | tuple | set) else [value]
        one = pl.col(name)
        if isinstance(frame.schema[name], pl.List):
            every.append(pl.any_horizontal(one.list.contains(v) for v in values))
        else:
            every.append(pl.any_horizontal(one.eq_missing(v) for v in values))
    return pl.all_horizontal(every)


# ---------------------------------------------------------------------- what goes out


def ranked_frame(
    ranking: Ranking, asked: pl.Series, items: Vocab, unknown: list[list[Any]] | None, k: int
) -> pl.DataFrame:
    """user_id, item_id, score, rank, best first; unknown candidates last with a null score."""
    numbers = ranking.items.numpy()
    real = numbers != PAD
    row, place = np.nonzero(real)
    frame = pl.DataFrame(
        {
            "user_id": asked[row],  # .gather starts a lazy query, 150 us
            "item_id": items.of(numbers[row, place]),
            "score": ranking.scores.numpy()[row, place],
            "rank": (place + 1).astype(np.int32),
        }
    )
    if unknown is None or not any(unknown):
        return frame
    filled = real.sum(1).tolist()
    rest = [
        (r, name, filled[r] + i + 1)
        for r, names in enumerate(unknown)
        for i, name in enumerate(names[: max(k - filled[r], 0)])
    ]
    if not rest:
        return frame
    rows, last, ranks = (list(part) for part in zip(*rest, strict=True))
    if items.names.dtype == pl.String or any(isinstance(name, str) for name in last):
        # text among numbers: no number could stand for it
        frame, last = frame.cast({"item_id": pl.String}), list(map(str, last))
    tail = pl.DataFrame(
        {
            "user_id": asked.gather(rows),
            "item_id": last,
            "score": pl.Series([None] * len(rest), dtype=pl.Float32),
            "rank": pl.Series(ranks, dtype=pl.Int32),
        }
    )
    order = pl.Series(np.concatenate([row, rows]))
    both = pl.concat([frame, tail]).with_columns(order.alias(_ROW))
    return both.sort(_ROW, "rank").drop(_ROW)


_ROW = "_row"
