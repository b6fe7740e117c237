"""How results look on a terminal and in a pipe: aligned, and in a pipe without colour or bars."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid
from rich.text import Text

from honeyguide.data.opening import Inputs
from honeyguide.data.sets import SETS, Kept, load, located
from honeyguide.evaluate.flags import FLAGS
from honeyguide.evaluate.statistics import Difference, Summary, summary
from honeyguide.experiment import Comparison
from honeyguide.experiment.measuring import Result
from honeyguide.experiment.results import of_the_best
from honeyguide.models.spec import Spec
from honeyguide.recommender import Recommender
from honeyguide.recommender import load as load_bundle
from honeyguide.train.progress import Bar, Reporter

WIDE = 240  # of a line in a pipe, where nothing wraps


def out() -> Console:
    """Where results go."""
    piped = None if sys.stdout.isatty() else WIDE
    return Console(highlight=False, markup=False, emoji=False, width=piped)


def err() -> Console:
    """Where progress and remarks go."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(*lines: str) -> None:
    """Lines of results, never wrapped."""
    for line in lines:
        out().print(line, soft_wrap=True)


def notes(said: Iterable[str]) -> None:
    """What was guessed or left out."""
    for note in said:
        say(f"  note: {note}")


def grid(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    """Rows under headers; the first `left` columns are text, the others numbers."""
    table = Grid(box=None, pad_edge=False, header_style="bold")
    for place, header in enumerate(headers):
        table.add_column(header, justify="left" if place < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out().print(table)


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values, one below the other."""
    listed = list(rows)
    width = max(len(name) for name, _ in listed)
    say(*(f"{name:<{width}}  {value}" for name, value in listed))


def number(value: float) -> str:
    """A number as people read it: 12,345 or 0.1234."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def metric(value: Summary) -> str:
    """A mean with half of its 95 % interval."""
    if value.low is None or value.high is None:
        return f"{value.mean:.4f}"
    return f"{value.mean:.4f} ±{(value.high - value.low) / 2:.4f}"


def score(value: float | None) -> str:
    """A score; an unknown item has none."""
    return "unknown" if value is None else f"{value:.4f}"


def comparison(told: Comparison) -> None:
    """Data, a table of models and metrics, who was skipped, the verdict."""
    about = told.about
    say(
        f"{about['name']}: {about['train_events']:,} training events of {about['users']:,} users "
        f"and {about['items']:,} items; {about['test_users']:,} users asked "
        f"(split: {about['protocol']['split']})"
    )
    notes(about["notes"])
    measured = [r for r in told.results if r.evaluation]
    if measured:
        say("")
        names = list(told.run.metrics)
        models = dict.fromkeys(r.model for r in measured)
        rows = [_row([r for r in measured if r.model == model], names) for model in models]
        grid(["model", *names, "fit s", "evaluate s", "memory MB"], rows)
        say("± is half a 95 % interval over users")
        _tests(told.differences)
    for result in told.results:
        notes(_odd(result))
        if result.skipped:
            say(f"skipped: {result.model} (seed {result.seed}): {result.skipped}")
    say("", told.verdict)


def _tests(differences: Sequence[Difference]) -> None:
    """The best model against each other one."""
    if not differences:
        return
    best = differences[0].a
    rows = [
        [
            f"{best} over {d.b}",
            f"{d.mean:+.4f}",
            f"{d.low:+.4f} to {d.high:+.4f}",
            "< 0.001" if d.p_holm < 0.001 else f"{d.p_holm:.3f}",
            "yes" if d.clear else "no",
        ]
        for d in of_the_best(list(differences))
    ]
    say("")
    grid([differences[0].metric, "difference", "95 % interval", "p (Holm)", "told apart"], rows)


def _odd(result: Result) -> Iterator[str]:
    """Lists that say little, counted."""
    flags = result.evaluation.flags if result.evaluation else {}
    for name, count in flags.items():
        if count:
            yield f"{result.model}: {FLAGS[name]}, for {count:,} users"


def tuning(told: Comparison) -> None:
    """What the search found on validation, by model."""
    assert told.tuning is not None
    rows = []
    for one in told.tuning["models"]:
        default, best = one["default"], one["best"]
        better = one["number"] not in (None, 0)
        rows.append(
            [
                one["model"],
                "failed" if default is None else f"{default:.4f}",
                "failed" if best is None else f"{best:.4f}" if better else "the default",
                str(len(one["trials"])),
                f"{one['seconds']:.1f}",
                ", ".join(f"{k} {_setting(v)}" for k, v in one["settings"].items())
                if better
                else "",
            ]
        )
    say(f"{told.tuning['metric']} on validation, {told.tuning['sampler']} search:")
    grid(["model", "default", "best", "trials", "seconds", "settings"], rows)
    cut = [one["model"] for one in told.tuning["models"] if _was_cut(one)]
    if cut:
        say(f"the budget ended the training of the default of {' and '.join(cut)}")
    say("")


def _was_cut(one: dict[str, Any]) -> bool:
    return bool(one["trials"]) and one["trials"][0]["state"] == "cut"


def _setting(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _row(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """One model, means over its seeds."""
    told = [r.evaluation for r in results if r.evaluation]
    cells = []
    for name in names:
        if name in told[0].per_user:
            cells.append(metric(summary(np.mean([e.per_user[name] for e in told], axis=0))))
        else:
            cells.append(f"{np.mean([e[name] for e in told]):.4f}")
    fit = float(np.mean([r.fitted.seconds for r in results if r.fitted]))
    asked = float(np.mean([e.seconds for e in told]))
    memory = max(r.peak_memory_mb for r in results)
    return [results[0].model, *cells, f"{fit:.2f}", f"{asked:.2f}", f"{memory:,.0f}"]


class Bars(AbstractContextManager["Bars"]):
    """One bar for each model and seed of a comparison, on stderr, gone when it is done."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def watch(self, spec: Spec, seed: int) -> Reporter:
        """The reporter of a model that is about to be trained."""
        return self._open.enter_context(Bar(f"{spec.name} (seed {seed})"))

    def done(self, told: object) -> None:
        """Take the bar away."""
        self._open.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()


def fetch(data: str | None, inputs: Inputs) -> None:
    """Bring a named set into the cache with a bar, where that was asked for and it is not here."""
    kept = [known for known in SETS.values() if isinstance(known, Kept)]
    if data is None or not inputs.download or not any(data in (k.name, k.folder) for k in kept):
        return
    if located(data) is None:
        with _Download(data) as bar:
            load(data, download=True, on_progress=bar)


class _Download(AbstractContextManager[Callable[[int, int | None], None]]):
    """A bar in bytes."""

    def __init__(self, title: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=err(),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> Callable[[int, int | None], None]:
        self._bar.start()
        return self._move

    def _move(self, done: int, total: int | None) -> None:
        self._bar.update(self._task, completed=done, total=total)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def opened(bundle: Path) -> Recommender:
    """A saved recommender that answers in polars frames, whatever it was fitted with."""
    return Recommender.of(replace(load_bundle(bundle).state, frame="polars"))


def listed(
    names: Sequence[Any], titles: Sequence[str | None], scores: Sequence[float | None]
) -> None:
    """A list, best first, with titles where any is known."""
    numbered = enumerate(zip(names, titles, scores, strict=True), start=1)
    if any(title is not None for title in titles):
        rows = [[str(n), str(name), title or "", score(s)] for n, (name, title, s) in numbered]
        grid(["", "item", "title", "score"], rows, left=3)
    else:
        rows = [[str(n), str(name), score(s)] for n, (name, _, s) in numbered]
        grid(["", "item", "score"], rows, left=2)
