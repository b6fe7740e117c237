"""News, hour by hour: tested, then learned from (globo-news, 2.4 M clicks).

    python benchmarks/prequential.py

Each model learns from the last hours before an hour and is asked for that hour's clicks, a draw of
at most MOST of them, with all that their users did before. What is counted is counted anew, a deep
model goes on from the weights of the hour before. The memory of each was chosen on the second day
(the first is only learned from), the days from the third on are reported.
"""

import argparse
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from _common import record
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.paired import paired
from honeyguide.evaluate.prequential import Learn, Replay, replay
from honeyguide.experiment.machine import machine, peak_memory_mb
from honeyguide.experiment.splitting import open_log
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.item_knn import ItemKNN
from honeyguide.models.markov import Markov
from honeyguide.models.popular import Popular
from honeyguide.models.session_knn import SessionKNN
from honeyguide.models.spec import LearnedSpec, Schema, Spec
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.trainer import build, fit

HOUR, DAY = 3_600.0, 86_400.0
MOST = 1_000
METRICS = ("hit_rate@10", "mrr@10")
MEMORIES = {False: (1, 3, 12, 24), True: (1, 3)}  # hours; by whether the model goes on
MODELS: dict[str, Spec] = {
    "popular": Popular(),
    "markov": Markov(k=200),
    "item-knn": ItemKNN(k=200),
    "session-knn": SessionKNN(k=200, recent=500, history=20),
    # the step size was found by hand on the second day (LOG.md, 2026-11-29)
    "gru4rec": GRU4Rec(
        history=20, epochs=1, batch=32, dropout=0.1, average=0.0, learning_rate=0.0025
    ),
}
PAIRS = (("gru4rec", "popular"), ("session-knn", "markov"), ("markov", "popular"))


def learning(spec: Spec, events: Interactions) -> Learn:
    """A ranker from the events it is given, numbered as in all events."""
    schema = Schema(users=events.n_users, items=events.n_items)
    going_on = build(spec, schema, 0) if isinstance(spec, LearnedSpec) else None

    def learn(some: Interactions) -> Exhaustive:
        model = going_on or build(spec, schema, 0)
        fit(model, TrainingData(some))
        return Exhaustive(model)

    return learn


def run(spec: Spec, events: Interactions, hours: int, first: float, since: float) -> Replay:
    """The replay of one model; what goes on has gone through the hours from `first` on before."""
    learn = learning(spec, events)
    if isinstance(spec, LearnedSpec):
        for end in np.arange(first + HOUR, since, HOUR):
            learn(part(events, end - hours * HOUR, end))
    return replay(
        events,
        learn,
        window=HOUR,
        since=since,
        memory=hours * HOUR,
        past=spec.past,
        rule=spec.rule,
        metrics=METRICS,
        most=MOST,
    )


def part(events: Interactions, first: float, end: float) -> Interactions:
    """The events of this stretch of time."""
    assert events.time is not None
    return events.only((events.time >= first) & (events.time < end))


def main() -> None:
    """Memories on the second day, then the days after it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=9, help="reported, from the third day on")
    days = parser.parse_args().days
    opened = open_log("globo-news", Inputs())
    events = Interactions.of(opened.table)
    assert events.time is not None
    first = float(np.floor(np.quantile(events.time, 0.001) / HOUR) * HOUR)  # but for a few strays
    hours: dict[str, int] = {}
    chosen, told, replays = {}, {}, {}
    for name, spec in MODELS.items():
        started = perf_counter()
        second = part(events, first, first + 2 * DAY)
        tried = {
            memory: run(spec, second, memory, first, first + DAY).summaries()["mrr@10"].mean
            for memory in MEMORIES[isinstance(spec, LearnedSpec)]
        }
        hours[name] = max(tried, key=lambda memory: tried[memory])
        chosen[name] = {"mrr@10 by hours": tried, "seconds": perf_counter() - started}
        print(name, chosen[name], flush=True)
    for name, spec in MODELS.items():
        started = perf_counter()
        rest = part(events, first, first + (2 + days) * DAY)
        found = replays[name] = run(spec, rest, hours[name], first, first + 2 * DAY)
        seconds = perf_counter() - started
        told[name] = {
            "memory_hours": hours[name],
            "metrics": {m: summary(s) for m, s in found.summaries().items()},
            "curve": {m: found.curve(m).round(5).tolist() for m in METRICS},
            "seconds": seconds,
        }
        print(name, told[name]["metrics"], seconds, flush=True)
    any_one = replays["popular"]
    record(
        "prequential",
        {
            "machine": machine(),
            "peak_memory_mb": peak_memory_mb(),
            "questions": len(any_one.window),
            "users": len(np.unique(any_one.user)),
            "without_history": any_one.without_history,
            "known_again": any_one.repeats,
            "hours": len(any_one.starts),
            "skipped": {name: found.skipped for name, found in replays.items()},
            "chosen": chosen,
            "models": told,
            "paired": {
                f"{one} minus {other}": difference(replays[one], replays[other])
                for one, other in PAIRS
            },
        },
    )


def summary(value: Any) -> dict[str, float | None]:
    """Mean and interval."""
    return {name: getattr(value, name) for name in ("mean", "low", "high")}


def difference(one: Replay, other: Replay) -> dict[str, dict[str, float]]:
    """The same questions, paired over users; a window that one of them skipped is left out."""
    common = np.intersect1d(one.window, other.window)
    kept = [of_windows(part, common) for part in (one, other)]
    assert np.array_equal(kept[0].user, kept[1].user)
    told = {}
    for name in METRICS:
        found = paired(kept[0].by_user(name), kept[1].by_user(name))
        assert found is not None
        told[name] = {"difference": found.mean, "low": found.low, "high": found.high}
    return told


def of_windows(part: Replay, windows: np.ndarray) -> Replay:
    """The questions of these windows."""
    rows = np.isin(part.window, windows)
    values = {name: column[rows] for name, column in part.values.items()}
    return replace(part, window=part.window[rows], user=part.user[rows], values=values)


if __name__ == "__main__":
    main()
