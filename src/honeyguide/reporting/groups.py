"""How groups of users fare, the worst first."""

from dataclasses import dataclass

from markupsafe import Markup

from honeyguide.evaluate.slices import FEWEST_USERS
from honeyguide.reporting import figure, words
from honeyguide.reporting.document import Document, Measured, Slice
from honeyguide.reporting.overview import Cell, between, metrics, of, ranked


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users, by model. small: too few users to be ordered by."""

    name: str
    users: int
    small: bool
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Grouping:
    """All groups of one kind, the worst first."""

    by: str
    groups: list[Group]


@dataclass(frozen=True, slots=True)
class Slices:
    """Groupings, the widest apart first; said: the worst of all in words."""

    metric: str
    leader: str
    models: list[str]
    groupings: list[Grouping]
    worst: list[str]
    everything: list[tuple[str, Slice]]


def slices(document: Document) -> Slices | None:
    """None where no model was measured by groups. Of several trainings the first is shown."""
    told = {model: of(document, model)[0].slices for model in ranked(document)}
    told = {model: found for model, found in told.items() if found}
    if not told:
        return None
    metric, leader = metrics(document)[0], next(iter(told))
    mine = [one for one in told[leader] if metric in one.metrics]
    table = {
        (model, one.by, one.group): one.metrics[metric]
        for model, found in told.items()
        for one in found
        if metric in one.metrics
    }
    high = max((_top(one) for one in table.values()), default=1.0)
    kinds = dict.fromkeys(one.by for one in mine)
    by_kind = {by: _worst_first([one for one in mine if one.by == by], metric) for by in kinds}
    return Slices(
        metric=metric,
        leader=leader,
        models=list(told),
        groupings=[
            Grouping(by, [_group(one, list(told), table, high, leader) for one in by_kind[by]])
            for by in sorted(kinds, key=lambda by: -_gap(by_kind[by], metric))
        ],
        worst=_worst(mine, metric, of(document, leader)[0].metrics[metric].mean),
        everything=[(model, one) for model, found in told.items() for one in found],
    )


def _top(measured: Measured) -> float:
    return measured.mean if measured.high is None else measured.high


def _worst_first(groups: list[Slice], metric: str) -> list[Slice]:
    return sorted(groups, key=lambda one: (one.users < FEWEST_USERS, one.metrics[metric].mean))


def _gap(groups: list[Slice], metric: str) -> float:
    means = [one.metrics[metric].mean for one in groups if one.users >= FEWEST_USERS]
    return max(means) - min(means) if means else 0.0


def _group(
    one: Slice,
    models: list[str],
    table: dict[tuple[str, str, str], Measured],
    high: float,
    leader: str,
) -> Group:
    cells = []
    for model in models:
        told = table.get((model, one.by, one.group))
        if told is None:
            cells.append(Cell("–", "", Markup()))
            continue
        mark = figure.interval(
            [(told.mean, told.low, told.high)], (0.0, high), strong=model == leader
        )
        cells.append(Cell(words.metric(told.mean), between(told), mark))
    return Group(one.group, one.users, one.users < FEWEST_USERS, cells)


def _worst(groups: list[Slice], metric: str, overall: float) -> list[str]:
    """The three groups furthest below the mean over all users whose interval leaves it out."""
    below = [
        one
        for one in groups
        if one.users >= FEWEST_USERS
        and one.metrics[metric].high is not None
        and _top(one.metrics[metric]) < overall
    ]
    return [
        f"{one.by}, {one.group}: {words.metric(one.metrics[metric].mean)} "
        f"({between(one.metrics[metric])}; {one.users:,} users)"
        for one in sorted(below, key=lambda one: one.metrics[metric].mean)[:3]
    ]
