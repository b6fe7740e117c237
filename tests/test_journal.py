"""One JSON line per epoch, whatever happened to the file meanwhile."""

import errno
import json
import math
import os

import pytest

from honeyguide.errors import TrainingError
from honeyguide.train.journal import Journal

LINES = [
    {"epoch": number, "loss": 1 / (number + 3), "valid": {"ndcg@10": 0.1}} for number in (0, 1, 2)
]


@pytest.fixture
def path(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.start()
    for line in LINES:
        journal.add(line)
    return journal.path


def written(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_json_and_on_disk_when_added(path):
    assert written(path) == LINES
    assert path.read_text().endswith("}\n")


def test_starting_anew_clears_the_file(path):
    journal = Journal(path)
    journal.start()
    assert (path.read_text(), journal.lines) == ("", [])


def test_lines_ahead_of_the_checkpoint_are_cut_and_written_anew(path):
    journal = Journal(path)
    journal.resume(2)
    assert journal.lines == LINES[:2] == written(path)
    journal.add(LINES[2])
    assert journal.lines == LINES == written(path)


@pytest.mark.parametrize("torn", [b'{"epoch": 3, "lo', b'{"epoch": 3}', b'{"title": "\xc3', b"\n"])
def test_a_line_torn_by_a_kill_is_cut(path, torn):
    with path.open("ab") as file:
        file.write(torn)
    journal = Journal(path)
    journal.resume(3)
    assert journal.lines == LINES == written(path)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        '{"epoch": 0}\n',
        '{"epoch": 0}\n{"epoch": 0}\n',
        '{"epoch": 1}\n{"epoch": 0}\n',
        '{"epoch": 0}\n[1]\n',
        '{"epoch": 0}\n{"loss": 1}\n',
        '{"epoch": 0}\n{"epoch": 1',
    ],
)
def test_a_journal_behind_its_checkpoint_is_refused_and_left_alone(tmp_path, text):
    path = tmp_path / "journal.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TrainingError, match="does not hold the 2 epochs") as caught:
        Journal(path).resume(2)
    assert "from the start" in caught.value.do
    assert (path.read_text() if path.exists() else None) == text


def test_nothing_to_keep_needs_no_file(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.resume(0)
    assert (journal.lines, path.read_text()) == ([], "")


def test_without_a_path_lines_are_kept_in_memory():
    journal = Journal(None)
    journal.start()
    journal.add(LINES[0])
    assert journal.lines == LINES[:1]


def test_what_json_does_not_know_is_never_written(path):
    journal = Journal(path)
    journal.resume(3)
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.add({"epoch": 3, "loss": math.nan})
    assert written(path) == LINES == journal.lines


def test_a_disk_that_refuses_is_said_in_our_words(path, monkeypatch):
    journal = Journal(path)
    journal.resume(3)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        TrainingError, match=r"journal\.jsonl cannot be written: No space"
    ) as caught:
        journal.add({"epoch": 3})
    assert "resume" in caught.value.do
    assert journal.lines == LINES
    with pytest.raises(TrainingError, match="No space"):
        journal.start()
    monkeypatch.undo()
    journal.resume(3)
    assert written(path) == LINES
