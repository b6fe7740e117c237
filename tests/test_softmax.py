"""The full softmax equals torch's cross-entropy, values and gradients, by blocks of any size."""

import pytest
import torch

from honeyguide.nn import softmax as module
from honeyguide.nn.softmax import exponentials, row_softmax, softmax
from states import ITEMS, drawn, plain_softmax


@pytest.fixture(params=[1, 60, 4 << 20], ids=lambda rows: f"{rows} rows")
def by_blocks(request, monkeypatch):
    """150 rows are five blocks (32 is the smallest), three, or one."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * ITEMS * request.param)
    monkeypatch.setattr(module, "ROWS", 1)


def test_softmax_by_blocks_is_cross_entropy_without_pad(by_blocks):
    states, table, target = drawn(torch.float32)
    wanted = plain_softmax(states, table, target)
    wanted_grads = torch.autograd.grad(wanted, (states, table))
    loss = softmax(states, table, target)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    (3 * loss).backward()
    for got, should in zip((states.grad, table.grad), wanted_grads, strict=True):
        torch.testing.assert_close(got, 3 * should, rtol=1e-5, atol=1e-7)
    assert bool((table.grad[0] == 0).all()), "PAD takes no part"


def test_softmax_is_the_same_without_gradients():
    states, table, target = drawn(torch.float32)
    with torch.no_grad():
        asked = softmax(states, table, target)
    assert asked.item() == pytest.approx(softmax(states, table, target).item(), rel=1e-6)


def test_softmax_under_autocast_stays_near():
    states, table, target = drawn(torch.float32)
    wanted = plain_softmax(states, table, target)
    wanted_grads = torch.autograd.grad(wanted, (states, table))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = softmax(states, table, target)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-2)
    torch.testing.assert_close(states.grad, wanted_grads[0], rtol=0.1, atol=1e-3)
    torch.testing.assert_close(table.grad, wanted_grads[1], rtol=0.1, atol=1e-3)


def test_row_softmax_is_the_softmax_of_all_targets_of_a_row(by_blocks):
    states, table, target = drawn(torch.float32)
    lengths = torch.tensor([3, 0, 1, 56, *[1, 0, 0] * 20, *[2] * 26, 0, *[18, 0]])
    rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    states = states[: len(lengths)].detach().requires_grad_()
    wanted = plain_softmax(states[rows], table, target)
    wanted_grads = torch.autograd.grad(wanted, (states, table))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    loss = row_softmax(states, table, target, offsets)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    (3 * loss).backward()
    for got, should in zip((states.grad, table.grad), wanted_grads, strict=True):
        torch.testing.assert_close(got, 3 * should, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("items", [2, 3, 700, 9001])
@pytest.mark.parametrize("scale", [0.1, 5.0, 300.0])
def test_exponentials_are_those_of_torch(items, scale):
    plain = scale * torch.randn(5, items, generator=torch.Generator().manual_seed(items))
    high = plain[:, 1:].amax(1, keepdim=True)
    wanted = (plain - high).exp()
    wanted[:, 0] = 0
    told = torch.cat([plain, torch.full((5, 3), 1e9)], dim=1)  # 3 columns that are no items
    found, z = exponentials(told, items)
    torch.testing.assert_close(found, high, rtol=0, atol=0)
    torch.testing.assert_close(told[:, :items], wanted, rtol=1e-5, atol=1e-30)
    assert (told[:, items:] == 0).all()
    torch.testing.assert_close(z, wanted.sum(1, keepdim=True), rtol=1e-5, atol=0)


def test_exponentials_of_bf16_are_rounded_once():
    plain = 3 * torch.randn(7, 5000, generator=torch.Generator().manual_seed(0)).bfloat16()
    wanted = (plain.float() - plain[:, 1:].float().amax(1, keepdim=True)).exp()
    told = plain.clone()
    _, z = exponentials(told, 5000)
    torch.testing.assert_close(told[:, 1:].float(), wanted[:, 1:], rtol=2**-8, atol=1e-30)
    torch.testing.assert_close(z, wanted[:, 1:].sum(1, keepdim=True), rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_nan_among_the_logits_is_told(kind):
    block = torch.zeros(3, 6, dtype=kind)
    block[1, 4] = float("nan")
    block[2, 3] = -block[1, 4]
    _, z = exponentials(block, 6)
    assert z[:, 0].isnan().tolist() == [False, True, True]
