"""Test, then learn: events in the order of time, window by window, quality as a curve over time.

Special: every event is asked for with what its user did before it, by a ranker that has learned
from the windows before and from nothing later. An event is a question of its own, so all metrics
of the evaluator serve. (Gama, Sebastião and Rodrigues 2013.) W windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import SEEN, SIGN, Rule
from honeyguide.data.split import Holdout
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.evaluate.intervals import Summary, summaries
from honeyguide.types import Ranker

Learn = Callable[[Interactions], Ranker]


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Values of each metric by question. window: which one, user: whose, both by question. starts:
    of the windows, seconds since 1970. without_history: events with nothing before them, repeats:
    of an item that the user knew; neither is asked for. skipped: windows with too little to learn
    from."""

    starts: Float64[np.ndarray, " W"]
    window: Int64[np.ndarray, " N"]
    user: Int64[np.ndarray, " N"]
    values: dict[str, Float64[np.ndarray, " N"]]
    without_history: int
    repeats: int
    skipped: int

    def by_user(self, name: str) -> Float64[np.ndarray, " U"]:
        """The mean of each user who was asked for, by number: events of one are not independent."""
        _, place, count = np.unique(self.user, return_inverse=True, return_counts=True)
        means: Float64[np.ndarray, " U"] = np.bincount(place, self.values[name]) / count
        return means

    def summaries(self) -> dict[str, Summary]:
        """Every metric, mean over users with its interval."""
        return summaries({name: self.by_user(name) for name in self.values})

    def curve(self, name: str) -> Float64[np.ndarray, " W"]:
        """The mean over the questions of each window; NaN where there was none."""
        size = len(self.starts)
        count = np.bincount(self.window, minlength=size)
        total = np.bincount(self.window, self.values[name], minlength=size)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def replay(
    events: Interactions,
    learn: Learn,
    *,
    window: float,
    since: float,
    memory: float | None = None,
    past: int | None,
    rule: Rule,
    metrics: Sequence[str] = ("hit_rate@10", "mrr@10"),
    exclude_seen: bool = True,
    most: int | None = None,
    seed: int = 0,
) -> Replay:
    """Ask for the events of each window, then let them be learned from.

    learn: a ranker from the events of the last `memory` seconds (None = all) before a window; users
    and items are numbered as in `events`; where it raises InputError (too little to learn from) the
    window is skipped. window: seconds. since: where the first window starts, seconds since 1970.
    past, rule: what the questions hold, as a model's spec says; what is asked for is the same for
    every model, and users are strangers, known by their events alone. most: asked for in a window,
    drawn by `seed`.
    Raises CallError without times and for a window or memory that cannot be, InputError where no
    event is left to ask for.
    """
    times = _times(events, window, memory)
    count = max(int(np.floor((float(times.max()) - since) / window)) + 1, 0)
    starts = since + window * np.arange(count)
    askable, without_history, repeats = _askable(events, since, exclude_seen)
    place = np.searchsorted(starts, times, side="right") - 1
    draw = np.random.default_rng(seed)
    windows, users, skipped = [], [], 0
    told: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for number, start in enumerate(starts):
        rows = np.flatnonzero(askable & (place == number))
        if most is not None and len(rows) > most:
            rows = np.sort(draw.choice(rows, most, replace=False))
        if not len(rows):
            continue
        learned_from = times < start
        if memory is not None:
            learned_from &= times >= start - memory
        try:
            ranker = learn(_some(events, learned_from))
        except InputError:
            skipped += 1
            continue
        found = evaluate(
            ranker,
            _questions(events, rows),
            rule=rule,
            past=past,
            metrics=metrics,
            exclude_seen=exclude_seen,
            known=False,
        )
        windows.append(np.full(len(rows), number))
        users.append(events.user[rows].astype(np.int64))
        for name in metrics:
            told[name].append(found.per_user[name])
    if not windows:
        raise InputError(
            f"No event can be asked for: {without_history} have nothing before them, {repeats} are "
            f"of items known already, {skipped} windows have too little before them.",
            "Start later, give more data, or leave exclude_seen out.",
        )
    values = {name: np.concatenate(parts) for name, parts in told.items()}
    return Replay(
        starts,
        np.concatenate(windows),
        np.concatenate(users),
        values,
        without_history,
        repeats,
        skipped,
    )


def _some(events: Interactions, rows: Bool[np.ndarray, " N"]) -> Interactions:
    if not rows.any():
        raise InputError("There is nothing before the window.", "Start later.")
    return events.only(rows)


def _times(events: Interactions, window: float, memory: float | None) -> Float64[np.ndarray, " N"]:
    if events.time is None:
        raise CallError(
            "A replay needs times, and the table has none.", "Name the column with --time."
        )
    for name, value in (("window", window), ("memory", memory)):
        if value is not None and not value > 0:
            raise CallError(f"A {name} of {value} seconds holds nothing.", "Give more than 0.")
    if not len(events):
        raise InputError("There is nothing to replay: no events.", "Give more data.")
    return events.time


def _askable(
    events: Interactions, since: float, exclude_seen: bool
) -> tuple[Bool[np.ndarray, " N"], int, int]:
    """Which events can be asked for, how many have nothing that speaks for an item before them, and
    how many are of items that the user knew."""
    assert events.time is not None
    speaks = (SIGN[events.kind] > 0) & (events.item != PAD)
    wanted = (events.time >= since) & speaks
    so_far = np.concatenate([[0], np.cumsum(speaks)])
    before = so_far[:-1] > so_far[events.offsets[events.user]]
    known = np.zeros(len(events), dtype=bool)
    if exclude_seen:
        keys = events.user.astype(np.int64) * events.n_items + events.item
        order = np.argsort(keys, kind="stable")  # of a pair, in the order of events
        seen = np.concatenate([[0], np.cumsum(SEEN[events.kind[order]])])
        first = np.searchsorted(keys[order], keys[order], side="left")
        known[order] = seen[:-1] > seen[first]
    alone, repeats = int((wanted & ~before).sum()), int((wanted & before & known).sum())
    return wanted & before & ~known, alone, repeats


def _questions(events: Interactions, rows: Int64[np.ndarray, " B"]) -> Holdout:
    """Each of these events asked for with all that its user did before it."""
    assert events.time is not None
    history = events.stretches(events.offsets[events.user[rows]], rows)
    truth = events.stretches(rows, rows + 1)
    everyone = np.arange(len(rows))
    return Holdout(history, truth, everyone, events.time[rows], 0, 0, 0)
