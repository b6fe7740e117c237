"""NeuMF by the formulas of its paper, and how a row is folded in."""

from typing import Any

import numpy as np
import pytest
import torch

from honeyguide.data.batch import examples
from honeyguide.models.neumf import NeuMF
from honeyguide.models.spec import Schema
from honeyguide.nn import perceptron
from honeyguide.nn.bits import bits_of
from honeyguide.nn.dropout import drawn_by
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


@pytest.mark.parametrize("loss", ["bce", "bpr"])
@pytest.mark.parametrize("hidden", [(6, 3), (5,), (8, 6, 3)])
@pytest.mark.parametrize("parts", ["both", "gmf", "mlp"])
def test_the_kernel_gives_the_loss_and_the_gradients_of_the_formulas(parts, hidden, loss):
    log, spec = random_log(), SMALL.but(parts=parts, hidden=hidden, loss=loss, l2=0.1)
    batch = examples(log, spec.asked()).batch(np.arange(40), seed=3)
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).train()
    with torch.no_grad():  # far from where every relu is shut
        for parameter in model.parameters():
            parameter.mul_(10)
    told = model.loss(batch)
    (3 * told).backward()
    given = {name: p.grad.to_dense() / 3 for name, p in model.named_parameters()}
    model.zero_grad()
    plain = model.plain_loss(batch)
    plain.backward()
    torch.testing.assert_close(told, plain)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(given[name], parameter.grad.to_dense(), rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_what_dropout_left():
    log, spec = random_log(), SMALL.but(dropout=0.5, hidden=(16, 8))
    batch = examples(log, spec.asked()).batch(np.arange(40), seed=3)
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).train()

    def loss() -> Any:
        torch.manual_seed(5)
        return model.loss(batch)

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)
    loss().backward()
    for name, parameter in model.named_parameters():
        grad, values = parameter.grad.to_dense().flatten(), parameter.data.view(-1)
        place, step = int(grad.abs().argmax()), 0.3 if name == "of_factors" else 3e-3
        told = []
        for sign in (1, -1):
            values[place] += sign * step
            told.append(loss().item())
            values[place] -= sign * step
        assert (told[0] - told[1]) / (2 * step) == pytest.approx(grad[place].item(), rel=0.05), name


def test_nothing_is_dropped_but_in_training_and_each_layer_has_its_own_mask():
    log, spec = random_log(), SMALL.but(dropout=0.5, hidden=(16, 16))
    batch = examples(log, spec.asked()).batch(np.arange(40), seed=3)
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).train()
    assert len({model.loss(batch).item() for _ in range(3)}) == 3
    model.eval()
    assert model.loss(batch).item() == model.loss(batch).item()
    torch.testing.assert_close(model.loss(batch), model.plain_loss(batch))
    looked = perceptron._Looked.up(model.items.weight, batch.target, "items")
    how = perceptron.Told("bce", 0.0, 0.5)
    step = perceptron._Step(looked, looked, batch.target.shape, how, torch.float32)
    assert step._mask(0)[0] != step._mask(1)[0]


@pytest.mark.parametrize("layer", ["first", "further"])
def test_half_of_the_hidden_values_are_dropped_and_the_rest_doubled(layer):
    ones, places = np.ones((1000, 64), np.float32), np.arange(1000, dtype=np.int32)
    rows, by = bits_of(torch.ones(1000, 64)), drawn_by(3, 0.5)
    if layer == "first":
        made = np.empty_like(rows)
        half = np.full_like(ones[0], -0.5)
        perceptron._first(rows, rows, places, places, half, made, *by, np.float32(2))
        expected = 3
    else:
        made = rows
        perceptron._further(rows, np.ones(64, np.float32), *by, np.float32(2))
        expected = 4
    told = made.view(np.float32)
    assert set(np.unique(told)) == {0, expected}
    assert 0.48 < (told == 0).mean() < 0.52


def test_in_bf16_the_kernel_gives_what_f32_gives_but_for_rounding():
    log, spec = random_log(), SMALL.but(hidden=(16, 8), l2=0.1)
    batch = examples(log, spec.asked()).batch(np.arange(40), seed=3)
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)
    seen = []
    for narrow in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
            loss = model.loss(batch)
        loss.backward()
        seen.append([loss, *(p.grad.to_dense() for p in model.parameters())])
    assert any(not torch.equal(wide, narrow) for wide, narrow in zip(*seen, strict=True))
    for wide, narrow in zip(*seen, strict=True):
        assert (wide - narrow).norm() <= 0.1 * wide.norm()


def test_a_weight_that_is_not_a_number_is_seen_in_the_loss():
    log = random_log()
    batch = examples(log, SMALL.asked()).batch(np.arange(40), seed=3)
    model: Any = build(SMALL, Schema(users=log.n_users, items=log.n_items), 1).train()
    with torch.no_grad():
        model.items.weight.fill_(float("nan"))
    assert model.loss(batch).isnan()


def test_a_last_batch_smaller_than_the_catalogue_is_trained_on():
    log = random_log(users=30, items=50)
    pairs = len(examples(log, SMALL.asked()))
    fitted(SMALL.but(batch=pairs - 1), log)  # a step of many pairs, then one of a single pair
