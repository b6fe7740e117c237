"""From a source to its parts: the table prepared and cut by the protocol, leaks refused."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.leaks import refuse_target_in_features
from honeyguide.data.opening import Inputs, open_data
from honeyguide.data.sets import DataSet
from honeyguide.data.split import Split, prepare, split


def open_log(data: Any, inputs: Inputs) -> DataSet:
    """The data after minimum rating and k-core, with a note of every guess."""
    opened = open_data(data, inputs)
    guess = () if opened.split_note is None else (opened.split_note,)
    table = replace(opened.table, notes=(*opened.table.notes, *guess))
    return replace(opened, table=prepare(table, opened.protocol))


def cut(opened: DataSet, inputs: Inputs) -> Split:
    """Its parts. Raises LeakError, also for a column of items or users that names the answer."""
    table = opened.table
    parts = split(Interactions.of(table), opened.protocol, allow_repeats=inputs.allow_repeats)
    truth = parts.test.truth
    refuse_target_in_features(
        truth,
        items=None if table.items is None else Features.of(truth.items, table.items, "item_id"),
        users=None if table.users is None else Features.of(truth.users, table.users, "user_id"),
    )
    return parts


def open_split(data: Any, inputs: Inputs) -> tuple[DataSet, Split]:
    """The data and its parts, by the protocol of the set or of the inputs. Raises LeakError."""
    opened = open_log(data, inputs)
    return opened, cut(opened, inputs)


def every_cut(opened: DataSet, inputs: Inputs) -> Iterator[tuple[int | None, Split]]:
    """Number and parts of each fold, one after another; of other splits the only parts, numbered
    None. A fold that was named is the only one."""
    if opened.protocol.split != "k-fold" or inputs.fold is not None:
        yield None, cut(opened, inputs)
        return
    for fold in range(opened.protocol.folds):
        protocol = opened.protocol.but(fold=fold)
        yield fold, cut(replace(opened, protocol=protocol), inputs)
