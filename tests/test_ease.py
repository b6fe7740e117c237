"""EASE against the formula of the paper, by numpy's inverse in f64."""

import numpy as np
import polars as pl
import pytest

from honeyguide.data.interactions import Interactions
from honeyguide.data.table import Table
from honeyguide.errors import TrainingError
from honeyguide.models.ease import EASE
from honeyguide.models.spec import Schema
from matrices import dense, everyone, fitted, random_log


def textbook(matrix: np.ndarray, l2: float) -> np.ndarray:
    """B = I - P diag(1 / diag P), P the inverse of the Gram matrix plus ridge."""
    items = matrix[:, 1:]
    inverse = np.linalg.inv(items.T @ items + l2 * np.eye(items.shape[1]))
    return np.asarray(np.eye(items.shape[1]) - inverse / np.diag(inverse))


@pytest.mark.parametrize("l2", [1.0, 20.0, 500.0])
@pytest.mark.parametrize("users", [80, 20])  # the inverse among items, and among users
def test_weights_and_scores_are_those_of_the_formula(l2, users):
    log, spec = random_log(users), EASE(l2=l2)
    matrix = dense(log)
    wanted = textbook(matrix, l2)
    model = fitted(spec, log)
    np.testing.assert_allclose(model.weight[1:, 1:], wanted, atol=1e-6)
    assert bool((model.weight.diagonal() == 0).all())
    scores = model.score(everyone(log, spec))[:, 1:].numpy()
    np.testing.assert_allclose(scores, matrix[:, 1:] @ wanted, atol=1e-5)


def test_a_catalogue_that_does_not_fit_is_refused_with_the_bytes(monkeypatch):
    monkeypatch.setattr("honeyguide.nn.memory.available", lambda: 1_000_000)
    with pytest.raises(TrainingError, match=r"1,000 x 1,000 weights .* 8.02 MB, and 1 MB are left"):
        EASE().build(Schema(users=5, items=1001))


def test_what_was_sent_back_counts_neither_in_training_nor_in_a_question():
    bought = {"user_id": [0, 0, 1, 1], "item_id": [1, 2, 1, 2], "kind": "purchase"}
    events = pl.DataFrame(bought).with_columns(time=pl.Series([1.0, 2.0, 1.0, 2.0]))
    sent = pl.DataFrame({"user_id": [1], "item_id": [2], "kind": "return", "time": [3.0]})
    log, spec = Interactions.of(Table(pl.concat([events, sent]))), EASE(l2=1.0)
    model = fitted(spec, log)
    wanted = textbook(np.array([[0.0, 1, 1], [0, 1, 0]]), 1.0)
    np.testing.assert_allclose(model.weight[1:, 1:], wanted, atol=1e-6)
    scores = model.score(everyone(log, spec))[1, 1:].numpy()
    np.testing.assert_allclose(scores, wanted[0], atol=1e-6)
