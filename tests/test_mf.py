"""MF: its three losses by plain formulas, and that each of them learns."""

from typing import Any

import numpy as np
import pytest
import torch

from checkerboard import checkerboard
from honeyguide.data.batch import examples
from honeyguide.models.mf import MF
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import build
from matrices import dense, everyone, fitted, random_log

LOSSES: dict[str, dict[str, Any]] = {
    "softmax": {"l2": 0.1},
    "sampled-softmax": {"l2": 0.03, "negatives": 12},
    "bpr": {"l2": 0.01, "negatives": 3},
}


def spec_of(loss: str, **settings: Any) -> MF:
    return MF(**{"width": 6, "loss": loss, "batch": 50, **LOSSES[loss], **settings})


def one_batch(spec: MF):
    log = random_log()
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1)
    batch = examples(log, spec.asked()).batch(np.arange(0, 50), seed=5)
    return log, model, batch


def vectors(model) -> tuple[np.ndarray, np.ndarray]:
    named = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    items = named.pop("items.weight")
    (users,) = named.values()
    return users, items


def test_softmax_by_its_formula():
    spec = spec_of("softmax").but(temperature=0.7)
    log, model, batch = one_batch(spec)
    users, items = vectors(model)
    taken, total, count = dense(log), 0.0, 0
    for user in range(50):
        logits = users[user] @ items[1:].T / 0.7
        log_z = np.log(np.exp(logits).sum())
        for item in np.flatnonzero(taken[user]):
            total += log_z - logits[item - 1] + spec.l2 * (users[user] ** 2).sum()
            count += 1
    assert model.loss(batch).item() == pytest.approx(total / count, rel=1e-5)


def test_sampled_softmax_by_its_formula():
    spec = spec_of("sampled-softmax").but(temperature=0.7, sampler="popularity")
    log, model, batch = one_batch(spec)
    users, items = vectors(model)
    taken = dense(log)
    assert batch.negatives is not None
    assert batch.negatives.shape == (12,)
    assert batch.log_p is not None
    p = batch.log_p.double().exp().numpy()
    total = 0.0
    for user, wanted in zip(batch.query.user.tolist(), batch.target[:, 0].tolist(), strict=True):
        top = np.exp(users[user] @ items[wanted] / 0.7) / p[wanted]
        rest = [
            np.exp(users[user] @ items[n] / 0.7) / p[n]
            for n in batch.negatives.tolist()
            if not taken[user, n]
        ]
        total -= np.log(top / (top + sum(rest)))
        total += spec.l2 * ((users[user] ** 2).sum() + (items[wanted] ** 2).sum())
    assert model.loss(batch).item() == pytest.approx(total / 50, rel=1e-5)


def test_bpr_by_its_formula():
    spec = spec_of("bpr")
    log, model, batch = one_batch(spec)
    users, items = vectors(model)
    assert batch.negatives is not None
    assert batch.negatives.shape == (50, 1, 3)
    taken, total = dense(log), 0.0
    for row, (user, wanted) in enumerate(
        zip(batch.query.user.tolist(), batch.target[:, 0].tolist(), strict=True)
    ):
        assert taken[user, wanted]
        for unwanted in batch.negatives[row, 0].tolist():
            assert not taken[user, unwanted]
            apart = users[user] @ (items[wanted] - items[unwanted])
            norms = (users[user] ** 2).sum() + (items[wanted] ** 2).sum()
            norms += (items[unwanted] ** 2).sum()
            total += (np.log1p(np.exp(-apart)) + spec.l2 * norms) / 3
    assert model.loss(batch).item() == pytest.approx(total / 50, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_learns_whose_items_are_whose(loss):
    log = checkerboard()
    spec = spec_of(loss, width=2, epochs=40, learning_rate=0.05, batch=64)
    scores = fitted(spec, log).score(everyone(log, spec)).detach()
    half = log.n_users // 2
    own = torch.cat([scores[:half, 1:11], scores[half:, 11:21]])
    other = torch.cat([scores[:half, 11:21], scores[half:, 1:11]])
    assert bool((own.mean(1) > other.mean(1) + 0.5).all())


def test_a_row_serves_while_the_history_is_the_trained_one():
    log = checkerboard()
    spec = MF(width=2, epochs=20, learning_rate=0.05, l2=0.1)
    model = fitted(spec, log)
    users, items = vectors(model)
    asked = everyone(log, spec)
    assert set(model.answered_by(asked)) == {"trained-row"}
    wanted = users @ items[1:].T
    np.testing.assert_allclose(model.score(asked)[:, 1:].detach(), wanted, rtol=1e-4, atol=1e-5)
    shorter = log.only(np.arange(len(log)) % 7 != 6)  # all but the last event of each
    cut = everyone(shorter, spec)
    assert set(model.answered_by(cut)) == {"fold-in"}
    assert not torch.allclose(model.score(cut)[:, 1:], model.score(asked)[:, 1:])
