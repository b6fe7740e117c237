"""Small random logs for the models' own tests, and the same as a dense matrix."""

from typing import Any

import numpy as np
import polars as pl

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query, query
from honeyguide.data.table import Table
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import Vocab
from honeyguide.models.spec import Schema, Spec
from honeyguide.train.trainer import Training, build, fit


def random_log(users: int = 80, items: int = 30, share: float = 0.2, seed: int = 0) -> Interactions:
    """Everyone takes each item with a probability that falls with its number; one event each."""
    draw = np.random.default_rng(seed)
    wanted = share * 2 * (1 - np.arange(items) / items)
    matrix = draw.random((users, items)) < wanted
    matrix[:, 0] |= ~matrix.any(1)
    user, item = matrix.nonzero()
    events = pl.DataFrame({"user_id": user, "item_id": item + 1, "kind": "purchase"})
    events = events.with_columns(time=pl.Series(1.7e9 + draw.permutation(len(events))))
    return Interactions.of(Table(events), items=Vocab.of_items(range(1, items + 1)))


def dense(log: Interactions) -> np.ndarray:
    """(U, I) f64 of 0 and 1, PAD's column first."""
    matrix = np.zeros((log.n_users, log.n_items))
    matrix[log.user, log.item] = 1
    return matrix


def fitted(spec: Spec, log: Interactions, seed: int = 0) -> Any:
    """A model of this log; Any, because each test knows which."""
    model = build(spec, Schema(users=log.n_users, items=log.n_items), seed)
    fit(model, TrainingData(log), training=Training(seed=seed, device="cpu", precision="f32"))
    return model


def everyone(log: Interactions, spec: Spec, *, known: bool = True) -> Query:
    """The question of all users."""
    counted = log.counting(spec.rule)
    return query(counted, np.arange(log.n_users), history=spec.past, known=known)
