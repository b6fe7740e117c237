"""SASRec: what comes next on a ring, its losses by plain formulas, and that nothing looks ahead."""

from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn.functional import cross_entropy

from honeyguide.data.batch import examples
from honeyguide.data.interactions import Interactions
from honeyguide.data.table import Table
from honeyguide.errors import CallError
from honeyguide.models import sequence
from honeyguide.models.sasrec import SASRec
from honeyguide.models.spec import Schema
from honeyguide.nn.attention import Block, Causal
from honeyguide.train.trainer import build
from matrices import everyone, fitted, random_log

RING = 12
SIMILARITIES = ("dot", "cosine", "projection")
SMALL = SASRec(width=16, layers=2, heads=2, history=8, epochs=12, batch=16, learning_rate=0.01)


def ring() -> Interactions:
    """Everyone walks a ring of twelve items from some place on, half of them backwards."""
    start, step = np.repeat(np.arange(24), 9), np.tile(np.arange(9), 24)
    way = np.where(start % 2 == 0, 1, -1)
    item = (start // 2 + way * step) % RING + 1
    events = pl.DataFrame({"user_id": start, "item_id": item, "time": 1.0 * step})
    return Interactions.of(Table(events.with_columns(kind=pl.lit("view"))))


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"loss": "sampled-softmax", "negatives": 16},
        {"similarity": "cosine"},
        {"similarity": "projection"},
    ],
    ids=lambda told: "-".join(map(str, told.values())),
)
def test_learns_what_comes_next(told):
    log, spec = ring(), SMALL.but(epochs=60, dropout=0.0, **told)
    scores = fitted(spec, log).score(everyone(log, spec))
    start = np.arange(24)
    way = np.where(start % 2 == 0, 1, -1)
    following = torch.from_numpy((start // 2 + way * 9) % RING + 1)
    assert float((scores.argmax(1) == following).float().mean()) > 0.9


def batch_of(spec: SASRec):
    log = random_log()
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).eval()
    return model, examples(log, spec.asked()).batch(np.arange(0, 30), seed=5)


def test_softmax_is_cross_entropy_at_every_event_that_has_a_next():
    model, batch = batch_of(SMALL)
    logits = model.states(batch.query) @ model.items.weight[1:].T
    target = batch.target - 1  # PAD becomes -1
    wanted = cross_entropy(logits.reshape(-1, logits.shape[2]), target.reshape(-1), ignore_index=-1)
    assert model.loss(batch).item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("temperature", [None, 0.5])
def test_softmax_by_a_similarity_and_by_a_temperature(similarity, temperature):
    model, batch = batch_of(SMALL.but(similarity=similarity, temperature=temperature))
    states, _ = model.reader.read(model.inputs(batch.query), None)
    items = model.items.weight[1:]
    if similarity == "cosine":
        states = states / states.square().sum(-1, keepdim=True).sqrt()
    if similarity != "dot":
        items = items / items.square().sum(-1, keepdim=True).sqrt()
    heat = temperature or {"cosine": 0.07}.get(similarity, 1.0)
    logits, target = states @ items.T / heat, batch.target - 1
    wanted = cross_entropy(logits.reshape(-1, logits.shape[2]), target.reshape(-1), ignore_index=-1)
    assert model.loss(batch).item() == pytest.approx(wanted.item(), rel=1e-5)
    scores = model.score(batch.query)[:, 1:].detach()
    last = (batch.query.length - 1)[:, None, None].expand(-1, 1, 16)
    torch.testing.assert_close(scores, (states.gather(1, last) @ items.T)[:, 0].detach())


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_sampled_softmax_by_its_formula(similarity):
    spec = SMALL.but(loss="sampled-softmax", negatives=9, similarity=similarity, temperature=0.5)
    model, batch = batch_of(spec)
    states = model.states(batch.query).detach().double() / 0.5
    items = model.items.weight.detach().double()
    if similarity != "dot":
        items = torch.nn.functional.normalize(items)
    p, drawn = batch.log_p.double().exp(), batch.negatives.tolist()
    total, count = 0.0, 0
    for row, place in (batch.target > 0).nonzero().tolist():
        wanted = int(batch.target[row, place])
        said = (items @ states[row, place]).exp() / p
        rest = sum(float(said[n]) for n in drawn if n != wanted)
        total -= float(torch.log(said[wanted] / (said[wanted] + rest)))
        count += 1
    assert model.loss(batch).item() == pytest.approx(total / count, rel=1e-4)


def test_a_projection_ranks_like_a_cosine_and_only_the_cosine_wants_a_temperature():
    log = random_log()
    spaces = {name: set(SMALL.but(similarity=name).searched(log)) for name in SIMILARITIES}
    assert [name for name, found in spaces.items() if "temperature" in found] == ["cosine"]
    assert spaces["projection"] == spaces["dot"]
    scores = {}
    for name in ("cosine", "projection"):
        model, batch = batch_of(SMALL.but(similarity=name))
        scores[name] = model.score(batch.query)[:, 1:].detach()
    length = scores["projection"].norm(dim=1) / scores["cosine"].norm(dim=1)
    torch.testing.assert_close(scores["projection"], scores["cosine"] * length[:, None])
    assert float(length.min()) > 1.5


@pytest.mark.parametrize("similarity", ["cosine", "projection"])
def test_item_vectors_of_one_length_are_computed_once_for_all_questions(monkeypatch, similarity):
    model, batch = batch_of(SMALL.but(similarity=similarity))
    query, some = batch.query, batch.query.item[:, :3]
    before = model.score(query).detach(), model.score_few(query, some).detach()
    model.keep()
    assert "kept" not in model.state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(model, "item_vectors", None)
        patch.setattr(model, "vectors_of", None)
        assert torch.equal(model.score(query).detach(), before[0])
        assert torch.equal(model.score_few(query, some).detach(), before[1])
    model.train()
    with torch.no_grad():
        model.items.weight[1:] += 1
    assert not torch.equal(model.eval().score(query).detach(), before[0]), "learned nothing new"


def test_no_gradient_flows_from_a_state_to_later_events():
    torch.manual_seed(0)
    reader = Causal(8, 3, 0.5, length=7, block=partial(Block, 8, 2, 16, 0.5)).eval()
    x = torch.randn(2, 7, 8, requires_grad=True)
    for place in range(7):
        (grad,) = torch.autograd.grad(reader.read(x, None)[0][:, place].square().sum(), x)
        touched = grad.abs().sum(2) > 0
        assert bool(touched[:, : place + 1].all())
        assert not bool(touched[:, place + 1 :].any())


def test_few_rows_at_a_time_are_as_good_as_all(monkeypatch):
    log = random_log()
    model, asked = fitted(SMALL.but(epochs=1), log), everyone(log, SMALL)
    whole = model.query_vectors(asked)
    last = asked.length - 1
    torch.testing.assert_close(whole, model.states(asked)[torch.arange(len(asked)), last])
    monkeypatch.setattr(sequence, "WORKING", 1)
    torch.testing.assert_close(model.query_vectors(asked), whole, rtol=1e-4, atol=1e-5)


def test_nobody_asks():
    log = random_log()
    model = fitted(SMALL.but(epochs=1), log)
    empty = everyone(log.of_users(np.zeros(0, dtype=np.int64)), SMALL)
    assert model.score(empty).shape == (0, log.n_items)


def test_heads_must_divide_the_width():
    with pytest.raises(CallError, match="3 heads do not divide a width of 16"):
        SASRec(width=16, heads=3)
