"""An evaluation by groups of users, and how far apart the groups are.

Groups are made from what stood before the questions (the popularity slice alone looks at the truth)
and from the users' columns. Letters: B users asked, U all users.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot

import numpy as np
import polars as pl
from jaxtyping import Int64

from honeyguide.data.features import Features
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.data.split import Holdout
from honeyguide.errors import UnknownName
from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.evaluate.intervals import Summary, summaries
from honeyguide.evaluate.knowledge import Knowledge

COLD = 5  # events of history up to which a user counts as new
FEW_VALUES = 12  # of a column that is still a grouping
FEWEST_USERS = 20  # of a group whose mean is compared
QUARTERS = (0.25, 0.5, 0.75)
THIRDS = ("head", "middle", "tail")
DAY = 86_400.0

Groups = tuple[str, Int64[np.ndarray, " B"], list[str]]  # by what, group of each user, their names


@dataclass(frozen=True, slots=True)
class Slice:
    """What one group of users got. by: what grouped them."""

    by: str
    group: str
    users: int
    metrics: dict[str, Summary]


@dataclass(frozen=True, slots=True)
class Gap:
    """The group with the highest mean against the one with the lowest."""

    by: str
    highest: str
    lowest: str
    difference: Summary


def slices(
    evaluation: Evaluation, holdout: Holdout, *, users: Features | None = None
) -> tuple[Slice, ...]:
    """The per-user metrics of each group; what would put all users into one group is left out.

    holdout: the one that was evaluated. users: features numbered like its users. Groups are
        activity     quarters of the users by the length of their history
        account age  quarters by the time from the first event to the question, where times exist
        popularity   whether most items of the user's truth are head, middle or tail: items down to
                     a third of the events, two thirds, the rest (equally many: the more popular)
        cold start   at most 5 events of history, or more
    and each column of the users with at most 12 different values.
    """
    found = []
    for by, group, names in _groupings(evaluation.users, holdout, users):
        present = np.unique(group)
        if len(present) < 2:
            continue
        for number in present:
            rows = group == number
            mine = {name: values[rows] for name, values in evaluation.per_user.items()}
            found.append(Slice(by, names[number], int(rows.sum()), summaries(mine)))
    return tuple(found)


def gaps(found: tuple[Slice, ...], metric: str) -> tuple[Gap, ...]:
    """How far the groups are apart on a metric, for every grouping, the widest first.

    Groups under 20 users are left out. The 95 % interval is that of a difference of two independent
    means from their own intervals (Zou and Donner 2008). The two groups were chosen for being far
    apart, so with many groups some gap is there by chance. UnknownName for a metric not measured.
    """
    told = []
    for by in dict.fromkeys(one.by for one in found):
        large = [one for one in found if one.by == by and one.users >= FEWEST_USERS]
        if len(large) < 2:
            continue
        if metric not in large[0].metrics:
            raise UnknownName("metric by user", metric, large[0].metrics)
        low, *_, high = sorted(large, key=lambda one: one.metrics[metric].mean)
        apart = _difference(high.metrics[metric], low.metrics[metric])
        told.append(Gap(by, high.group, low.group, apart))
    return tuple(sorted(told, key=lambda gap: -gap.difference.mean))


def _difference(a: Summary, b: Summary) -> Summary:
    mean = a.mean - b.mean
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Summary(mean, None, None)
    return Summary(
        mean,
        mean - hypot(a.mean - a.low, b.high - b.mean),
        mean + hypot(a.high - a.mean, b.mean - b.low),
    )


def _groupings(
    users: Int64[np.ndarray, " B"], holdout: Holdout, features: Features | None
) -> Iterator[Groups]:
    history = holdout.history
    events = history.counting(EVENTS_FOR).lengths[users]
    yield "activity", *_quarters(events, "events")
    if history.time is not None and holdout.now is not None:
        first = history.time[history.offsets[users]]
        days = np.floor((holdout.now[users] - first) / DAY).astype(np.int64)
        yield "account age", *_quarters(days, "days")
    yield "popularity", _mostly(users, holdout), list(THIRDS)
    cold = (events <= COLD).astype(np.int64)
    yield "cold start", cold, [f"more than {COLD} events", f"at most {COLD} events"]
    if features is not None:
        yield from _columns(users, features.frame)


def _quarters(
    values: Int64[np.ndarray, " B"], unit: str
) -> tuple[Int64[np.ndarray, " B"], list[str]]:
    """Four groups of about as many users, fewer where values repeat, named by what they hold."""
    cuts = np.unique(np.quantile(values, QUARTERS, method="inverted_cdf"))
    group = np.searchsorted(cuts, values, side="left").astype(np.int64)
    names = []
    for number in range(group.max() + 1):
        mine = values[group == number]
        low, high = int(mine.min()), int(mine.max())
        names.append(f"{low}-{high} {unit}" if low < high else f"{low} {unit}")
    return group, names


def _mostly(users: Int64[np.ndarray, " B"], holdout: Holdout) -> Int64[np.ndarray, " B"]:
    third, truth = Knowledge(holdout.history).third, holdout.truth
    tail = len(THIRDS) - 1
    # what training never saw is as unpopular as can be
    of_event = np.where(truth.item < len(third), third[truth.item.clip(max=len(third) - 1)], tail)
    places = truth.user.astype(np.int64) * len(THIRDS) + of_event
    table = np.bincount(places, minlength=truth.n_users * len(THIRDS))
    most: Int64[np.ndarray, " B"] = np.argmax(table.reshape(-1, len(THIRDS))[users], axis=1)
    return most


def _columns(users: Int64[np.ndarray, " B"], frame: pl.DataFrame) -> Iterator[Groups]:
    for name in frame.columns[1:]:  # Features.of puts the ids first
        column = frame[name].gather(users)
        if column.dtype.is_nested() or column.n_unique() > FEW_VALUES:
            continue
        values = column.unique().sort(nulls_last=True)
        number = pl.int_range(len(values), eager=True)
        group = column.replace_strict(values, number, return_dtype=pl.Int64).to_numpy()
        yield name, group, ["unknown" if value is None else str(value) for value in values]
