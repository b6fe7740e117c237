"""A table to read, and what every test of reading asks of a refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from honeyguide.data.read import read
from honeyguide.data.table import Table
from honeyguide.errors import (
    HoneyguideError,
)

NOW = 1_700_000_000.0
FRAME = pl.DataFrame(
    {
        "user_id": [3, 1, 3, 2],
        "item_id": ["007", "b c", " d", "b c"],
        "kind": ["view", "purchase", "rating", "view"],
        "value": [None, None, 4.5, None],
        "time": [1.6e9 + 0.25, 1.6e9, 1.5e9, 1.55e9],
        "session_id": ["s", None, "t", "t"],
        "position": [1, None, 3, 2],
        "propensity": [0.5, 0.25, None, 1.0],
    }
)


def read_now(source: Any, **rest: Any) -> Table:
    return read(source, now=NOW, **rest)


def written(folder: Path, text: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def some_events(**changes: list[Any] | pl.Series) -> pl.DataFrame:
    plain: dict[str, Any] = {"user_id": [1, 2, 3], "item_id": [5, 6, 7], "time": [1.0, 2.0, 3.0]}
    return pl.DataFrame({**plain, **changes}, strict=False)


def refused(kind: type[HoneyguideError], call: Callable[[], object], *said: str) -> None:
    """The call is refused with an error of this very kind, in two lines that say all of `said`."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    assert all(line.strip() for line in lines)
    for words in said:
        assert words in str(caught.value)
