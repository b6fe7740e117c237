"""What a run shows on a terminal: a bar with loss, metric, throughput and time left."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter(Protocol):
    """Told what happens; a test or a notebook may bring its own."""

    def step(self, done: int, total: int, text: str) -> None:
        """`done` of `total` steps of the run; `text` says loss, metric and throughput."""
        ...


class Quiet:
    """Shows nothing."""

    def step(self, done: int, total: int, text: str) -> None:
        """Nothing."""


class Bar(AbstractContextManager["Bar"]):
    """A rich progress bar; silent where the console is no terminal."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None, text="")

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, done: int, total: int, text: str) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, total=total, text=text)
