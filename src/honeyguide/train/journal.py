"""One JSON line per epoch, appended and synced, so that a run can be read while it runs.

A line is on disk before the checkpoint that counts its epoch, so a journal is never behind its
checkpoint; what it is ahead by is cut off when the run goes on, and written anew.
"""

import json
import os
from pathlib import Path
from typing import Any

from honeyguide.errors import TrainingError
from honeyguide.files import write_file
from honeyguide.train.disk import writing


class Journal:
    """The lines of a run; `path` None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []

    def start(self) -> None:
        """Begin with no line. Raises TrainingError where the disk refuses."""
        self._rewrite([])

    def resume(self, epochs: int) -> None:
        """Keep the lines of the first `epochs` epochs; later ones will be written anew.

        Raises TrainingError if one of them is not there, or the disk refuses.
        """
        if self.path is None:
            assert epochs == 0
            return
        try:
            # a line cut by a kill may end within a character
            text = self.path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            text = ""
        kept = text.splitlines()[:epochs]
        try:
            lines = [json.loads(line) for line in kept]
            whole = [line["epoch"] for line in lines] == list(range(epochs))
        except (ValueError, TypeError, KeyError):
            lines, whole = [], False
        if not whole:
            raise TrainingError(
                f"{self.path} does not hold the {epochs} epochs that the checkpoint counts.",
                "Put the journal back, or train from the start without resume.",
            )
        self._rewrite(kept)
        self.lines = lines

    def add(self, line: dict[str, Any]) -> None:
        """Append one line; it is on disk when this returns. Raises TrainingError if not."""
        text = json.dumps(line, allow_nan=False) + "\n"
        if self.path is not None:
            with writing(self.path), self.path.open("a") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        self.lines.append(line)

    def _rewrite(self, kept: list[str]) -> None:
        if self.path is not None:
            with writing(self.path):
                write_file(self.path, "".join(line + "\n" for line in kept).encode())
        self.lines = []
