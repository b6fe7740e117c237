"""A small log of films to type commands at, and how a test types them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from honeyguide.cli.main import main

USERS, ITEMS, EACH = 40, 20, 9
START = 1_600_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


def typed(capsys: pytest.CaptureFixture[str], *words: object) -> Said:
    """Run `honeyguide WORDS` in this process."""
    capsys.readouterr()
    status = main([str(word) for word in words])
    told = capsys.readouterr()
    return Said(status, told.out, told.err)


def refused(said: Said, status: int, *parts: str) -> None:
    """The command failed with two lines on stderr that say all of `parts`, and no traceback."""
    assert said.status == status, said
    lines = said.err.splitlines()
    assert len(lines) == 2, said.err
    assert all(line.strip() for line in lines)
    for part in parts:
        assert part in said.err


def log() -> pl.DataFrame:
    """A checkerboard: even users watch even films, odd users odd ones, in a seeded order."""
    rng = np.random.default_rng(0)
    rows = [
        {"user_id": 100 + user, "item_id": 2 * int(half) + user % 2 + 1}
        for user in range(USERS)
        for half in rng.permutation(ITEMS // 2)[:EACH]
    ]
    times = START + 60 * rng.permutation(len(rows))
    return pl.DataFrame(rows).with_columns(pl.Series("time", times))


def films() -> pl.DataFrame:
    """A title for each film."""
    ids = list(range(1, ITEMS + 1))
    return pl.DataFrame({"item_id": ids, "title": [f"Film {i}" for i in ids]})


def write(folder: Path, **tables: pl.DataFrame) -> dict[str, Path]:
    """Tables as CSV files."""
    paths = {name: folder / f"{name}.csv" for name in tables}
    for name, table in tables.items():
        table.write_csv(paths[name])
    return paths


def as_text(frame: pl.DataFrame, **prefixes: str) -> pl.DataFrame:
    """The same with text in front of the ids of some columns."""
    changes: list[Any] = [
        pl.concat_str(pl.lit(p), name).alias(name) for name, p in prefixes.items()
    ]
    return frame.with_columns(changes)
