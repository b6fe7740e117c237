"""What contracts share: a declaration, the model it trains to, how to ask and how to compare."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from checkerboard import USERS, checkerboard
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query, query
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import Model, Schema, Spec
from honeyguide.train.trainer import Training, build, fit

CLOSE = 1e-5
TRAINING = Training(seed=3, device="cpu", precision="f32")


@dataclass(frozen=True, slots=True)
class Declared:
    """What the author of a model writes down for its tests.

    spec: settings at which it learns sixty users in a second or so.
    personal: whether the answer depends on who asks; only a yardstick may say no.
    """

    spec: Spec
    personal: bool = True


@cache
def trained(spec: Spec) -> Model:
    """The model of this spec after the checkerboard; shared by the contracts, so left as it is."""
    return train(spec, log_for(spec))


def log_for(spec: Spec, *, ordered: bool = True) -> Interactions:
    """The checkerboard with what the spec needs."""
    return checkerboard(ordered=ordered, rated="value" in spec.needs)


def train(spec: Spec, log: Interactions) -> Model:
    """As the recommender does it: build and fit."""
    model = build(spec, Schema(users=log.n_users, items=log.n_items), TRAINING.seed)
    fit(model, TrainingData(log), training=TRAINING)
    return model


def ask(spec: Spec, users: np.ndarray | None = None, *, known: bool = True) -> Query:
    """The question of these users (default: all) of the checkerboard."""
    users = np.arange(USERS) if users is None else users
    return query(log_for(spec).counting(spec.rule), users, history=spec.past, known=known)


@torch.inference_mode()
def scores(model: Model, asked: Query) -> Tensor:
    """What the model says, as our own copy."""
    return model.score(asked).clone()


def same(one: Tensor, other: Tensor, what: str, tolerance: float = CLOSE) -> None:
    """Equal up to rounding, PAD's -inf included."""
    assert one.shape == other.shape, f"{what}: {tuple(one.shape)} and {tuple(other.shape)}"
    apart = (one - other).abs().nan_to_num(0.0)
    worst = float(apart.max()) if apart.numel() else 0.0
    assert torch.equal(one.isinf(), other.isinf()), f"{what}: -inf at other places"
    assert torch.allclose(one, other, rtol=tolerance, atol=tolerance), f"{what}: {worst:.2e} apart"


def picked(asked: Query, rows: slice) -> Query:
    """Some rows of a question."""
    columns: dict[str, Any] = {
        name: column[rows]
        for name in Query.__slots__
        if (column := getattr(asked, name)) is not None
    }
    return Query(**columns)
