"""Ratings: what sparse-fc predicts, how it is measured, and what is refused."""

import numpy as np
import polars as pl
import pytest
import torch

from checkerboard import ITEMS, checkerboard
from declared import ask, scores, train
from honeyguide.config import Choice
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.query import query
from honeyguide.data.rule import Rule
from honeyguide.data.table import Table
from honeyguide.errors import CallError
from honeyguide.evaluate.ratings import predict
from honeyguide.experiment.lists import evaluate_predictions
from honeyguide.experiment.splitting import open_split
from honeyguide.models.chebycf import ChebyCF
from honeyguide.models.ease import EASE
from honeyguide.models.ials import IALS
from honeyguide.models.mf import MF
from honeyguide.models.sparse_fc import SparseFC
from honeyguide.models.spec import Schema, Spec
from honeyguide.nn import memory
from honeyguide.recommender import Recommender
from honeyguide.train.trainer import build

SMALL = SparseFC(hidden=(16, 16), l2=0.5, epochs=60)


def tastes(users: int = 80, items: int = 40, seed: int = 0) -> pl.DataFrame:
    """Ratings from 1 to 5 that two hidden tastes explain, a half of them given."""
    draw = np.random.default_rng(seed)
    level = 3 + draw.normal(size=(users, 2)) @ draw.normal(size=(2, items))
    user, item = np.nonzero(draw.random((users, items)) < 0.5)
    value = np.clip(np.round(level[user, item]), 1, 5)
    part = np.where(draw.random(len(user)) < 0.2, "test", "train")
    columns = {"user_id": user, "item_id": item, "value": value, "part": part}
    return pl.DataFrame(columns).with_columns(kind=pl.lit("rating"))


def test_predictions_are_ratings_and_beat_the_mean_by_far():
    _, parts = open_split(tastes(), Inputs())
    model = train(SMALL, parts.train)
    told = predict(model, parts.test)
    assert told.prediction.min() > 0.9
    assert told.prediction.max() < 5.1
    assert parts.train.value is not None
    mean = np.sqrt(np.mean((told.truth - parts.train.value.mean()) ** 2))
    assert told.summary("rmse").mean < 0.75 * mean
    assert told.summary("mae").mean < told.summary("rmse").mean


def test_a_recommender_predicts_what_predictions_are_measured_by():
    log = tastes()
    rec = Recommender(SMALL).fit(log.filter(part="train").drop("part"))
    test = log.filter(part="test")
    told = rec.score(test["user_id"].to_list(), test["item_id"].to_list())
    frame = test.select("user_id", "item_id").with_columns(prediction=pl.Series(told["score"]))
    _, parts = open_split(log, Inputs())
    direct = predict(train(SMALL, parts.train), parts.test).summary("rmse").mean
    measured = evaluate_predictions(frame, log).metrics["rmse"].mean
    assert abs(measured - direct) < 0.1  # another seed


def test_a_new_user_is_folded_in_near_their_own_ratings():
    _, parts = open_split(tastes(), Inputs())
    model = train(SMALL, parts.train)
    users = parts.test.users
    asked = query(parts.train.counting(SMALL.rule), users, history=None, known=False)
    known = query(parts.train.counting(SMALL.rule), users, history=None)
    stranger, own = scores(model, asked), scores(model, known)
    pairs = asked.pairs(SMALL.rule)
    missed = stranger[pairs.rows(), pairs.items] - pairs.weights
    assert float(missed.square().mean().sqrt()) < 0.8
    assert float((stranger - own)[:, 1:].square().mean().sqrt()) < 0.5
    assert model.answered_by(asked) == ["fold-in"] * len(users)


def test_the_value_of_a_pair_is_that_of_its_last_event_in_training_and_in_a_question():
    events = pl.DataFrame(
        {
            "user_id": [0, 0, 0, 1],
            "item_id": [2, 1, 2, 1],
            "kind": "rating",
            "value": [1.0, 4.0, 5.0, None],
            "time": [1.0, 2.0, 3.0, 4.0],
        }
    )
    log = Interactions.of(Table(events))
    rule = Rule(value="value")
    matrix = log.pairs(rule)
    rows = query(log, np.array([0, 1]), history=None).pairs(rule)
    assert rows.items.tolist() == matrix.indices.tolist()
    assert np.array_equal(rows.weights.numpy(), matrix.data, equal_nan=True)
    assert sorted(matrix.data[:2]) == [4.0, 5.0]
    assert np.isnan(matrix.data[2])


def test_models_of_ratings_refuse_what_has_none_and_rankers_predict_none():
    with pytest.raises(CallError, match="sparse-fc needs value") as caught:
        train(SMALL, checkerboard())
    assert "--rating" in caught.value.do
    _, parts = open_split(tastes(), Inputs())
    with pytest.raises(CallError, match="ease ranks and predicts no ratings"):
        predict(train(EASE(), parts.train), parts.test)


@pytest.mark.parametrize(
    ("spec", "name"),
    [(MF(width=50), "width"), (IALS(width=50), "width"), (ChebyCF(rank=50), "rank")],
)
def test_a_rank_above_the_number_of_items_is_refused_unless_it_is_the_default(
    spec: Spec, name: str
) -> None:
    with pytest.raises(CallError, match=f"{name} 50 is more than the 40 items") as caught:
        build(spec, Schema(users=10, items=41), 0)
    assert caught.value.do == f"Set {spec.name}.{name} to at most 40."
    build(type(spec)(), Schema(users=10, items=41), 0)
    space = spec.searched(checkerboard()).get(name)
    assert space is None or (isinstance(space, Choice) and max(space.values) <= ITEMS)


def test_a_question_without_ratings_is_one_of_likings():
    model = train(SparseFC(hidden=(8, 8), l2=0.1, epochs=40), checkerboard(rated=True))
    asked = ask(model.spec, np.array([0, 59]))
    assert asked.value is not None
    assert torch.isfinite(scores(model, asked)[:, 1:]).all()


def test_a_matrix_that_does_not_fit_is_refused_with_the_bytes(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    with pytest.raises(CallError, match="sparse-fc holds 8 matrices of 60 users x 22") as caught:
        train(SMALL, checkerboard(rated=True))
    assert "42.2 kB, and 10 kB are left" in caught.value.wrong
