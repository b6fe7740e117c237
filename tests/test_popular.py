"""Popular: counts by hand, with and without a half-life."""

import polars as pl
import pytest
import torch

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query
from honeyguide.data.table import Table
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError
from honeyguide.models.popular import DAY, Popular
from honeyguide.models.spec import Schema
from honeyguide.types import NEVER

EVENTS = pl.DataFrame(
    {
        "user_id": [1, 1, 2, 3, 3, 2, 1],
        "item_id": ["a", "b", "b", "b", "c", "a", "c"],
        "kind": ["view", "purchase", "view", "view", "impression", "dislike", "view"],
        "time": [0.0, 10.0, 20.0, 30.0, 30.0, 5.0, 20.0],
    }
).with_columns(pl.col("time") * DAY)


def scored(spec: Popular, events: pl.DataFrame) -> list[float]:
    log = Interactions.of(Table(events))
    model = spec.build(Schema(users=log.n_users, items=log.n_items))
    model.solve(TrainingData(log), 0)
    nothing = torch.zeros((2, 1), dtype=torch.int64)
    zeros = torch.zeros(2, dtype=torch.int64)
    answer = model.score(Query(nothing, nothing, zeros, zeros - 1, zeros))
    assert torch.equal(answer[0], answer[1])
    assert answer[0, 0] == NEVER
    return answer[0, 1:].tolist()


def test_events_that_speak_for_an_item_are_counted():
    # neither the impression of c nor the dislike of a
    assert scored(Popular(), EVENTS) == [1.0, 3.0, 1.0]


def test_an_event_is_worth_half_after_the_half_life():
    # days before the last counted event, at day 30: a 30; b 20, 10, 0; c 10
    assert scored(Popular(half_life=10.0), EVENTS) == pytest.approx(
        [1 / 8, 1 / 4 + 1 / 2 + 1, 1 / 2]
    )
    assert scored(Popular(half_life=1e9), EVENTS) == pytest.approx([1.0, 3.0, 1.0])


def test_a_half_life_needs_times():
    with pytest.raises(CallError, match="needs times"):
        scored(Popular(half_life=10.0), EVENTS.drop("time"))
    assert scored(Popular(), EVENTS.drop("time")) == [1.0, 3.0, 1.0]
