"""Dropout: the right share, the right scale, its own gradient, and the same mask for a seed."""

import pytest
import torch

from honeyguide.nn.dropout import Dropout, ReluDropout


def test_share_and_scale() -> None:
    torch.manual_seed(0)
    x = torch.ones(300, 1001)
    dropped = Dropout(0.3)(x)
    kept = dropped != 0
    assert torch.allclose(dropped[kept], torch.tensor(1 / 0.7))
    share = 1 - kept.double().mean().item()
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / x.numel()) ** 0.5 + 2**-16
    # no row, column or lane of the hash is favoured: each column's share within 5 standard errors
    by_column = kept.double().mean(0)
    assert (by_column - 0.7).abs().max() < 5 * (0.3 * 0.7 / 300) ** 0.5
    neighbours = (kept[:, 1:] & kept[:, :-1]).double().mean().item()
    assert abs(neighbours - 0.49) < 0.005


def test_the_gradient_is_the_mask() -> None:
    torch.manual_seed(1)
    x = torch.randn(7, 13, requires_grad=True)
    dropped = Dropout(0.5)(x)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad * x.detach(), dropped.detach())


def test_a_seed_gives_one_mask_whatever_the_threads() -> None:
    x = torch.ones(1000, 300)  # several chunks
    masks = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            torch.manual_seed(5)
            masks.append(Dropout(0.2)(x))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[0], Dropout(0.2)(x))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_added_in_one_pass_is_dropped_and_then_added(kind):
    base, x = torch.randn(300, 1001), torch.randn(300, 1001).to(kind)
    slope, told = torch.randn(300, 1001), []
    for by in (lambda drop, a, b: drop.onto(a, b), lambda drop, a, b: a + drop(b)):
        torch.manual_seed(4)
        one, two = base.clone().requires_grad_(), x.clone().requires_grad_()
        out = by(Dropout(0.3), one, two)
        out.backward(slope)
        told.append((out.detach(), one.grad, two.grad))
    assert told[0][0].dtype == torch.float32
    for got, wanted in zip(*told, strict=True):
        torch.testing.assert_close(got, wanted, rtol=2**-7, atol=2**-7)


def test_the_mask_is_that_of_places_however_they_lie_in_memory():
    x = torch.randn(40, 30)
    torch.manual_seed(6)
    plain = Dropout(0.4)(x)
    torch.manual_seed(6)
    assert torch.equal(Dropout(0.4)(x.T.contiguous().T), plain)


def test_nothing_happens_in_evaluation_or_at_zero() -> None:
    x = torch.randn(4, 4)
    assert Dropout(0.9).eval()(x) is x
    assert torch.equal(Dropout(0.9).eval().onto(x, x), x + x)
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_relu_and_dropout_in_one_are_one_after_the_other(kind):
    x = torch.randn(300, 1001, dtype=kind, generator=torch.Generator().manual_seed(0))
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    slope = torch.randn(300, 1001, dtype=kind)
    told = []
    for module, given in ((ReluDropout(0.3), one), (lambda y: Dropout(0.3)(y.relu()), two)):
        torch.manual_seed(4)
        told.append(module(given))
        told[-1].backward(slope)
    for got, wanted in ((told[0], told[1]), (one.grad, two.grad)):
        torch.testing.assert_close(got, wanted, rtol=2**-7, atol=0)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_nan_of_either_sign_passes(kind):
    x = torch.ones(1, 8, dtype=kind)
    x[0, 2] = float("nan")
    x[0, 5] = -x[0, 2]
    assert ReluDropout(0.999)(x).isnan()[0].nonzero()[:, 0].tolist() == [2, 5]
