"""ConvNCF by plain convolutions over the outer product, and where it starts."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from honeyguide.data.batch import examples
from honeyguide.errors import CallError
from honeyguide.models.convncf import ConvNCF
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import build
from matrices import everyone, fitted, random_log

SMALL = ConvNCF(width=8, channels=3, epochs=2, batch=64, learning_rate=0.01)


def plain_scores(model: Any) -> torch.Tensor:
    """(U, I) of the trained rows by the convolutions of the paper, in f64."""
    w = {name: part.detach().double() for name, part in model.named_parameters()}
    users, items = w["user.weight"], w["items.weight"]
    image = torch.einsum("ux,iy->uixy", users, items).flatten(0, 1)[:, None]
    shifts, channels = w["tower.shifts"], len(w["tower.out"])
    image = conv2d(image, w["tower.first"].permute(2, 0, 1)[:, None], shifts[0], stride=2).relu()
    for n, shift in enumerate(shifts[1:]):
        # by item's neighbour, (user's neighbour, channel), channel -> out, in, user's, item's
        layer = w[f"tower.layers.{n}"].unflatten(1, (2, channels)).permute(3, 2, 1, 0)
        image = conv2d(image, layer, shift, stride=2).relu()
    assert image.shape[2:] == (1, 1)
    return (image[:, :, 0, 0] @ w["tower.out"]).view(len(users), len(items))


@pytest.mark.parametrize("width", [4, 8, 32])
def test_scores_by_the_convolutions_of_the_paper(width):
    log = random_log(users=20, items=35)
    model = fitted(SMALL.but(width=width), log)
    scores = model.score(everyone(log, model.spec)).detach()[:, 1:].double()
    torch.testing.assert_close(scores, plain_scores(model)[:, 1:], rtol=1e-4, atol=1e-5)


def test_the_untrained_tower_is_the_inner_product():
    log = random_log(users=20)
    model: Any = build(SMALL, Schema(users=log.n_users, items=log.n_items), 0)
    users, items = model.user.weight, model.items.weight
    scores = model.tower.of_pairs(users, items.expand(len(users), -1, -1))
    torch.testing.assert_close(scores, users @ items.T, rtol=1e-4, atol=1e-6)
    assert bool((model.tower.first[..., 2:] != 0).all()), "the other channels see nothing"


def test_scores_by_blocks_are_the_same(monkeypatch):
    log = random_log()
    model, asked = fitted(SMALL, log), everyone(log, SMALL)
    whole = model.score(asked).detach()
    monkeypatch.setattr("honeyguide.models.convncf.WORKING", 1)
    torch.testing.assert_close(model.score(asked).detach(), whole, rtol=1e-5, atol=1e-6)


def test_bf16_gives_nearly_the_same_gradients():
    log = random_log()
    batch = examples(log, SMALL.asked()).batch(np.arange(200), seed=3)
    grads = []
    for narrow in (False, True):
        model: Any = build(SMALL, Schema(users=log.n_users, items=log.n_items), 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            loss = model.loss(batch)
        assert loss.dtype == torch.float32
        loss.backward()
        grads.append(torch.cat([p.grad.to_dense().flatten() for p in model.parameters()]))
    exact, near = grads
    assert not torch.equal(exact, near), "autocast changed nothing"
    # scores that are near together differ by pixels near 0, which rounding moves across relu
    assert float((exact - near).norm() / exact.norm()) < 0.2


def test_a_width_that_does_not_halve_is_refused():
    with pytest.raises(CallError, match="width"):
        ConvNCF(width=24)
