"""What the reasons have in common: their weight, summed by the values of item columns.

Special: this describes the items that carry an answer. It says nothing about what the model read,
which for a model of ids is never a column.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from honeyguide.data.features import TITLE_COLUMNS

FEW = 100  # different values a column may have, else it names items rather than kinds of them
HEAD = 10_000  # rows in which they are counted, so that a large catalogue costs no more


@dataclass(frozen=True, slots=True)
class Carried:
    """How much of an answer is carried by items with one value of one column.

    share: of the weight; of_history: of the items weighed, so that 60 % of the weight is not taken
    for much where 60 % of the history is alike. shared: whether the explained item has it too.
    Shares of a column of lists may sum to more than 1, for an item counts for each of its values.
    """

    column: str
    value: Any
    share: float
    of_history: float
    shared: bool


def carried(
    frame: pl.DataFrame,
    items: Int64[np.ndarray, " L"],
    weights: Float64[np.ndarray, " L"],
    target: int,
    most: int,
) -> list[Carried]:
    """The values that carry most, largest share first, at most so many of each column.

    frame: what is known of the items, one row per number. weights: none negative.
    """
    total = float(weights.sum())
    if total <= 0:
        return []
    told = []
    for name in filter(lambda name: _sorts(frame[name].head(HEAD)), frame.columns):
        shared = set(_each(frame[name].gather([target]).alias("value").to_frame())["value"])
        one = pl.DataFrame({"share": weights / total, "of_history": 1 / len(items)})
        by_value = (
            _each(one.with_columns(frame[name].gather(items).alias("value")))
            .group_by("value")
            .sum()
            .sort(["share", "value"], descending=[True, False])
            .head(most)
        )
        told += [
            Carried(name, value, share, of_history, value in shared)
            for value, share, of_history in by_value.filter(pl.col("share") > 0).iter_rows()
        ]
    return sorted(told, key=lambda one: -one.share)


def _each(rows: pl.DataFrame) -> pl.DataFrame:
    """A row for each value of a list, once; rows without a value are left out."""
    if isinstance(rows.schema["value"], pl.List):
        rows = rows.with_columns(pl.col("value").list.unique()).explode("value")
    if rows.schema["value"] != pl.Boolean:
        rows = rows.with_columns(pl.col("value").cast(pl.String))
    return rows.drop_nulls("value")


def _sorts(column: pl.Series) -> bool:
    """Whether a column sorts items into kinds: text or yes and no, alone or in lists, with at most
    FEW different values, each of them at two items on average."""
    if column.name in (*TITLE_COLUMNS, "item_id"):
        return False
    inner = column.dtype.inner if isinstance(column.dtype, pl.List) else column.dtype
    if inner not in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
        return False
    values = _each(column.alias("value").to_frame())["value"]
    different = values.n_unique()
    return 0 < different <= FEW and 2 * different <= len(values)
