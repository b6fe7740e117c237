"""LightGCN and XSimGCL: trained rows, folded-in rows and what a batch costs, by dense formulas."""

from typing import Any

import numpy as np
import pytest
import torch

from honeyguide.data.batch import examples
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError
from honeyguide.models.lightgcn import LightGCN
from honeyguide.models.spec import Schema
from honeyguide.models.xsimgcl import XSimGCL
from honeyguide.train.trainer import build
from matrices import dense, everyone, fitted, random_log

SPECS = {
    "lightgcn": LightGCN(width=6, epochs=3, batch=40),
    "xsimgcl": XSimGCL(width=6, epochs=3, batch=40, layers=3),
}


def means(model: Any, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tables after passing, by the dense matrix."""
    degrees = np.maximum(taken.sum(1), 1)[:, None] * np.maximum(taken.sum(0), 1)
    edges = taken / np.sqrt(degrees)
    layer = [p.detach().double().numpy() for p in (model.user.weight, model.items.weight)]
    total = [model.shares[0] * part for part in layer]
    for share in model.shares[1:]:
        layer = [edges @ layer[1], edges.T @ layer[0]]
        total = [t + share * part for t, part in zip(total, layer, strict=True)]
    return total[0], total[1]


@pytest.mark.parametrize("name", SPECS)
def test_scores_come_from_the_mean_over_layers(name):
    log, spec = random_log(), SPECS[name]
    model = fitted(spec, log)
    users, items = means(model, dense(log))
    asked = everyone(log, spec)
    assert set(model.answered_by(asked)) == {"trained-row"}
    scores = model.score(asked).detach()
    np.testing.assert_allclose(scores[:, 1:], users @ items[1:].T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_folding_in_the_trained_history_gives_back_the_trained_row(name):
    log, spec = random_log(), SPECS[name]
    model = fitted(spec, log)
    asked = everyone(log, spec)
    folded = model.fold_in(asked, model.priors(asked.user)).detach()
    torch.testing.assert_close(folded, model.rows(asked.user).detach(), rtol=1e-4, atol=1e-5)


def test_without_layer_nought_a_stranger_gets_the_list_of_a_trained_user():
    log, spec = random_log(), SPECS["xsimgcl"]
    model = fitted(spec, log)
    known, stranger = (everyone(log, spec, known=k) for k in (True, False))
    scores = [model.score(asked).detach()[:, 1:] for asked in (known, stranger)]
    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-5)


def test_bpr_by_its_formula():
    log = random_log()
    spec = LightGCN(width=6, layers=2, loss="bpr", negatives=3, batch=50, l2=0.01)
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1)
    model.prepare(TrainingData(log))
    batch = examples(log, spec.asked()).batch(np.arange(50), seed=5)
    users, items = means(model, dense(log))
    free = [p.detach().double().numpy() for p in (model.user.weight, model.items.weight)]
    assert batch.negatives is not None
    total = 0.0
    for row, (user, wanted) in enumerate(
        zip(batch.query.user.tolist(), batch.target[:, 0].tolist(), strict=True)
    ):
        for unwanted in batch.negatives[row, 0].tolist():
            apart = users[user] @ (items[wanted] - items[unwanted])
            size = sum((t[n] ** 2).sum() for t, n in zip(free, (user, wanted), strict=True))
            size += (free[1][unwanted] ** 2).sum()
            total += (np.log1p(np.exp(-apart)) + spec.l2 * size) / 3
    assert model.loss(batch).item() == pytest.approx(total / 50, rel=1e-5)


@pytest.mark.parametrize("narrow", [False, True], ids=["f32", "bf16"])
@pytest.mark.parametrize("loss", ["bpr", "ccl"])
@pytest.mark.parametrize("name", SPECS)
def test_the_pass_over_pairs_gives_the_gradients_of_the_formulas(name, loss, narrow, monkeypatch):
    log = random_log()
    spec = SPECS[name].but(loss=loss, negatives=3, l2=0.01)
    batch = examples(log, spec.asked()).batch(np.arange(50), seed=5)
    seen = []
    for kernel in (True, False):
        monkeypatch.setattr("honeyguide.models.factor.by_kernel", lambda users, by=kernel: by)
        model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1)
        model.prepare(TrainingData(log))
        torch.manual_seed(2)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
            loss_by = model.loss(batch)
        loss_by.backward()
        seen.append([loss_by, *(p.grad.to_dense() for p in model.parameters())])
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_contrast_is_added_to_the_loss():
    log = random_log()
    plain = XSimGCL(width=6, contrast=0.0, noise=0.0, l2=0.0)
    batch = examples(log, plain.asked()).batch(np.arange(20), seed=5)
    told = {}
    for contrast in (0.0, 0.3):
        spec = plain.but(contrast=contrast)
        model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1)
        model.prepare(TrainingData(log))
        told[contrast] = model.loss(batch).item()
    assert told[0.3] > told[0.0] + 0.1


def test_a_layer_that_is_not_there_cannot_be_contrasted_with():
    with pytest.raises(CallError, match="no layer 3 among 2"):
        XSimGCL(layers=2, contrast_layer=3)
