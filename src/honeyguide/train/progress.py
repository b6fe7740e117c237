"""What a run shows on a terminal: a bar with loss, metric, throughput and time left."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

PAUSE = 0.1  # seconds between two changes of the bar: no eye follows more


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run stands: `done` of `total` steps, if no early stop ends it sooner.

    epoch: counted from 0. loss: mean of the epoch so far. metric, value: the last validation;
    value None before the first and without validation.
    """

    epoch: int
    epochs: int
    done: int
    total: int
    loss: float
    metric: str
    value: float | None
    targets_per_second: float


@runtime_checkable
class Reporter(Protocol):
    """Told where the run stands; a test or a notebook may bring its own."""

    def step(self, at: Moment) -> None:
        """After every step on the CPU, every 100 on a GPU. Must return quickly."""
        ...


class Quiet:
    """Shows nothing."""

    def step(self, at: Moment) -> None:
        """Nothing."""


class Bar(AbstractContextManager["Bar"]):
    """A rich progress bar; silent where the console is no terminal. One run each."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._shown = console.is_terminal
        self._next = float("-inf")
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}", markup=False),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            expand=True,
            disable=not self._shown,
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

    def step(self, at: Moment) -> None:
        """Move the bar, unless it was just moved."""
        if not self._shown:
            return
        now = monotonic()
        if now < self._next and at.done < at.total:
            return
        self._next = now + PAUSE
        self._bar.update(self._task, completed=at.done, total=at.total, text=_text(at))


def _text(at: Moment) -> str:
    metric = "" if at.value is None else f" {at.metric} {at.value:.4f}"
    speed = f"{at.targets_per_second:,.0f} targets/s"
    return f"epoch {at.epoch + 1} of {at.epochs} loss {at.loss:.4f}{metric} {speed}"
