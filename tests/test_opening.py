"""One door for a data set's name, a file, a frame, a Table and ready-made parts."""

from typing import Any

import polars as pl
import pytest

from honeyguide.data.columns import Columns
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs, load_data, open_data
from honeyguide.data.split import split
from honeyguide.data.table import Table
from honeyguide.errors import CallError, InputError, UnknownName
from tables import refused

PAIRS = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [5, 6, 5, 7]})
TIMED = PAIRS.with_columns(time=pl.Series([1.0, 2.0, 3.0, 4.0]))


def parts(folder, **frames):
    for name, frame in frames.items():
        frame.write_csv(folder / f"{name}.csv")
    files: dict[str, Any] = {name: str(folder / f"{name}.csv") for name in frames}
    return Inputs(**files)


@pytest.mark.parametrize(
    ("frame", "how", "said"),
    [
        (TIMED, "time", "split by time"),
        (PAIRS.with_columns(order=pl.Series([4, 3, 2, 1])), "leave-last-out", "an order"),
        (PAIRS, "random", "a random tenth"),
    ],
)
def test_the_split_follows_the_data_and_is_said(frame, how, said):
    opened = open_data(frame)
    assert opened.protocol.split == how
    assert opened.name == "your table"
    assert opened.split_note is not None
    assert said in opened.split_note
    assert not any(said in note for note in opened.table.notes)


def test_what_is_asked_for_wins():
    opened = open_data(TIMED, Inputs(split="random", split_seed=7, k_core=2, min_rating=3))
    protocol = opened.protocol
    assert (protocol.split, protocol.split_seed, protocol.k_core) == ("random", 7, 2)
    assert protocol.min_rating == 3


def test_a_name_brings_its_own_protocol():
    opened = open_data("simulated-shop", Inputs(k_core=3))
    assert (opened.name, opened.protocol.split, opened.protocol.k_core) == (
        "simulated-shop",
        "time",
        3,
    )
    assert opened.table.events.equals(load_data("simulated-shop").table.events)
    assert open_data("simulated-shop", Inputs(split="random")).protocol.split == "random"


def test_a_file_is_called_by_its_name_and_read_with_its_columns(tmp_path):
    PAIRS.rename({"user_id": "who", "item_id": "what"}).write_csv(tmp_path / "log.csv")
    inputs = Inputs(columns=Columns(user="who", item="what"))
    opened = open_data(str(tmp_path / "log.csv"), inputs)
    assert opened.name == "log.csv"
    assert opened.table.events["item_id"].to_list() == [5, 6, 5, 7]


def test_a_table_is_taken_as_it_is():
    table = Table(PAIRS)
    assert open_data(table).table.events is PAIRS
    refused(CallError, lambda: open_data(table, Inputs(columns=Columns(user="a"))), "Table")


def test_a_column_of_parts_is_a_ready_made_split():
    frame = TIMED.with_columns(part=pl.Series(["train", "test", "train", "test"]))
    opened = open_data(frame)
    assert opened.protocol.split == "ready-made"
    cut = split(Interactions.of(opened.table), opened.protocol)
    assert (len(cut.train), len(cut.test.users)) == (2, 2)


def test_parts_from_files(tmp_path):
    items = tmp_path / "items.csv"
    pl.DataFrame({"item_id": [5, 6, 7], "title": ["a", "b", "c"]}).write_csv(items)
    inputs = parts(tmp_path, train=PAIRS, test=pl.DataFrame({"user_id": [1, 2], "item_id": [7, 6]}))
    opened = open_data(None, inputs.but(items=str(items)))
    assert opened.name == "ready-made"
    assert opened.table.events["part"].to_list() == ["train"] * 4 + ["test"] * 2
    assert opened.table.items is not None
    assert opened.table.notes[0].startswith("train: ")
    cut = split(Interactions.of(opened.table), opened.protocol)
    assert cut.valid is None
    assert len(cut.test.truth) == 2


def test_parts_of_other_columns(tmp_path):
    inputs = parts(tmp_path, train=TIMED, test=PAIRS)
    refused(InputError, lambda: open_data(None, inputs), "the same columns: time")


@pytest.mark.parametrize(
    ("source", "changes", "said"),
    [
        (None, {}, "No data was given"),
        (None, {"train": "a.csv"}, "No data was given"),
        (None, {"train": "a", "test": "b", "split": "time"}, "cannot be split again"),
        (PAIRS, {"train": "a.csv"}, "Both a data set and ready-made parts"),
    ],
)
def test_calls_that_make_no_sense(source, changes, said):
    refused(CallError, lambda: open_data(source, Inputs(**changes)), said)


def test_names_nobody_knows():
    refused(UnknownName, lambda: open_data("movielens-1"), "Did you mean 'movielens-1m'?")
    refused(InputError, lambda: open_data("no/such/file.csv"), "file.csv")
