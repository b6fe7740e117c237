"""Ratings that a model predicts for the truth of a holdout, for rmse and mae (see predicted.py)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from honeyguide.data.query import query
from honeyguide.data.split import Holdout
from honeyguide.errors import CallError
from honeyguide.evaluate.predicted import measured
from honeyguide.evaluate.statistics import Summary
from honeyguide.models.spec import Model

BLOCK = 1024  # users asked at once


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What came true and what was predicted, by event. Of an item that training never saw, the mean
    over all items is what is predicted for the user."""

    users: Int64[np.ndarray, " N"]
    truth: Float64[np.ndarray, " N"]
    prediction: Float64[np.ndarray, " N"]

    def summary(self, name: str) -> Summary:
        """rmse, mae or another metric of predictions, with its interval over users."""
        return measured(name, self.truth, self.prediction).summary(self.users)


@torch.inference_mode()
def predict(model: Model, holdout: Holdout) -> Predicted:
    """Ask for every rating of the truth. CallError where model or truth knows no ratings."""
    spec, truth = model.spec, holdout.truth
    if "value" not in spec.needs:
        raise CallError(
            f"{spec.name} ranks and predicts no ratings, so their error cannot be measured.",
            "Ask for metrics of lists, such as ndcg@10, or take a model of ratings (sparse-fc).",
        )
    if truth.value is None:
        raise CallError(
            "The test part has no ratings to be predicted.",
            "Name their column with --rating, or ask for metrics of lists, such as ndcg@10.",
        )
    rated = truth.only(np.isfinite(truth.value) & np.isin(truth.user, holdout.users))
    assert rated.value is not None
    history, told = holdout.history.counting(spec.rule), np.empty(len(rated))
    for start in range(0, len(holdout.users), BLOCK):
        users = holdout.users[start : start + BLOCK]
        scores = model.score(query(history, users, history=spec.past))
        mine = np.flatnonzero((rated.user >= users[0]) & (rated.user <= users[-1]))
        row = np.searchsorted(users, rated.user[mine])
        item = rated.item[mine]
        new = item >= scores.shape[1]
        found = scores[row, np.where(new, 1, item)].numpy()
        told[mine] = np.where(new, scores[:, 1:].mean(1).numpy()[row], found)
    return Predicted(rated.user.astype(np.int64), rated.value.astype(np.float64), told)
