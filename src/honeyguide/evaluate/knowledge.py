"""What training says of items beyond their scores: popularity, who took them, what they are.

Each part is computed when a metric first asks for it, so metrics of hits cost none of it.
Letters: I items with PAD, U users, C categories, B users asked.
"""

from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from jaxtyping import Float64, Int64

from honeyguide.data.features import TITLE_COLUMNS, Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.errors import CallError
from honeyguide.evaluate.overlap import Sets

CATEGORY_COLUMNS = ("genres", "genre", "categories", "category", "item_category", "tags")
BETWEEN = "|"  # stands between several values in one text, as in MovieLens' genres
SHARED = 2  # items that have one value, on average, from which on a column describes them

PerItem = Float64[np.ndarray, " I"]


class Knowledge:
    """history: events before the questions. barred: those whose items may not be listed, None =
    every item may. items: features numbered like the history's items, None = nothing is known."""

    def __init__(
        self,
        history: Interactions,
        barred: Interactions | None = None,
        items: Features | None = None,
    ) -> None:
        assert items is None or len(items.vocab) == history.n_items, "numbered differently"
        self.history, self.barred, self.items = history, barred, items

    @cached_property
    def pairs(self) -> sp.csr_array:
        """(U, I): who took what."""
        return self.history.pairs(EVENTS_FOR)

    @cached_property
    def takers(self) -> Sets:
        """By item: the users who took it."""
        return Sets.of(self.pairs.T.tocsr())

    @cached_property
    def share(self) -> PerItem:
        """By item: the share of the users with a history who took it; an item that nobody took
        counts as taken by one, so that its surprise is finite."""
        users = max(int((np.diff(self.pairs.indptr) > 0).sum()), 1)
        taken = np.bincount(self.pairs.indices, minlength=self.history.n_items)
        return np.asarray(np.maximum(taken, 1) / users, np.float64)

    @cached_property
    def own_share(self) -> Float64[np.ndarray, " U"]:
        """By user: the mean share of the items of the history; 0 without one."""
        taken = np.diff(self.pairs.indptr)
        return np.asarray(self.pairs @ self.share / np.maximum(taken, 1), np.float64)

    @cached_property
    def place(self) -> Int64[np.ndarray, " I"]:
        """By item: its place in the most popular list, from 0; PAD comes last, equally popular
        items stand in the order of their numbers."""
        taken = np.bincount(self.pairs.indices, minlength=self.history.n_items)
        taken[0] = -1
        place = np.empty(len(taken), np.int64)
        place[np.argsort(-taken, kind="stable")] = np.arange(len(taken))
        return place

    @cached_property
    def barred_places(self) -> Int64[np.ndarray, " N"]:
        """user * I + place of all that may not be listed, sorted, each once."""
        if self.barred is None:
            return np.zeros(0, np.int64)
        user = self.barred.user.astype(np.int64)
        return np.unique(user * self.history.n_items + self.place[self.barred.item])

    @cached_property
    def events(self) -> Int64[np.ndarray, " I"]:
        """By item: how many events speak for it."""
        item = self.history.counting(EVENTS_FOR).item
        return np.bincount(item, minlength=self.history.n_items)

    @cached_property
    def third(self) -> Int64[np.ndarray, " I"]:
        """By item: 0 head, 1 middle, 2 tail. The items from the most popular down are cut where a
        third and two thirds of the events are reached."""
        order = np.argsort(-self.events, kind="stable")
        before = np.cumsum(self.events[order]) - self.events[order]
        third = np.empty(len(order), np.int64)
        third[order] = np.minimum(3 * before // max(int(self.events.sum()), 1), 2)
        return third

    @cached_property
    def contents(self) -> Sets:
        """By item: the values of its columns that describe it. CallError where there are none."""
        frame = self._frame("content_diversity")
        key = frame.columns[0]  # Features.of puts the ids first
        found = [
            matrix
            for name in frame.columns
            if name != key and name not in TITLE_COLUMNS
            if (matrix := _multi_hot(frame[name])) is not None and _describes(matrix)
        ]
        if not found:
            raise _none_suits("content_diversity", "describes several items", frame)
        return Sets.of(sp.hstack(found, format="csr"))

    @cached_property
    def categories(self) -> sp.csr_array:
        """(I, C): how an item is shared out among its categories; rows sum to 1, or to 0 for an
        item without one. CallError where no column holds categories."""
        frame = self._frame("calibration")
        name = next((name for name in CATEGORY_COLUMNS if name in frame.columns), None)
        matrix = None if name is None else _multi_hot(frame[name])
        if matrix is None:
            raise _none_suits("calibration", f"is one of {', '.join(CATEGORY_COLUMNS)}", frame)
        each = np.maximum(np.diff(matrix.indptr), 1)
        return sp.csr_array(matrix.multiply(1 / each[:, None]))

    def tastes(self, users: Int64[np.ndarray, " B"]) -> Float64[np.ndarray, "B C"]:
        """How the histories of these users are shared out among categories; see shares_of."""
        return shares_of(self.pairs[users] @ self.categories)

    def _frame(self, metric: str) -> pl.DataFrame:
        if self.items is None:
            raise CallError(
                f"{metric} needs to know what the items are, and nothing is known of them.",
                "Give a file with one row per item with --items FILE, or leave the metric out.",
            )
        return self.items.frame


def shares_of(amounts: Any) -> Float64[np.ndarray, "B C"]:
    """Rows of a sparse matrix over their sums; rows of 0 stay 0."""
    table = amounts.toarray()
    total = table.sum(1, keepdims=True)
    return np.asarray(table / np.where(total > 0, total, 1), np.float64)


def _multi_hot(column: pl.Series) -> sp.csr_array | None:
    """(I, C) of 0 and 1: which values each row has; None for a column of numbers or times."""
    kind = column.dtype
    if isinstance(kind, pl.List):
        lists = column
    elif kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
        lists = column.cast(pl.String).str.split(BETWEEN)
    else:
        return None
    rows = pl.DataFrame({"row": pl.int_range(len(column), eager=True), "value": lists})
    rows = rows.explode("value").drop_nulls().filter(pl.col("value").cast(pl.String) != "")
    rows = rows.unique(maintain_order=True)
    number = rows["value"].rank("dense").to_numpy().astype(np.int64) - 1
    shape = (len(column), int(number.max(initial=-1)) + 1)
    return sp.csr_array((np.ones(len(rows)), (rows["row"].to_numpy(), number)), shape=shape)


def _describes(matrix: sp.csr_array) -> bool:
    """Whether values are shared; a column whose values are nearly all different only names."""
    return 0 < matrix.shape[1] <= matrix.nnz / SHARED


def _none_suits(metric: str, wanted: str, frame: pl.DataFrame) -> CallError:
    return CallError(
        f"{metric}: no column of the items {wanted}.",
        f"The columns are: {', '.join(frame.columns)}. Rename one, or leave the metric out.",
    )
