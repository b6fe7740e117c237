"""The trials of a search, one synced JSON line each, so that a search that was killed goes on.

The first line says what was searched for; a line that a kill cut short is dropped, for its trial
had not been counted. Nothing of the search library is stored: its state is made anew from this.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from honeyguide.errors import CallError, TrainingError
from honeyguide.files import write_file
from honeyguide.train.checkpoint import differences
from honeyguide.train.disk import writing

FORMAT = 1
FILE = "trials.jsonl"

State = Literal["done", "stopped", "cut", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One training with some settings.

    number: counted from 0 by model; 0 is the default. settings: of the fields that are searched.
    state: done; stopped, because its curve stayed behind earlier ones; cut, because the time was
    up; failed, for the reason. value: the best on validation, of the epochs that were trained.
    curve: of models with epochs, each one's number, loss, validation and seconds.
    """

    model: str
    number: int
    settings: dict[str, Any]
    state: State
    value: float | None
    seconds: float
    best_epoch: int | None = None
    curve: tuple[dict[str, Any], ...] = ()
    reason: str | None = None

    def bests(self, metric: str) -> list[float]:
        """After each epoch: the best validation so far."""
        best, told = float("-inf"), []
        for line in self.curve:
            best = max(best, line["valid"][metric])
            told.append(best)
        return told


class TrialLog:
    """The trials of one search; `path` None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.trials: list[Trial] = []

    def open(self, about: dict[str, Any], *, resume: bool) -> None:
        """Begin, or go on after the trials that are there.

        Raises CallError where there are some and `resume` does not say to go on, TrainingError
        where they cannot be read or are of another search.
        """
        if self.path is None:
            return
        if not self.path.exists():
            header = json.dumps({"format": FORMAT, "about": about}) + "\n"
            with writing(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_file(self.path, header.encode())
            return
        if not resume:
            raise CallError(
                f"{self.path} holds the trials of an earlier search.",
                "Go on with it (--resume), or name another folder with --out.",
            )
        whole, text = self._read()
        self._check(json.loads(whole[0]), about)
        self.trials = [_trial(json.loads(line)) for line in whole[1:]]
        kept = "".join(line + "\n" for line in whole)
        if kept != text:
            with writing(self.path):
                write_file(self.path, kept.encode())

    def add(self, trial: Trial) -> None:
        """Append a trial; it is on disk when this returns. Raises TrainingError if not."""
        if self.path is not None:
            text = json.dumps(asdict(trial), allow_nan=False) + "\n"
            with writing(self.path), self.path.open("a") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        self.trials.append(trial)

    def of(self, model: str) -> list[Trial]:
        """The trials of a model, in order."""
        return [trial for trial in self.trials if trial.model == model]

    def _read(self) -> tuple[list[str], str]:
        """The whole lines, and the text as it lies there."""
        assert self.path is not None
        try:
            # a line cut by a kill may end within a character
            text = self.path.read_bytes().decode(errors="replace")
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from None
        lines = text.splitlines()
        if lines and not text.endswith("\n"):
            lines.pop()
        try:
            parsed = [json.loads(line) for line in lines]
            known = set(Trial.__slots__)
            fits = bool(parsed) and "format" in parsed[0]
            fits = fits and all(set(line) == known for line in parsed[1:])
        except (ValueError, TypeError):
            fits = False
        if not fits:
            raise self._unreadable("it holds something else than trials")
        return lines, text

    def _check(self, header: dict[str, Any], about: dict[str, Any]) -> None:
        if header["format"] != FORMAT:
            raise TrainingError(
                f"{self.path} is of format {header['format']}; this version reads {FORMAT}.",
                "Go on with the version that wrote it, or search anew in another folder.",
            )
        # through JSON, as the other was: tuples are lists there
        changed = differences(header["about"], json.loads(json.dumps(about)))
        if changed:
            raise TrainingError(
                f"{self.path} belongs to another search: {'; '.join(changed)}.",
                "Give the same data, models and settings, or another folder.",
            )

    def _unreadable(self, why: str) -> TrainingError:
        return TrainingError(
            f"{self.path} cannot be read: {why}.",
            "Put the file back, or search anew in another folder.",
        )


def _trial(line: dict[str, Any]) -> Trial:
    return Trial(**{**line, "curve": tuple(line["curve"])})
