"""NeuMF by the formulas of its paper, and how a row is folded in."""

from typing import Any

import numpy as np
import pytest
import torch

from honeyguide.data.batch import examples
from honeyguide.models.neumf import NeuMF
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import build
from matrices import everyone, fitted, random_log

SMALL = NeuMF(width=4, hidden=(6, 3), epochs=2, batch=64, dropout=0.0)


def plain_scores(model: Any, spec: NeuMF) -> np.ndarray:
    """(U, I) of the trained rows, pair by pair as in the paper."""
    w = {name: part.detach().double().numpy() for name, part in model.named_parameters()}
    users, items, d = w["user.weight"], w["items.weight"], spec.width
    scores = np.zeros((len(users), len(items)))
    for u, user in enumerate(users):
        for i, item in enumerate(items):
            if spec.parts != "mlp":
                scores[u, i] += (user[:d] * item[:d]) @ w["of_factors"]
            if spec.parts != "gmf":
                joined = np.concatenate([user[-d:], item[-d:]])
                sides = [w["perceptron.of_user.weight"], w["perceptron.of_item.weight"]]
                hidden = np.concatenate(sides, 1) @ joined + w["perceptron.of_user.bias"]
                hidden = np.maximum(hidden, 0)
                for n in range(len(spec.hidden) - 1):
                    layer = w[f"perceptron.deeper.{n}.weight"]
                    hidden = np.maximum(layer @ hidden + w[f"perceptron.deeper.{n}.bias"], 0)
                scores[u, i] += w["perceptron.out.weight"][0] @ hidden
                scores[u, i] += w["perceptron.out.bias"][0]
    return scores


@pytest.mark.parametrize("parts", ["both", "gmf", "mlp"])
def test_scores_by_the_formula(parts):
    log, spec = random_log(users=20), SMALL.but(parts=parts)
    model = fitted(spec, log)
    scores = model.score(everyone(log, spec)).detach()
    np.testing.assert_allclose(
        scores[:, 1:], plain_scores(model, spec)[:, 1:], rtol=1e-4, atol=1e-5
    )


def test_folding_in_the_trained_history_gives_back_the_trained_row():
    log = random_log()
    model = fitted(SMALL, log)
    asked = everyone(log, SMALL)
    folded = model.fold_in(asked, model.priors(asked.user)).detach()
    torch.testing.assert_close(folded, model.rows(asked.user).detach(), rtol=1e-4, atol=1e-5)


def test_scores_by_blocks_are_the_same(monkeypatch):
    log = random_log()
    model, asked = fitted(SMALL, log), everyone(log, SMALL)
    whole = model.score(asked).detach()
    monkeypatch.setattr("honeyguide.models.neumf.WORKING", 1)
    torch.testing.assert_close(model.score(asked).detach(), whole, rtol=1e-5, atol=1e-6)


def test_the_whole_catalogue_at_once_gives_the_same_gradients():
    log = random_log()
    batch = examples(log, SMALL.asked()).batch(np.arange(40), seed=3)
    grads = []
    for whole in (True, False):
        model: Any = build(SMALL.but(l2=0.1), Schema(users=log.n_users, items=log.n_items), 1)
        model.train()
        model.whole = whole
        model.loss(batch).backward()
        grads.append({name: p.grad.to_dense() for name, p in model.named_parameters()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name], msg=name)


def test_a_last_batch_smaller_than_the_catalogue_is_trained_on():
    log = random_log(users=30, items=50)
    pairs = len(examples(log, SMALL.asked()))
    fitted(SMALL.but(batch=pairs - 1), log)  # a step of many pairs, then one of a single pair
