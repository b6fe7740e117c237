"""CP by its formula, the times that it looks at, and a log in which the hour is what matters."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from honeyguide.data.batch import examples
from honeyguide.data.interactions import Interactions
from honeyguide.data.table import Table
from honeyguide.models.cp import CP
from matrices import everyone, fitted, random_log

HOUR, DAY = 3600.0, 86_400.0
SMALL = CP(width=4, epochs=2, batch=64)


def rows(model: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return tuple(p.detach() for p in (model.user.weight, model.items.weight, model.contexts))


@pytest.mark.parametrize(
    ("context", "bucket"),
    [
        ("hour", lambda day, hour: hour),
        ("weekday", lambda day, hour: day % 7),
        ("hour-of-week", lambda day, hour: day % 7 * 24 + hour),
    ],
)
def test_scores_by_the_formula(context, bucket):
    log = random_log(users=20)
    model = fitted(SMALL.but(context=context), log)
    users, items, contexts = rows(model)
    asked = everyone(log, model.spec)
    for day, hour in ((0, 0), (19_700, 5), (19_703, 23)):
        now = torch.full((20,), day * DAY + hour * HOUR + 59.0, dtype=torch.float64)
        told = model.score(replace(asked, now=now)).detach()[:, 1:]
        wanted = (users * contexts[bucket(day, hour)]) @ items[1:].T
        torch.testing.assert_close(told, wanted, rtol=1e-4, atol=1e-5)


def test_without_now_it_is_the_last_event_and_without_times_the_mean():
    log = random_log(users=20)
    model = fitted(SMALL, log)
    asked = everyone(log, model.spec)
    assert asked.now is None
    assert log.time is not None
    last = torch.from_numpy(log.time[log.offsets[1:] - 1])
    there = model.query_vectors(replace(asked, now=last))
    assert torch.equal(model.query_vectors(asked), there)
    later = replace(asked, now=last + 7 * HOUR)
    assert not torch.allclose(model.query_vectors(later), there)
    nobody_knows = replace(asked, now=torch.full_like(last, torch.nan))
    assert torch.equal(model.query_vectors(nobody_knows), there)
    users, _, contexts = rows(model)
    timeless = model.query_vectors(replace(asked, time=None))
    torch.testing.assert_close(timeless, users * contexts.mean(0), rtol=1e-5, atol=1e-6)


def test_a_pair_is_asked_at_its_last_time():
    at = [5.0, 9.0, 7.0, 6.0]
    events = pl.DataFrame(
        {"user_id": ["a", "a", "a", "b"], "item_id": ["x", "x", "y", "y"], "time": at}
    )
    log = Interactions.of(Table(events))
    batch = examples(log, CP(loss="softmax").asked()).batch(np.arange(3), 0)
    assert batch.query.now is not None
    assert batch.query.now.dtype == torch.float64
    pairs = zip(batch.query.user.tolist(), batch.target[:, 0].tolist(), strict=True)
    told = dict(zip(pairs, batch.query.now.tolist(), strict=True))
    x, y = log.items.numbers(["x", "y"]).tolist()
    assert told == {(0, x): 9.0, (0, y): 7.0, (1, y): 6.0}


def test_folding_in_the_trained_history_gives_back_the_trained_row(monkeypatch):
    log = random_log()
    model, asked = fitted(SMALL, log), everyone(log, SMALL)
    folded = model.fold_in(asked, model.priors(asked.user)).detach()
    torch.testing.assert_close(folded, model.rows(asked.user).detach(), rtol=1e-4, atol=1e-5)
    monkeypatch.setattr("honeyguide.models.cp.ROWS", 7)
    blocks = model.fold_in(asked, model.priors(asked.user)).detach()
    torch.testing.assert_close(folded, blocks, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "sampled-softmax", "bpr"])
def test_it_learns_what_belongs_to_the_hour(loss):
    """Everyone takes three of items 1 to 5 at 8 o'clock and three of 6 to 10 at 20 o'clock."""
    draw = np.random.default_rng(0)
    users = np.repeat(np.arange(60), 6)
    late = np.tile([0, 0, 0, 1, 1, 1], 60)
    items = np.concatenate([1 + 5 * (n % 2) + draw.permutation(5)[:3] for n in range(120)])
    time = DAY * draw.integers(19_000, 19_100, len(users)) + HOUR * (8 + 12 * late)
    events = pl.DataFrame({"user_id": users, "item_id": items, "time": time})
    log = Interactions.of(Table(events.with_columns(kind=pl.lit("purchase"))))
    spec = CP(width=2, epochs=40, batch=64, learning_rate=0.03, loss=loss, negatives=32)
    model, asked = fitted(spec, log), everyone(log, spec)
    numbers = log.items.numbers(list(range(1, 11)))
    for hour, own, other in ((8, numbers[:5], numbers[5:]), (20, numbers[5:], numbers[:5])):
        now = torch.full((60,), 19_200 * DAY + hour * HOUR, dtype=torch.float64)
        told = model.score(replace(asked, now=now)).detach()
        assert bool((told[:, own].mean(1) > told[:, other].mean(1) + 0.5).all()), hour
