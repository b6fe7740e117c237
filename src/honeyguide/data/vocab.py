"""Names to numbers and back, the door between a caller's ids and ours.

Growing never moves an old number. Users count from 0 and -1 is a user nobody knows; items count
from 1, 0 is padding (PAD) and also what an unknown item name becomes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int64

from honeyguide.errors import InputError

Names = pl.Series | Sequence[Any] | np.ndarray

PAD = 0
UNKNOWN_USER = -1
_BULK = 4096  # from here on a join beats a dictionary (measured: about even at 3,000 names)


@dataclass(frozen=True, eq=False)
class Vocab:
    """Distinct names in the order of their numbers; the first has the number `first`."""

    names: pl.Series
    first: int
    unknown: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unknown", PAD if self.first == PAD + 1 else UNKNOWN_USER)

    @staticmethod
    def of_users(names: Names) -> "Vocab":
        """The distinct names, sorted, counted from 0."""
        return Vocab(_sorted_unique(names), 0)

    @staticmethod
    def of_items(names: Names) -> "Vocab":
        """The distinct names, sorted, counted from 1 (0 is PAD)."""
        return Vocab(_sorted_unique(names), PAD + 1)

    def __len__(self) -> int:
        """How many numbers there are to index with: PAD is counted for items."""
        return len(self.names) + self.first

    @cached_property
    def _numbers(self) -> dict[Any, int]:
        return {name: i for i, name in enumerate(self.names.to_list(), start=self.first)}

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def numbers(self, names: Names) -> Int64[np.ndarray, " N"]:
        """The number of each name; an unknown one gives PAD (items) or -1 (users)."""
        given = names if isinstance(names, pl.Series) else None
        if given is None and len(names) < _BULK:
            known, cast = self._numbers, self._cast
            return np.fromiter(
                (known.get(cast(name), self.unknown) for name in names), np.int64, len(names)
            )
        series = given if given is not None else pl.Series(names)
        if series.dtype != self.names.dtype:
            series = series.cast(self.names.dtype, strict=False)
        table = pl.DataFrame(
            {"name": self.names, "number": np.arange(self.first, len(self), dtype=np.int64)}
        )
        joined = series.to_frame("name").join(table, on="name", how="left", maintain_order="left")
        return joined["number"].fill_null(self.unknown).to_numpy().copy()

    def of(self, numbers: np.ndarray) -> pl.Series:
        """The name of each number; PAD and unknown numbers give null."""
        index = np.asarray(numbers, dtype=np.int64) - self.first
        valid = (index >= 0) & (index < len(self.names))
        picked = self.names.gather(np.where(valid, index, 0)) if len(self.names) else self.names
        if valid.all():
            return picked
        return pl.select(pl.when(pl.Series(valid)).then(picked).otherwise(None)).to_series()

    def grow(self, names: Names) -> "Vocab":
        """This vocabulary with the new ones among `names` added at the end."""
        fresh = pl.Series(names).cast(self.names.dtype).unique(maintain_order=True)
        fresh = fresh.filter(~fresh.is_in(self.names.implode()))
        return Vocab(pl.concat([self.names, fresh.alias(self.names.name)]), self.first)

    def reorder(self, numbers: Int64[np.ndarray, " N"]) -> "Vocab":
        """The same names, so that the name now numbered `numbers[i]` becomes number first + i."""
        return Vocab(self.names.gather(numbers - self.first), self.first)

    def _cast(self, name: Any) -> Any:
        """A name typed on a command line or sent as JSON, in the type that the table had."""
        if self.names.dtype == pl.String:
            return name if isinstance(name, str) else str(name)
        if isinstance(name, str):
            return int(name) if name.lstrip("-").isdigit() else None
        return name


def _sorted_unique(names: Names) -> pl.Series:
    series = names if isinstance(names, pl.Series) else pl.Series(list(names))
    if series.null_count():
        raise InputError(
            f"{series.null_count()} of {len(series)} names are null.",
            "Drop these rows or give them a name.",
        )
    if not (series.dtype == pl.String or series.dtype.is_integer()):
        raise InputError(
            f"Names of type {series.dtype} cannot be used.", "Use whole numbers or text."
        )
    wanted = pl.String if series.dtype == pl.String else pl.Int64
    return series.cast(wanted).unique().sort()
