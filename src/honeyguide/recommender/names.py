"""Lists by name: what a caller asks with and what a caller gets, in the caller's own ids.

The inner shapes (Query, Ranking) hold numbers; everything that turns names into them and back for a
Recommender is here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.errors import CallError, InputError, UnknownName
from honeyguide.types import Ranking

Filter = pl.Expr | dict[str, Any]


def histories_asked(asked: Sequence[Any], items: Vocab) -> Interactions:
    """Lists of item names as the events of strangers. Unknown names are skipped.

    Raises InputError where a list that is not empty holds no known item at all.
    """
    lengths = np.fromiter((len(history) for history in asked), np.int64, len(asked))
    flat = [name for history in asked for name in history]
    numbers = items.numbers(flat).astype(np.int32)
    known = numbers != PAD
    row = np.repeat(np.arange(len(asked), dtype=np.int32), lengths)
    kept = np.bincount(row[known], minlength=len(asked))
    lost = np.flatnonzero((kept == 0) & (lengths > 0))
    if len(lost):
        names = ", ".join(repr(name) for name in list(asked[lost[0]])[:3])
        raise InputError(
            f"No item of history {lost[0]} is known: {names}.",
            "Check the ids, or ask with an empty history for what is popular.",
        )
    offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    return Interactions(
        users=Vocab(pl.Series(range(len(asked)), dtype=pl.Int64), 0),
        items=items,
        offsets=offsets,
        user=row[known],
        item=numbers[known],
        kind=np.full(int(known.sum()), KINDS["view"].number, np.int8),
        order="column",
    )


def is_histories(asked: Any) -> bool:
    """Whether these are histories (lists of items) rather than users."""
    return len(asked) > 0 and isinstance(asked[0], list | tuple | np.ndarray | pl.Series)


def as_list(asked: Any) -> list[Any]:
    """Users or histories as a list; a single name is refused, for it might be either."""
    if isinstance(asked, str | int | np.integer):
        raise CallError(
            f"One name, {asked!r}, was given in place of a list.",
            f"Write [{asked!r}] for one user, or [[{asked!r}]] for one history.",
        )
    column = getattr(asked, "columns", None)
    if column is not None:  # a frame of any library
        if "user_id" not in column:
            raise CallError("The frame has no column user_id.", "Name its users user_id.")
        asked = asked["user_id"]
    to_list = getattr(asked, "to_list", None) or getattr(asked, "tolist", None)
    return list(asked) if to_list is None else list(to_list())


def candidate_numbers(
    candidates: Sequence[Any], items: Vocab, rows: int, scorable: int
) -> tuple[Int64[Tensor, "B C"], list[list[Any]]]:
    """Candidate names as numbers, one list for all or one per row, and the unknown names of each.

    scorable: item numbers from here on have no score yet and count as unknown.
    """
    lists = [list(c) for c in candidates] if is_histories(candidates) else [list(candidates)]
    if len(lists) not in (1, rows):
        raise CallError(
            f"{len(lists)} lists of candidates were given for {rows} questions.",
            "Give one list for all, or one for each.",
        )
    width = max((len(c) for c in lists), default=0)
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
    tensor = torch.from_numpy(numbers)
    if len(lists) == rows:
        return tensor, unknown
    return tensor.expand(rows, -1), unknown * rows


def allowed(wanted: Filter, features: Features, scorable: int) -> Bool[Tensor, " I"]:
    """Which items a filter lets through: a polars expression, or {column: value or values}."""
    if isinstance(wanted, dict):
        expression = pl.lit(True)
        for name, value in wanted.items():
            features.column(name)
            several = isinstance(value, list | tuple | set)
            one = pl.col(name).is_in(list(value)) if several else pl.col(name) == value
            expression = expression & one
    else:
        expression = wanted
    try:
        passed = features.frame.head(scorable).select(expression.alias("ok"))["ok"]
    except pl.exceptions.ColumnNotFoundError as error:
        raise UnknownName(
            "item column", str(error).split("\n")[0], features.frame.columns
        ) from None
    except pl.exceptions.PolarsError as error:
        raise CallError(
            f"The filter does not work: {error}.", "Write it over item columns."
        ) from None
    if len(passed) != scorable or passed.dtype != pl.Boolean:
        raise CallError("The filter does not say yes or no for each item.", "Compare a column.")
    return torch.from_numpy(passed.fill_null(False).to_numpy().copy())


def ranked_frame(
    ranking: Ranking, asked: pl.Series, items: Vocab, unknown: list[list[Any]] | None, k: int
) -> pl.DataFrame:
    """user_id, item_id, score, rank, best first; unknown candidates last with a null score."""
    numbers = ranking.items.numpy()
    real = numbers != PAD
    row, place = np.nonzero(real)
    frame = pl.DataFrame(
        {
            "user_id": asked.gather(row),
            "item_id": items.of(numbers[row, place]),
            "score": ranking.scores.numpy()[row, place],
            "rank": (place + 1).astype(np.int32),
        }
    )
    if unknown is None or not any(unknown):
        return frame
    filled = real.sum(1)
    rest = [
        (r, name, int(filled[r]) + i + 1)
        for r, names in enumerate(unknown)
        for i, name in enumerate(names[: max(k - int(filled[r]), 0)])
    ]
    if not rest:
        return frame
    rows, names_, ranks = zip(*rest, strict=True)
    tail = pl.DataFrame(
        {
            "user_id": asked.gather(list(rows)),
            "item_id": pl.Series(list(names_), dtype=items.names.dtype, strict=False),
            "score": pl.Series([None] * len(rest), dtype=pl.Float32),
            "rank": pl.Series(list(ranks), dtype=pl.Int32),
        }
    )
    order = pl.concat([pl.Series(row), pl.Series(list(rows), dtype=pl.Int64)])
    both = pl.concat([frame, tail]).with_columns(order.alias("_row"))
    return both.sort("_row", "rank").drop("_row")
