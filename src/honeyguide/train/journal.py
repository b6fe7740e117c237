"""One JSON line per epoch, appended and synced, so that a run can be read while it runs."""

import json
import os
from pathlib import Path
from typing import Any

from honeyguide.files import write_file


class Journal:
    """The lines of a run; `path` None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []

    def resume(self, epochs: int) -> None:
        """Keep the lines of the first `epochs` epochs; later ones will be written anew."""
        if self.path is None:
            return
        text = self.path.read_text() if self.path.exists() else ""
        kept = text.splitlines()[:epochs]
        self.lines = [json.loads(line) for line in kept]
        write_file(self.path, "".join(line + "\n" for line in kept).encode())

    def add(self, line: dict[str, Any]) -> None:
        """Append one line; it is on disk when this returns."""
        self.lines.append(line)
        if self.path is None:
            return
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
