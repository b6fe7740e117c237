"""Test then learn: nothing later is seen, windows are those of the clock, the curve adds up."""

import numpy as np
import polars as pl
import pytest
import torch

from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import BY_NUMBER
from honeyguide.data.table import Table
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.prequential import replay
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.item_knn import ItemKNN
from honeyguide.models.markov import Markov
from honeyguide.models.popular import Popular
from honeyguide.models.spec import Schema
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.trainer import build, fit
from honeyguide.types import Ranking

HOUR = 3_600.0
KINDS_BY_NUMBER = {number: kind.name for number, kind in BY_NUMBER.items()}


def log_of(rows):
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    return Interactions.of(
        Table(table.with_columns(pl.col("time").cast(pl.Float64), kind=pl.lit("click")))
    )


def drawn(count=3_000, users=80, items=30, hours=12):
    draw = np.random.default_rng(0)
    time = np.sort(draw.uniform(0, hours * HOUR, count))
    shift = (time // HOUR).astype(int)  # what is popular moves on every hour
    item = (draw.geometric(0.25, count) + 3 * shift) % items
    return log_of(
        list(zip(draw.integers(0, users, count).tolist(), item.tolist(), time, strict=True))
    )


def learning(spec, log, seen=None):
    def learn(events):
        if seen is not None:
            seen.append(events)
        model = build(spec, Schema(users=log.n_users, items=log.n_items), 0)
        fit(model, TrainingData(events))
        return Exhaustive(model)

    return learn


def run(log, spec=None, **how):
    spec = spec or Popular()
    learn = how.pop("learn", None) or learning(spec, log)
    settings = {"window": HOUR, "since": 2 * HOUR, "past": spec.past, "rule": spec.rule} | how
    return replay(log, learn, **settings)


def test_a_ranker_learns_from_what_lies_before_its_window_only():
    log, seen = drawn(), []
    found = run(log, learn=learning(Popular(), log, seen), memory=3 * HOUR)
    assert len(seen) == len(found.starts) == 10
    for start, events in zip(found.starts, seen, strict=True):
        assert events.time.max() < start
        assert events.time.min() >= start - 3 * HOUR
        wanted = (log.time < start) & (log.time >= start - 3 * HOUR)
        assert len(events) == wanted.sum()


def test_every_question_holds_what_came_before_its_event_and_nothing_else():
    log = drawn(400, users=10)
    asked = []

    class Watching:
        def rank(self, query, k, *, exclude=None, **_):
            asked.extend(
                (row[:size].tolist(), now, user)
                for row, size, now, user in zip(
                    query.item,
                    query.length.tolist(),
                    query.now.tolist(),
                    query.user.tolist(),
                    strict=True,
                )
            )
            items = torch.arange(1, k + 1).repeat(len(query), 1)
            return Ranking(items, torch.zeros(len(query), k))

    run(log, learn=lambda events: Watching(), exclude_seen=False)
    wanted = []
    for user in range(log.n_users):
        rows = range(log.offsets[user], log.offsets[user + 1])
        for row in rows[1:]:
            if log.time[row] >= 2 * HOUR:
                wanted.append((log.item[rows[0] : row].tolist(), log.time[row], -1))
    assert sorted(asked, key=lambda one: one[1]) == sorted(wanted, key=lambda one: one[1])


def test_the_last_hour_knows_more_of_what_moves_than_all_time():
    log = drawn()
    fresh = run(log, memory=HOUR, exclude_seen=False)
    stale = run(log, exclude_seen=False)
    name = "hit_rate@10"
    assert fresh.summaries()[name].mean > stale.summaries()[name].mean + 0.1
    assert fresh.curve(name).shape == (10,)
    count = np.bincount(fresh.window)
    assert (fresh.curve(name) * count).sum() == pytest.approx(fresh.values[name].sum())
    assert fresh.by_user(name).shape == (len(np.unique(fresh.user)),)


def test_what_is_not_asked_for_is_counted():
    log = log_of(
        [
            ("a", "x", 0),
            ("a", "y", 1),
            ("b", "x", 7_300),  # nothing before it
            ("a", "x", 7_400),  # known already
            ("a", "z", 7_500),
            ("b", "y", 7_600),
        ]
    )
    found = run(log)
    assert (found.without_history, found.repeats, len(found.window)) == (1, 1, 2)
    assert len(run(log, exclude_seen=False).window) == 3


def test_a_window_with_nothing_before_it_is_skipped_and_empty_ones_are_gaps():
    log = log_of([("a", "x", 0), ("a", "y", 10), ("a", "z", 4 * HOUR), ("a", "w", 4 * HOUR + 1)])
    found = run(log, since=0.0)
    assert found.skipped == 1
    assert np.isnan(found.curve("mrr@10")).tolist() == [True, True, True, True, False]


def test_some_events_of_a_window_can_stand_for_all():
    log = drawn()
    some, again = run(log, most=20), run(log, most=20)
    assert np.bincount(some.window).max() == 20
    assert np.array_equal(some.values["mrr@10"], again.values["mrr@10"])
    assert not np.array_equal(some.user, run(log, most=20, seed=1).user)


def test_what_is_asked_for_does_not_depend_on_the_model():
    draw = np.random.default_rng(1)
    kinds = draw.choice(["click", "click", "hide", "dislike", "impression", "search"], 600)
    events = pl.DataFrame(
        {
            "user_id": draw.integers(0, 20, 600),
            "item_id": pl.Series(draw.integers(0, 25, 600)).set(pl.Series(kinds == "search"), None),
            "time": np.sort(draw.uniform(0, 12 * HOUR, 600)),
            "kind": kinds,
        }
    )
    log = Interactions.of(Table(events))
    clicks = run(log, rule=Popular().rule)
    opinions = run(log, rule=ItemKNN().rule)
    assert Popular().rule != ItemKNN().rule
    for name in ("window", "user"):
        assert np.array_equal(getattr(clicks, name), getattr(opinions, name))
    assert clicks.without_history == opinions.without_history
    assert clicks.repeats == opinions.repeats
    # by a plain loop: clicks after a click of the user, on items not seen before
    asked = without = again = 0
    for user in range(log.n_users):
        seen, clicked = set(), False
        for row in range(log.offsets[user], log.offsets[user + 1]):
            item, kind = int(log.item[row]), KINDS_BY_NUMBER[int(log.kind[row])]
            if kind == "click" and log.time[row] >= 2 * HOUR:
                asked += clicked and item not in seen
                again += clicked and item in seen
                without += not clicked
            clicked |= kind == "click"
            if kind not in ("impression", "search"):
                seen.add(item)
    assert (len(clicks.window), clicks.repeats, clicks.without_history) == (asked, again, without)


@pytest.mark.parametrize("window", [0.1, 0.3, 1 / 3, 0.7])
def test_an_event_on_the_edge_of_a_window_is_learned_from_after_it(window):
    edges = window * np.arange(1, 400)
    time = np.sort(np.concatenate([edges, np.nextafter(edges, 0), [0.0]]))
    log = log_of([("a", f"i{n % 50}", t) for n, t in enumerate(time.tolist())])
    last = []

    class Watching:
        def rank(self, query, k, *, exclude=None, **_):
            assert bool((query.now >= last[-1][1]).all()), "asked for what it learned from"
            items = torch.arange(1, k + 1).repeat(len(query), 1)
            return Ranking(items, torch.zeros(len(query), k))

    def learn(events):
        last.append((float(events.time.max()), np.nextafter(float(events.time.max()), np.inf)))
        return Watching()

    run(log, learn=learn, window=window, since=0.0, exclude_seen=False)
    assert len(last) > 300


def test_a_window_that_a_model_cannot_learn_before_is_skipped():
    log = log_of([("a", "x", 0), ("b", "x", 1), ("a", "y", 7_300), ("b", "z", 20_000)])
    spec = Markov()

    def learn(events):
        if len(events) < 3:
            raise InputError("Too little.", "Wait.")
        return learning(spec, log)(events)

    assert run(log, spec, learn=learn, past=1).skipped == 1


def test_models_of_order_are_replayed_too():
    log = log_of([(f"u{n // 6}", f"i{n % 6}", 100.0 * n) for n in range(600)])
    found = run(log, Markov(), since=30_000.0, past=1, metrics=("hit_rate@1",))
    assert found.summaries()["hit_rate@1"].mean == 1


def test_what_cannot_be_is_refused():
    log = drawn(100)
    timeless = Interactions.of(
        Table(pl.DataFrame({"user_id": [1], "item_id": [2], "kind": ["click"]}))
    )
    with pytest.raises(CallError, match="needs times"):
        run(timeless)
    with pytest.raises(CallError, match="window of 0"):
        run(log, window=0.0)
    with pytest.raises(CallError, match="memory of -1"):
        run(log, memory=-1.0)
    with pytest.raises(InputError, match="No event can be asked for"):
        run(log, since=1e9)


def test_a_deep_model_goes_on_from_the_hour_before():
    # every hour shows other users walking the same ring, so little that each hour alone says little
    rows = [
        (hour * 8 + walker, (walker + step) % 8, (hour + step / 10) * HOUR)
        for hour in range(14)
        for walker in range(8)
        for step in range(6)
    ]
    log = log_of(rows)
    spec = GRU4Rec(
        width=16, layers=1, epochs=1, history=4, batch=8, dropout=0.0, learning_rate=0.03
    )
    schema = Schema(users=log.n_users, items=log.n_items)

    def run_from(model=None):
        def learn(events):
            going_on = model or build(spec, schema, 0)
            fit(going_on, TrainingData(events))
            return Exhaustive(going_on)

        told = run(log, spec, learn=learn, memory=HOUR, metrics=["hit_rate@1"])
        return told.curve("hit_rate@1")

    anew, going_on = run_from(), run_from(build(spec, schema, 0))
    assert going_on[0] == pytest.approx(anew[0])  # the same first hour
    assert going_on[-3:].min() > 0.9
    assert anew[-3:].max() < 0.8
