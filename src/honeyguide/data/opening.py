"""One door for every kind of input: a data set's name, a file, a frame, or ready-made parts.

The same fields serve Python, the command line and a run's TOML file.
"""

from pathlib import Path
from typing import Any, Literal

import polars as pl

from honeyguide.config import Config
from honeyguide.data.columns import Columns
from honeyguide.data.download import OnProgress
from honeyguide.data.protocol import Protocol
from honeyguide.data.read import read
from honeyguide.data.sets import SETS, DataSet, Kept, find, load
from honeyguide.data.table import Table
from honeyguide.errors import CallError, InputError

load_data = load  # under the name by which the package offers it


class Inputs(Config):
    """Where the data is and how it is to be cut; what is None follows the data."""

    columns: Columns = Columns()
    """Which column is which."""
    items: str | None = None
    """A file with one row per item: titles, categories, prices."""
    users: str | None = None
    """A file with one row per user."""
    train: str | None = None
    """A ready-made training part, in place of the data set."""
    valid: str | None = None
    """A ready-made validation part."""
    test: str | None = None
    """A ready-made test part."""
    split: (
        Literal["time", "leave-last-out", "random", "new-users", "new-items", "k-fold"] | None
    ) = None
    """How to split. By default a named set's own protocol; else by time where there are times,
    the last event of each user where there is only an order, a random tenth of each user else."""
    split_seed: int = 0
    """Seed of a split that draws."""
    folds: int | None = None
    """Parts of a k-fold split (5)."""
    fold: int | None = None
    """Which of them is test (0)."""
    k_core: int | None = None
    """Keep users and items with at least so many events, repeatedly."""
    min_rating: float | None = None
    """Leave ratings below this out."""
    allow_repeats: bool = False
    """Let a ready-made split without times hold the same pair on both sides."""
    download: bool = False
    """Fetch a named data set from its publisher where it is not on this machine."""


def open_data(
    source: Any, inputs: Inputs | None = None, *, on_progress: OnProgress | None = None
) -> DataSet:
    """The table and protocol of a source.

    The notes of the table say what was guessed in reading it, split_note how it would be split.
    """
    inputs = inputs or Inputs()
    if source is None:
        return _ready_made(inputs)
    if inputs.train or inputs.test or inputs.valid:
        raise CallError(
            "Both a data set and ready-made parts were given.",
            "Leave the data set out, or leave --train, --test and --valid out.",
        )
    if isinstance(source, str) and _is_name(source):
        found = load(source, download=inputs.download, on_progress=on_progress)
        return DataSet(found.name, found.table, _changed(found.protocol, inputs))
    named = None if inputs.columns == Columns() else inputs.columns
    table = read(source, columns=named, items=inputs.items, users=inputs.users)
    protocol, note = _protocol(table, inputs)
    name = Path(source).name if isinstance(source, str | Path) else "your table"
    return DataSet(name, table, protocol, note)


def _is_name(source: str) -> bool:
    """A data set's name, or something that looks like one and no file."""
    if source in SETS or source in {k.folder for k in SETS.values() if isinstance(k, Kept)}:
        return True
    if not Path(source).exists() and not Path(source).suffix and "/" not in source:
        find(source)  # raises UnknownName with the known ones
    return False


def _ready_made(inputs: Inputs) -> DataSet:
    if not (inputs.train and inputs.test):
        raise CallError(
            "No data was given.",
            "Give a data set's name or a file, or both --train FILE and --test FILE.",
        )
    if inputs.split is not None:
        raise CallError(
            "A ready-made split cannot be split again.", "Leave --split out, or --train and --test."
        )
    parts = {"train": inputs.train, "valid": inputs.valid, "test": inputs.test}
    frames, notes = [], []
    items = users = None
    for part, path in parts.items():
        if path is None:
            continue
        first = part == "train"
        table = read(
            path,
            columns=inputs.columns,
            items=inputs.items if first else None,
            users=inputs.users if first else None,
        )
        if first:
            items, users = table.items, table.users
        frames.append(table.events.with_columns(pl.lit(part).alias("part")))
        notes += [f"{part}: {note}" for note in table.notes]
    names = [set(frame.columns) for frame in frames]
    differing = sorted(set().union(*names) - names[0].intersection(*names))
    if differing:
        raise InputError(
            f"The parts do not have the same columns: {', '.join(differing)} not in all.",
            "Give the parts the same columns, or name them with --user, --item, --time and so on.",
        )
    events = pl.concat(
        [frame.select(frames[0].columns) for frame in frames], how="vertical_relaxed"
    )
    protocol = _changed(Protocol(split="ready-made"), inputs)
    return DataSet("ready-made", Table(events, items, users, tuple(notes)), protocol)


def _protocol(table: Table, inputs: Inputs) -> tuple[Protocol, str | None]:
    if inputs.split is not None:
        return _changed(Protocol(split=inputs.split), inputs), None
    if "part" in table.events.columns:
        return _changed(Protocol(split="ready-made"), inputs), None  # reading has noted it
    if "time" in table.events.columns:
        return _changed(Protocol(split="time"), inputs), "split by time: the last tenth is the test"
    if "order" in table.events.columns:
        note = "no times but an order: the last event of each user is the test"
        return _changed(Protocol(split="leave-last-out"), inputs), note
    note = "no times: a random tenth of each user's items is the test"
    return _changed(Protocol(split="random"), inputs), note


def _changed(protocol: Protocol, inputs: Inputs) -> Protocol:
    changes: dict[str, Any] = {"split_seed": inputs.split_seed}
    if inputs.k_core is not None:
        changes["k_core"] = inputs.k_core
    if inputs.min_rating is not None:
        changes["min_rating"] = inputs.min_rating
    if inputs.split is not None:
        changes["split"] = inputs.split
    for name in ("folds", "fold"):
        if (said := getattr(inputs, name)) is None:
            continue
        if changes.get("split", protocol.split) != "k-fold":
            raise CallError(
                f"--{name} was given, but the split is not k-fold.", "Say --split k-fold too."
            )
        changes[name] = said
    return protocol.but(**changes)
