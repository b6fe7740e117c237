"""Sessions by ids, by inactivity, or one a user; session-kNN and Markov are plain loops."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import query
from honeyguide.data.sessions import session_ends
from honeyguide.data.table import Table
from honeyguide.errors import CallError
from honeyguide.models.markov import Markov
from honeyguide.models.session_knn import SessionKNN
from matrices import fitted


def log_of(**columns):
    frame = pl.DataFrame(columns).with_columns(kind=pl.lit("click"))
    return Interactions.of(Table(frame))


def drawn(users=25, items=15):
    draw = np.random.default_rng(3)
    count = 300
    return log_of(
        user_id=draw.integers(0, users, count),
        item_id=draw.integers(0, items, count),
        time=draw.permutation(count) * 600.0,
    )


def test_one_a_user_without_ids():
    log = log_of(user_id=["a", "a", "b", "c"], item_id=[1, 2, 1, 3], time=[1.0, 9e6, 2.0, 3.0])
    assert session_ends(log).tolist() == [0, 2, 3, 4]


def test_ids_cut_where_they_change():
    log = log_of(
        user_id=["a"] * 4 + ["b"],
        item_id=[1, 2, 3, 4, 1],
        time=[1.0, 2.0, 3.0, 4.0, 1.0],
        session_id=[7, 7, 9, 9, 9],
    )
    assert session_ends(log).tolist() == [0, 2, 4, 5]


def test_inactivity_cuts_and_ids_are_not_looked_at():
    log = log_of(
        user_id=["a"] * 4,
        item_id=[1, 2, 3, 4],
        time=[0.0, 1800.0, 3601.0, 3700.0],
        session_id=[1, 2, 3, 4],
    )
    assert session_ends(log, 1800.0).tolist() == [0, 2, 4]


def test_no_events_no_sessions():
    log = drawn()
    assert session_ends(log.only(np.zeros(len(log), dtype=bool))).tolist() == [0]


def test_what_cannot_be_is_refused():
    unordered = log_of(user_id=["a"], item_id=[1])
    with pytest.raises(CallError, match="need an order"):
        session_ends(unordered)
    ordered = log_of(user_id=["a"], item_id=[1], order=[1])
    with pytest.raises(CallError, match="inactivity need times"):
        session_ends(ordered, 60.0)


@pytest.mark.parametrize(
    ("k", "recent", "history"), [(50, 1000, 50), (3, 1000, 50), (50, 2, 50), (4, 3, 2)]
)
def test_session_knn_by_a_plain_loop(k, recent, history):
    log = drawn()
    spec = SessionKNN(k=k, recent=recent, history=history, inactivity=20_000.0)
    model: Any = fitted(spec, log)
    ends = session_ends(log, 20_000.0)
    sessions = [np.unique(log.item[a:b]).tolist() for a, b in pairwise(ends)]
    last = [log.time[b - 1] for b in ends[1:]]
    latest = sorted(range(len(sessions)), key=lambda s: -last[s])
    found = Counter(item for session in sessions for item in session)
    users = np.arange(log.n_users)
    asked = query(log, users, history=history)
    scores = model.score(asked)
    for user in users:
        past = log.item[log.offsets[user] : log.offsets[user + 1]].tolist()[-history:]
        likeness: dict[int, np.float32] = {}
        shared: dict[int, int] = {}
        for place in range(len(past) - 1, -1, -1):  # the kernel's order of sums
            if past[place] in past[place + 1 :]:
                continue
            with_it = [s for s in latest if past[place] in sessions[s]][:recent]
            for s in with_it:
                worth = np.float32((place + 1) / len(past))
                likeness[s] = likeness.get(s, np.float32(0)) + worth
                shared.setdefault(s, place)
        order = sorted(likeness, key=lambda s: (-likeness[s], latest.index(s)))[:k]
        wanted = np.zeros(log.n_items)
        for s in order:
            fade = max(1 - 0.1 * (len(past) - 1 - shared[s]), 0)
            for item in sessions[s]:
                rare = max(np.log((1 + len(sessions)) / found[item]), 1e-3)
                wanted[item] += likeness[s] * fade * rare
        np.testing.assert_allclose(scores[user, 1:], wanted[1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reach", [1, 3])
def test_markov_by_a_plain_loop(reach):
    log = drawn()
    model: Any = fitted(Markov(k=50, reach=reach), log)
    followed = np.zeros((log.n_items, log.n_items))
    histories = [log.item[log.offsets[u] : log.offsets[u + 1]].tolist() for u in range(log.n_users)]
    for past in histories:
        for place, item in enumerate(past):
            for apart in range(1, min(reach, place) + 1):
                followed[past[place - apart], item] += 1 / apart
    share = followed / np.maximum(followed.sum(1, keepdims=True), 1e-9)
    scores = model.score(query(log, np.arange(log.n_users), history=None))
    for user, past in enumerate(histories):
        wanted = sum(share[past[-apart]] / apart for apart in range(1, min(reach, len(past)) + 1))
        np.testing.assert_allclose(
            scores[user, 1:], np.broadcast_to(wanted, log.n_items)[1:], rtol=1e-4, atol=1e-6
        )


def test_an_item_that_nothing_followed_says_nothing():
    log = log_of(user_id=["a", "a", "b"], item_id=["x", "y", "z"], time=[1.0, 2.0, 3.0])
    model: Any = fitted(Markov(), log)
    scores = model.score(query(log, np.array([0, 1]), history=1))
    assert bool((scores[:, 1:] == 0).all())
    assert bool(torch.isneginf(scores[:, 0]).all())
