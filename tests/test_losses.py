"""Losses equal their formulas, values and gradients."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from honeyguide.nn import losses
from states import ITEMS, drawn, plain_softmax


def test_sampled_softmax_by_hand():
    generator = torch.Generator().manual_seed(1)
    positive, negative = torch.randn(5, generator=generator), torch.randn(5, 7, generator=generator)
    p = torch.rand(5, generator=generator)
    q = torch.rand(7, generator=generator)
    accidental = torch.zeros(5, 7, dtype=torch.bool)
    accidental[2, 3] = accidental[4, 0] = True
    loss = losses.sampled_softmax(positive, negative, p.log(), q.log(), accidental)
    total = 0.0
    for m in range(5):
        top = torch.exp(positive[m]) / p[m]
        rest = sum(torch.exp(negative[m, n]) / q[n] for n in range(7) if not accidental[m, n])
        total -= float(torch.log(top / (top + rest)))
    assert loss.item() == pytest.approx(total / 5, rel=1e-5)


def test_sampled_softmax_with_every_item_once_is_the_softmax():
    states, table, target = drawn(torch.float32)
    all_items = torch.arange(1, ITEMS)
    even = torch.full((ITEMS,), -torch.tensor(ITEMS - 1.0).log().item())
    logits = states @ table.T
    sampled = losses.sampled_softmax(
        logits.gather(1, target[:, None])[:, 0],
        logits[:, all_items],
        even[target],
        even[all_items],
        all_items == target[:, None],
    )
    assert sampled.item() == pytest.approx(plain_softmax(states, table, target).item(), rel=1e-5)


def test_an_accidental_negative_has_no_gradient():
    positive = torch.zeros(1, requires_grad=True)
    negative = torch.zeros(1, 2, requires_grad=True)
    accidental = torch.tensor([[True, False]])
    loss = losses.sampled_softmax(positive, negative, torch.zeros(1), torch.zeros(2), accidental)
    (grad,) = torch.autograd.grad(loss, negative)
    assert loss.item() == pytest.approx(torch.tensor(2.0).log().item())
    assert grad[0].tolist() == pytest.approx([0.0, 0.5])


def test_bpr_by_hand():
    positive = torch.tensor([1.0, -2.0])
    negative = torch.tensor([[0.0, 3.0, 1.0], [-2.0, 0.5, 100.0]])
    total = 0.0
    for m in range(2):
        for n in range(3):
            total -= float(torch.log(torch.sigmoid((positive[m] - negative[m, n]).double())))
    assert losses.bpr(positive, negative).item() == pytest.approx(total / 6, rel=1e-6)
    folded = losses.bpr(positive.view(2, 1), negative.view(2, 1, 3))
    assert folded.item() == pytest.approx(total / 6, rel=1e-6)


def pairs_of(rows=5, negatives=3, seed=2):
    draw = torch.Generator().manual_seed(seed)
    positive = torch.randn(rows, generator=draw, dtype=torch.float64)
    return positive, torch.randn(rows, negatives, generator=draw, dtype=torch.float64)


def test_bce_is_the_mean_over_all_labels():
    positive, negative = pairs_of()
    logits = torch.cat([positive[:, None], negative], 1)
    labels = torch.zeros_like(logits)
    labels[:, 0] = 1
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    assert losses.bce(positive, negative).item() == pytest.approx(wanted.item(), rel=1e-9)


@pytest.mark.parametrize(("calibration", "power"), [(0.0, 1.0), (1.0, 0.03), (0.5, 0.515)])
def test_gbce_lowers_the_power_of_a_positive(calibration, power):
    positive, negative = pairs_of()
    assert losses.gbce_power(3, 100, calibration) == pytest.approx(power)
    plain = losses.bce(positive, negative).item()
    of_positives = -torch.nn.functional.logsigmoid(positive).mean().item() / 4
    told = losses.gbce(positive, negative, 100, calibration).item()
    assert told == pytest.approx(plain - (1 - power) * of_positives, rel=1e-9)


def test_mse_and_ccl_by_hand():
    positive, negative = pairs_of()
    apart = ((1 - positive) ** 2 + 2.5 * (negative**2).mean(1)).mean()
    assert losses.mse(positive, negative, 2.5).item() == pytest.approx(apart.item(), rel=1e-9)
    over = (negative - 0.2).clamp(min=0).mean(1)
    hinge = ((1 - positive) + 4.0 * over).mean()
    told = losses.ccl(positive, negative, 0.2, 4.0)
    assert told.item() == pytest.approx(hinge.item(), rel=1e-9)


def test_directau_by_hand():
    users, items, _ = drawn()
    users, items = users.detach()[:6], items.detach()[:6]
    unit_users, unit_items = (x / x.norm(dim=1, keepdim=True) for x in (users, items))
    aligned = (unit_users - unit_items).pow(2).sum(1).mean()

    def uniform(x):
        return torch.pdist(x).pow(2).mul(-2).exp().mean().log()

    wanted = aligned + 0.7 * (uniform(unit_users) + uniform(unit_items)) / 2
    assert losses.directau(users, items, 0.7).item() == pytest.approx(wanted.item(), rel=1e-6)
    alone = losses.directau(users[:1], items[:1], 0.7)
    assert alone.item() == pytest.approx((unit_users[0] - unit_items[0]).pow(2).sum().item())


def test_info_nce_is_the_cross_entropy_of_cosines():
    one, other, _ = drawn(torch.float32)
    one, other = one[:20].detach(), other[:20].detach()
    cosines = torch.nn.functional.cosine_similarity(one[:, None], other[None], dim=2)
    wanted = cross_entropy(cosines / 0.3, torch.arange(20))
    assert losses.info_nce(one, other, 0.3).item() == pytest.approx(wanted.item(), rel=1e-5)
