"""Names to numbers and back, the door between a caller's ids and ours.

Growing never moves an old number. Users count from 0 and -1 is a user nobody knows; items count
from 1, 0 is padding (PAD) and also what an unknown item name becomes.

Names are whole numbers or text. A name asked for in the other type is understood where nothing
can be confused: "12" and 12.0 find the integer 12, and 12 finds the text "12"; 12.5, True, "012"
and null find no integer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int64

from honeyguide.errors import InputError

Names = pl.Series | Sequence[Any] | np.ndarray

PAD = 0
UNKNOWN_USER = -1
_BULK = 4096  # from here on a join beats a dictionary (measured: about even at 3,000 names)
_WHOLE = r"^(0|-?[1-9][0-9]*)$"


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
        """The distinct names, sorted, counted from 0. InputError for nulls and foreign types."""
        return Vocab(_usable(names).unique().sort(), 0)

    @staticmethod
    def of_items(names: Names) -> "Vocab":
        """The distinct names, sorted, counted from 1 (0 is PAD). InputError as for users."""
        return Vocab(_usable(names).unique().sort(), PAD + 1)

    def __len__(self) -> int:
        """How many numbers there are to index with: PAD is counted for items."""
        return len(self.names) + self.first

    @cached_property
    def _numbers(self) -> dict[Any, int]:
        return {name: i for i, name in enumerate(self.names.to_list(), start=self.first)}

    def __contains__(self, name: object) -> bool:
        return self._as_name(name) in self._numbers

    def numbers(self, names: Names) -> Int64[np.ndarray, " N"]:
        """The number of each name; an unknown one gives PAD (items) or -1 (users)."""
        series = None
        if isinstance(names, pl.Series) or len(names) >= _BULK:
            series = _series(names)
        if series is None:  # few names, or of several types
            own = {str if self.names.dtype == pl.String else int}
            if set(map(type, names)) != own:
                names = [self._as_name(name) for name in names]
            found = map(self._numbers.get, names, repeat(self.unknown))
            return np.fromiter(found, np.int64, len(names))
        table = pl.DataFrame(
            {"name": self.names, "number": np.arange(self.first, len(self), dtype=np.int64)}
        )
        asked = self._as_names(series).to_frame("name")
        joined = asked.join(table, on="name", how="left", maintain_order="left")
        return joined["number"].fill_null(self.unknown).to_numpy().copy()

    def of(self, numbers: np.ndarray) -> pl.Series:
        """The name of each number; PAD and unknown numbers give null."""
        index = np.asarray(numbers, dtype=np.int64) - self.first
        valid = (index >= 0) & (index < len(self.names))
        if valid.all():
            return self.names[index]  # .gather starts a lazy query, 150 us
        return self.names.gather(pl.Series(index).set(pl.Series(~valid), None))

    def grow(self, names: Names) -> "Vocab":
        """This vocabulary with the new ones among `names` added at the end, in their order.

        InputError for null names and for text where the names are numbers.
        """
        if len(names) == 0:
            return self
        fresh = _usable(names)
        asked = self._as_names(fresh)
        if asked.null_count():
            raise InputError(
                f"{fresh.filter(asked.is_null())[0]!r} cannot join names that are whole numbers.",
                "Give new names of the type that the old ones have.",
            )
        asked = asked.unique(maintain_order=True)
        asked = asked.filter(~asked.is_in(self.names.implode()))
        return Vocab(pl.concat([self.names, asked.alias(self.names.name)]), self.first)

    def reorder(self, numbers: Int64[np.ndarray, " N"]) -> "Vocab":
        """The same names, so that the name now numbered `numbers[i]` becomes number first + i."""
        return Vocab(self.names.gather(numbers - self.first), self.first)

    def _as_name(self, name: Any) -> Any:
        """A name typed on a command line or sent as JSON, in the type that the names have."""
        if name is None or isinstance(name, bool | np.bool_):
            return None
        if self.names.dtype == pl.String:
            return name if isinstance(name, str) else str(name)
        if isinstance(name, str):
            plain = name.removeprefix("-")
            whole = plain.isascii() and plain.isdigit()
            return int(name) if whole and str(int(name)) == name else None
        return name  # 12.0 and 12 are one key of a dictionary

    def _as_names(self, series: pl.Series) -> pl.Series:
        """The same for a column."""
        if series.dtype == self.names.dtype:
            return series
        if series.dtype in (pl.Boolean, pl.Null):
            return pl.repeat(None, len(series), dtype=self.names.dtype, eager=True)
        if self.names.dtype == pl.String:
            return series.cast(pl.String)
        if series.dtype == pl.String:
            series = series.set(~series.str.contains(_WHOLE), None)
        elif series.dtype.is_float():
            series = series.set(series != series.floor(), None)
        return series.cast(self.names.dtype, strict=False)


def _series(names: Names) -> pl.Series | None:
    """The names as a column, or None where they are of several types."""
    try:
        return names if isinstance(names, pl.Series) else pl.Series(names)
    except (TypeError, pl.exceptions.PolarsError):
        return None


def _usable(names: Names) -> pl.Series:
    """The names as Int64 or String."""
    series = _series(names)
    if series is None:
        raise InputError("Names of several types were given.", "Use whole numbers or text.")
    if series.null_count():
        raise InputError(
            f"{series.null_count()} of {len(series)} names are null.",
            "Drop these rows or give them a name.",
        )
    if len(series) == 0 and series.dtype == pl.Null:
        return series.cast(pl.String)
    if not (series.dtype == pl.String or series.dtype.is_integer()):
        raise InputError(
            f"Names of type {series.dtype} cannot be used.", "Use whole numbers or text."
        )
    return series if series.dtype == pl.String else series.cast(pl.Int64)
