"""What comes first: the models with their metrics, the paired tests, accuracy against diversity."""

from dataclasses import dataclass

from markupsafe import Markup

from honeyguide.evaluate.beyond import OF_LISTS, OVERALL
from honeyguide.evaluate.flags import FLAGS
from honeyguide.reporting import figure, words
from honeyguide.reporting.document import Document, Measured, Result, Test

# Beside accuracy, more of these is better; of the other metrics of lists that cannot be said.
DIVERSITY = ("coverage", "diversity", "content_diversity", "novelty", "serendipity")
assert set(DIVERSITY) <= {*OF_LISTS, *OVERALL}


@dataclass(frozen=True, slots=True)
class Cell:
    """A metric of a model: its value, what is known of its luck, both drawn."""

    value: str
    around: str
    mark: Markup


@dataclass(frozen=True, slots=True)
class Row:
    """A model over its trainings. leads: has the highest first metric."""

    model: str
    leads: bool
    trainings: int
    cells: list[Cell]
    fit: str
    evaluate: str
    memory: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The models that were measured, best first, and what is to be said of the others."""

    metrics: list[str]
    rows: list[Row]
    several: bool
    skipped: list[tuple[str, str]]
    flagged: list[tuple[str, str]]
    trainings: list[Result]


def metrics(document: Document) -> list[str]:
    """The names of all metrics that were measured, the deciding one first."""
    return list(dict.fromkeys(name for r in document.results for name in r.metrics))


def ranked(document: Document) -> list[str]:
    """The models that were measured, the highest first metric first."""
    names = metrics(document)
    rows = [a for a in document.aggregate if names and names[0] in a.metrics]
    return [a.model for a in sorted(rows, key=lambda a: -a.metrics[names[0]].mean)]


def of(document: Document, model: str) -> list[Result]:
    """The trainings of a model that were measured."""
    return [r for r in document.results if r.model == model and r.metrics]


def overview(document: Document) -> Overview:
    """The first table."""
    names, order = metrics(document), ranked(document)
    domains = {
        name: _domain([m for r in document.results for m in _its(r, name)]) for name in names
    }
    return Overview(
        metrics=names,
        rows=[_row(document, model, names, domains, model == order[0]) for model in order],
        several=any(len(of(document, model)) > 1 for model in order),
        skipped=[(_training(r), r.skipped) for r in document.results if r.skipped],
        flagged=[(_training(r), text) for r in document.results if (text := _flags(r))],
        trainings=[r for r in document.results if r.metrics],
    )


def _its(result: Result, name: str) -> list[Measured]:
    return [result.metrics[name]] if name in result.metrics else []


def _domain(told: list[Measured]) -> tuple[float, float]:
    """From the lowest to the highest end of an interval, and 0 where it is not far."""
    low = min(m.mean if m.low is None else m.low for m in told)
    high = max(m.mean if m.high is None else m.high for m in told)
    return (0.0, high) if 0 <= low < 0.75 * high else figure.spread([low, high], 0.02)


def _row(
    document: Document,
    model: str,
    names: list[str],
    domains: dict[str, tuple[float, float]],
    leads: bool,
) -> Row:
    told = of(document, model)
    whole = next(a for a in document.aggregate if a.model == model)
    cells = []
    for name in names:
        each = [m for r in told for m in _its(r, name)]
        if name not in whole.metrics or not each:
            cells.append(Cell("–", "", Markup()))
            continue
        mean, sd = whole.metrics[name].mean, whole.metrics[name].sd
        around = between(each[0]) if sd is None else f"± {words.metric(sd)}"
        mark = figure.interval([(m.mean, m.low, m.high) for m in each], domains[name], strong=leads)
        cells.append(Cell(words.metric(mean), around, mark))
    return Row(
        model=model,
        leads=leads,
        trainings=len(told),
        cells=cells,
        fit=words.seconds(_mean([r.seconds.fit for r in told])),
        evaluate=words.seconds(_mean([r.seconds.evaluate for r in told])),
        memory=words.number(round(max(r.peak_memory_mb for r in told))),
    )


def between(measured: Measured) -> str:
    """An interval in words; empty without one."""
    if measured.low is None or measured.high is None:
        return ""
    return f"{words.metric(measured.low)} to {words.metric(measured.high)}"


def _mean(values: list[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) / len(told) if told else None


def _training(result: Result) -> str:
    fold = "" if result.fold is None else f", fold {result.fold}"
    return f"{result.model} (seed {result.seed}{fold})"


def _flags(result: Result) -> str:
    return "; ".join(
        f"{FLAGS.get(name, name)} for {count:,} {'user' if count == 1 else 'users'}"
        for name, count in result.flags.items()
        if count
    )


# ------------------------------------------------------------------ paired tests


@dataclass(frozen=True, slots=True)
class Pair:
    """A test with its interval drawn."""

    test: Test
    mark: Markup


@dataclass(frozen=True, slots=True)
class Pairs:
    """The leading model against the others, and the others among themselves."""

    metric: str
    leading: list[Pair]
    others: list[Pair]


def pairs(document: Document) -> Pairs | None:
    """None without tests."""
    if not document.tests:
        return None
    ends = [end for test in document.tests for end in (test.low, test.high, 0.0)]
    domain = figure.spread(ends, 0.02)
    drawn = [
        Pair(t, figure.interval([(t.mean, t.low, t.high)], domain, strong=t.clear, zero=True))
        for t in document.tests
    ]
    first = document.tests[0].a
    return Pairs(
        metric=document.tests[0].metric,
        leading=[pair for pair in drawn if pair.test.a == first],
        others=[pair for pair in drawn if pair.test.a != first],
    )


# ------------------------------------------------------------------ accuracy against diversity


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure with what stands below it."""

    caption: str
    svg: Markup


def tradeoffs(document: Document) -> list[Panel]:
    """The first metric against each metric of diversity that was measured."""
    names = metrics(document)
    return [
        _tradeoff(document, names[0], name)
        for name in names[1:]
        if name.partition("@")[0] in DIVERSITY
    ]


def _tradeoff(document: Document, accuracy: str, other: str) -> Panel:
    whole = {a.model: a.metrics for a in document.aggregate}
    places = {
        model: (whole[model][other].mean, whole[model][accuracy].mean)
        for model in ranked(document)
        if other in whole[model]
    }
    front = [model for model, place in places.items() if not _beaten(place, list(places.values()))]
    marks = [
        figure.Mark(x, y, model, model in front, "dot" if model in front else "ring")
        for model, (x, y) in places.items()
    ]
    told = "; ".join(
        f"{model}: {words.metric(x)}, {words.metric(y)}" for model, (x, y) in places.items()
    )
    about = f"Scatter of {accuracy} (up) against {other} (right). {told}."
    best = " and ".join([", ".join(front[:-1]), front[-1]] if len(front) > 1 else front)
    return Panel(
        f"{accuracy} against {other}. Filled: no other model is better in both ({best}).",
        figure.panel(about, other, accuracy, marks=marks),
    )


def _beaten(place: tuple[float, float], others: list[tuple[float, float]]) -> bool:
    """Whether another one is at least as good in both and better in one."""
    return any(o[0] >= place[0] and o[1] >= place[1] and o != place for o in others)
