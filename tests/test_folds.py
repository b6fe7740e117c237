"""Folds of a k-fold split are measured one by one and told as one."""

import json

import numpy as np
import pytest

from honeyguide.data.opening import Inputs
from honeyguide.data.shop import simulate
from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.experiment import compare
from honeyguide.experiment.folds import pooled
from honeyguide.experiment.measuring import Result
from honeyguide.experiment.writing import write
from honeyguide.models.popular import Popular

SHOP = simulate(4_000, users=80, items=60, seed=2).table
NAME = "ndcg@10"


def result(fold: int, values: dict[int, float] | None, model: str = "popular") -> Result:
    told = None
    if values is not None:
        users, numbers = np.array(list(values)), np.array(list(values.values()))
        told = Evaluation(users, {NAME: numbers}, {"coverage@10": 0.2 * fold}, {"history": 2}, 0.5)
    why = None if told else "no memory"
    return Result(model, 0, Popular(), told, None, 1.0, why, "history", fold)


def test_every_user_counts_once_with_the_mean_of_their_folds():
    told = pooled([result(1, {0: 0.2, 3: 0.4}), result(2, {3: 0.8, 5: 1.0})])[("popular", 0)]
    assert told.users.tolist() == [0, 3, 5]
    assert told.per_user[NAME].tolist() == pytest.approx([0.2, 0.6, 1.0])
    assert told.overall["coverage@10"] == pytest.approx(0.3)
    assert told.answered_by == {"history": 4}
    assert told.seconds == 1.0


def test_a_model_that_failed_in_a_fold_is_not_compared():
    found = pooled([result(0, {1: 0.5}), result(1, None), result(0, {1: 0.5}, "ease")])
    assert set(found) == {("ease", 0)}


def test_all_folds_are_compared_and_written(tmp_path):
    inputs = Inputs(split="k-fold", folds=3)
    told = compare(SHOP, ["popular", "ease"], inputs=inputs, metrics=(NAME, "coverage@10"))
    assert [(r.model, r.fold) for r in told.results] == [
        (model, fold) for fold in range(3) for model in ("popular", "ease")
    ]
    asked = pooled(told.results)[("ease", 0)]
    assert len(asked.users) > max(len(r.evaluation.users) for r in told.results)
    assert told.differences[0].metric == NAME
    write(told, tmp_path / "out.json")
    document = json.loads((tmp_path / "out.json").read_text())
    files = [tmp_path / row["per_user"] for row in document["results"]]
    assert len(set(files)) == 6
    assert all(file.exists() for file in files)


def test_a_named_fold_is_the_only_one():
    inputs = Inputs(split="k-fold", folds=3, fold=2)
    told = compare(SHOP, ["popular"], inputs=inputs, metrics=(NAME,))
    assert [r.fold for r in told.results] == [None]
    assert told.about["protocol"]["fold"] == 2
