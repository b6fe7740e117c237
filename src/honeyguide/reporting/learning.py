"""How models learned: loss and validation by epoch, and the trials of a search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from honeyguide.reporting import figure, words
from honeyguide.reporting.document import Document, Epoch, Result, Trial, Tuned, Tuning
from honeyguide.reporting.overview import Panel

SHAPES = {"done": "dot", "stopped": "ring", "cut": "ring", "failed": "cross"}


def curves(document: Document) -> list[Panel]:
    """For each model that was trained in epochs its loss, then each validation metric."""
    panels: list[Panel] = []
    for model in dict.fromkeys(r.model for r in document.results if r.curve):
        runs = [r for r in document.results if r.model == model and r.curve]
        panels += _drawn(model, "loss", runs, lambda line: line.loss)
        names = dict.fromkeys(name for r in runs for line in r.curve for name in line.valid or {})
        for name in names:
            panels += _drawn(model, name, runs, _validation(name))
    return panels


def _validation(name: str) -> Callable[[Epoch], float | None]:
    return lambda line: (line.valid or {}).get(name)


def _drawn(
    model: str, name: str, runs: Sequence[Result], value: Callable[[Epoch], float | None]
) -> list[Panel]:
    """The trainings of a model as one panel, the first one strong; the best epochs marked."""
    lines = [[(e.epoch + 1.0, v) for e in r.curve if (v := value(e)) is not None] for r in runs]
    drawn = [figure.Curve(line, strong=place == 0) for place, line in enumerate(lines) if line]
    if not drawn:
        return []
    best = [
        (x, y)
        for run, line in zip(runs, lines, strict=True)
        for x, y in line
        if run.best_epoch is not None and x == run.best_epoch + 1
    ]
    marks = [figure.Mark(x, y, strong=True, shape="diamond") for x, y in best]
    what = name if name == "loss" else f"{name} on validation"
    said = "".join(f", {words.metric(y)} at the best epoch, {x:.0f}" for x, y in best[:1])
    many = f" One line for each of {len(lines)} trainings." if len(lines) > 1 else ""
    first = drawn[0].points
    about = (
        f"{what} of {model} by epoch: from {words.metric(first[0][1])} to "
        f"{words.metric(first[-1][1])} after {first[-1][0]:.0f} epochs{said}."
    )
    svg = figure.panel(about, "epoch", name, curves=drawn[::-1], marks=marks, whole=True)
    return [Panel(f"{model}: {what}{said}.{many}", svg)]


@dataclass(frozen=True, slots=True)
class Search:
    """The search for one model in words and figures."""

    model: str
    default: str
    best: str
    gain: str
    settings: str
    trials: list[Trial]
    panels: list[Panel]


@dataclass(frozen=True, slots=True)
class Searches:
    """A whole search. cut: models whose default did not end before the budget did."""

    tuning: Tuning
    models: list[Search]
    cut: list[str]


def searches(document: Document) -> Searches | None:
    """None where nothing was searched for."""
    tuning = document.tuning
    if tuning is None:
        return None
    return Searches(
        tuning,
        [_search(tuned, tuning.metric) for tuned in tuning.models],
        [one.model for one in tuning.models if any(t.state == "cut" for t in one.trials[:1])],
    )


def _search(tuned: Tuned, metric: str) -> Search:
    default, best = tuned.default, tuned.best
    return Search(
        model=tuned.model,
        default="–" if default is None else words.metric(default),
        best="–" if best is None else words.metric(best),
        gain="–" if default is None or best is None else words.signed(best - default),
        settings=words.setting(tuned.settings, 4) if tuned.number else "the default",
        trials=tuned.trials,
        panels=_trials(tuned, metric),
    )


def _trials(tuned: Tuned, metric: str) -> list[Panel]:
    """Value by trial with the best so far; nothing for a single one."""
    told = [(t, t.value) for t in tuned.trials if t.value is not None]
    if len(told) < 2:
        return []
    so_far = accumulate((value for _, value in told), max)
    line = figure.Curve(
        [(float(t.number), b) for (t, _), b in zip(told, so_far, strict=True)], steps=True
    )
    marks = [_mark(trial, value) for trial, value in told]
    best = max(value for _, value in told)
    about = (
        f"{metric} on validation of {len(told)} trials of {tuned.model}: the default "
        f"{words.metric(told[0][1])}, the best {words.metric(best)}."
    )
    svg = figure.panel(about, "trial", metric, curves=[line], marks=marks, whole=True)
    return [Panel(f"{tuned.model}: {metric} on validation by trial.", svg)]


def _mark(trial: Trial, value: float) -> figure.Mark:
    if trial.number == 0:
        return figure.Mark(0.0, value, "default", strong=True, shape="diamond")
    return figure.Mark(float(trial.number), value, shape=SHAPES.get(trial.state, "dot"))
