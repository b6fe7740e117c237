"""BERT4Rec: what is hidden is hidden whole, the loss by its formula, what comes next on a ring."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from honeyguide.data.batch import examples
from honeyguide.data.kinds import KINDS
from honeyguide.data.vocab import PAD
from honeyguide.data.words import MOST
from honeyguide.models.bert4rec import BERT4Rec
from honeyguide.models.spec import Schema
from honeyguide.nn.attention import Block, BothWays
from honeyguide.train.trainer import build
from matrices import everyone, fitted, random_log
from test_sasrec import RING, ring

READ: dict[str, Any] = {"kinds": True, "gaps": True}
SMALL = BERT4Rec(
    width=16, layers=1, heads=2, history=8, batch=16, epochs=80, learning_rate=0.01, dropout=0.0
)
RNG = torch.random.default_generator


def batch_of(spec: BERT4Rec):
    log = random_log()
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).eval()
    return model, examples(log, spec.asked()).batch(np.arange(0, 30), seed=5)


def hide(*places: tuple[int, int], like: torch.Tensor) -> torch.Tensor:
    hidden = torch.zeros_like(like, dtype=torch.bool)
    for row, place in places:
        hidden[row, place] = True
    return hidden


def test_learns_what_comes_next():
    log = ring()
    scores = fitted(SMALL, log).score(everyone(log, SMALL))
    start = np.arange(24)
    way = np.where(start % 2 == 0, 1, -1)
    following = torch.from_numpy((start // 2 + way * 9) % RING + 1)
    assert float((scores.argmax(1) == following).float().mean()) > 0.9


def test_every_place_sees_all_of_its_sequence_and_no_padding():
    torch.manual_seed(0)
    reader = BothWays(8, 2, 0.5, length=7, block=partial(Block, 8, 2, 16, 0.5)).eval()
    x, length = torch.randn(2, 7, 8, requires_grad=True), torch.tensor([7, 4])
    for row, place in ((0, 0), (0, 6), (1, 0), (1, 3)):
        (grad,) = torch.autograd.grad(reader(x, length)[row, place].square().sum(), x)
        touched = grad.abs().sum(2) > 0
        assert bool(touched[row, : length[row]].all())
        assert not bool(touched[row, length[row] :].any())
        assert not bool(touched[1 - row].any())


def test_what_is_hidden_tells_nothing_of_itself():
    model, batch = batch_of(SMALL.but(**READ))
    asked, row, place = batch.query, 3, 2
    assert int(asked.length[row]) > place + 1
    hidden = hide((row, place), like=asked.item)

    def said(**columns: torch.Tensor) -> torch.Tensor:
        read: torch.Tensor = model._read(replace(asked, **columns), hidden)
        return read.detach()

    plain = said()
    for name, other in (("item", 1), ("kind", KINDS["view"].number), ("time", 9e9)):
        column = getattr(asked, name).clone()
        assert column[row, place] != other
        column[row, place] = other
        assert torch.equal(said(**{name: column}), plain), name
        column[row, place + 1] = other
        assert not torch.allclose(said(**{name: column})[row, place], plain[row, place]), name


@pytest.mark.parametrize("similarity", ["dot", "cosine", "projection"])
@pytest.mark.parametrize("loss", ["softmax", "sampled-softmax"])
def test_the_loss_asks_for_what_is_hidden_and_what_comes_next(loss, similarity):
    spec = SMALL.but(loss=loss, negatives=9, masked=0.5, similarity=similarity, temperature=0.5)
    model, batch = batch_of(spec)
    query = batch.query
    state = RNG.get_state()
    found = model.loss(batch)
    RNG.set_state(state)
    hidden = torch.rand(query.item.shape) < 0.5
    hidden &= query.mask()  # nobody searches here, nor takes anything back
    assert bool(hidden.any())
    said, items = model._read(query, hidden).double(), model.items.weight.double()
    if similarity == "cosine":
        said = normalize(said, dim=2)
    if similarity != "dot":
        items = normalize(items)
    targets = [(row, place, int(query.item[row, place])) for row, place in hidden.nonzero()]
    for row, length in enumerate(query.length.tolist()):
        targets.append((row, length, int(batch.target[row, length - 1])))
    asked = torch.stack([said[row, place] for row, place, item in targets if item != PAD])
    target = torch.tensor([item for _, _, item in targets if item != PAD])
    logits = asked @ items.T / 0.5
    if loss == "softmax":
        wanted = cross_entropy(logits[:, 1:], target - 1)
    else:
        logits = (logits - batch.log_p).exp()
        drawn = logits[:, batch.negatives] * (batch.negatives != target[:, None])
        own = logits.gather(1, target[:, None])[:, 0]
        wanted = -(own / (own + drawn.sum(1))).log().mean()
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_a_batch_that_asks_for_nothing_hides_all_it_can():
    model, batch = batch_of(SMALL.but(masked=0.0))
    some = replace(batch, target=torch.zeros_like(batch.target))
    found = model.loss(some)
    assert bool(found.isfinite())
    assert found.item() > 1.0
    found.backward()
    assert bool(model.mask.grad.abs().sum() > 0)


def test_a_search_is_read_and_never_hidden():
    model, batch = batch_of(SMALL.but(words=True, masked=0.99))
    item = batch.query.item.clone()
    item[3, 2] = PAD
    words = torch.zeros(*item.shape, MOST, dtype=torch.int64)
    words[3, 2, 0] = 5
    model.loss(replace(batch, query=replace(batch.query, item=item, words=words))).backward()
    assert bool(model.words.weight.grad[5].abs().sum() > 0)
