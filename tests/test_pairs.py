"""The kernel over pairs gives what the plain losses give, and gradients of the same rows."""

import pytest
import torch

from honeyguide.models.factor import KNOBS, PAIRWISE
from honeyguide.models.mf import MF
from honeyguide.models.spec import Schema
from honeyguide.nn import pairs

USERS, ITEMS, WIDTH, BATCH, NEGATIVES = 9, 14, 6, 40, 3
SIZES = Schema(users=USERS, items=ITEMS)


def world():
    draw = torch.Generator().manual_seed(4)
    users = torch.randn(USERS, WIDTH, generator=draw).requires_grad_()
    items = torch.randn(ITEMS, WIDTH, generator=draw).requires_grad_()
    user = torch.randint(0, USERS - 1, (BATCH,), generator=draw)  # the last one is not asked
    wanted = torch.randint(1, ITEMS, (BATCH,), generator=draw)
    unwanted = torch.randint(1, ITEMS, (BATCH, NEGATIVES), generator=draw)
    return users, items, user, wanted, unwanted


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("loss", PAIRWISE)
def test_kernel_and_plain_agree(loss, similarity):
    users, items, user, wanted, unwanted = world()
    spec = MF(loss=loss, similarity=similarity, temperature=0.7, weight=3.0, margin=0.1)
    heat = spec.temperature if loss in ("bpr", "bce", "gbce") else 1.0

    def unit(x):
        return torch.nn.functional.normalize(x, dim=-1) if similarity == "cosine" else x

    asking, own, others = users[user], items[wanted], items[unwanted]
    positive = (unit(asking) * unit(own)).sum(1) / heat
    negative = (unit(asking)[:, None] * unit(others)).sum(2) / heat
    size = asking.square().sum(1) + own.square().sum(1) + others.square().sum(2).mean(1)
    plain = PAIRWISE[loss](positive, negative, spec, SIZES) + 0.02 * size.mean()
    plain_grads = torch.autograd.grad(plain, (users, items))
    told = pairs.told(
        users,
        items,
        user,
        wanted,
        unwanted,
        loss=loss,
        heat=heat,
        cosine=similarity == "cosine",
        ridge=0.02,
        **KNOBS[loss](spec, NEGATIVES, SIZES),
    )
    assert told.item() == pytest.approx(plain.item(), rel=1e-5)
    (2 * told).backward()
    for table, should in zip((users, items), plain_grads, strict=True):
        assert table.grad is not None
        assert table.grad.is_sparse
        torch.testing.assert_close(table.grad.to_dense(), 2 * should, rtol=1e-4, atol=1e-6)
    assert USERS - 1 not in users.grad.coalesce().indices()


def test_a_score_that_is_no_number_is_not_hidden():
    users, items, user, wanted, unwanted = world()
    with torch.no_grad():
        users[user[0]] = torch.nan
    told = pairs.told(
        users, items, user, wanted, unwanted, loss="bpr", heat=1.0, cosine=False, ridge=0.0
    )
    assert not bool(told.isfinite())
