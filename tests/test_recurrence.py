"""The linear recurrence by its kernel is the plain loop over complex numbers, both ways."""

import pytest
import torch

from honeyguide.nn.recurrence import Linear, LinearBlock, recur, recur_by_torch


def plain(x, decay):
    half = decay.shape[1]
    given = torch.complex(x[..., :half], x[..., half:])
    by, state, states = torch.complex(*decay), torch.zeros_like(given[:, 0]), []
    for t in range(x.shape[1]):
        state = by * state + given[:, t]
        states.append(state)
    told = torch.stack(states, 1)
    return torch.cat([told.real, told.imag], 2)


@pytest.mark.parametrize("shape", [(3, 7, 10), (1, 1, 2), (130, 5, 6)])
def test_it_is_the_plain_loop(shape):
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=draw)
    length = torch.rand(shape[2] // 2, generator=draw) * 0.3 + 0.65
    angle = torch.rand(shape[2] // 2, generator=draw) * 6
    decay = torch.stack([length * angle.cos(), length * angle.sin()])
    grad = torch.randn(shape, generator=draw)
    found = []
    for function in (recur, recur_by_torch, plain):
        inputs = x.clone().requires_grad_(), decay.clone().requires_grad_()
        told = function(*inputs)
        told.backward(grad)
        grads = (torch.zeros_like(one) if one.grad is None else one.grad for one in inputs)
        found.append([told.detach(), *grads])
    *ours, by_loop = found
    for told in ours:
        for got, wanted in zip(told, by_loop, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_decays_start_inside_the_ring_and_stay_inside_the_circle():
    torch.manual_seed(0)
    block = LinearBlock(64, 0.0)
    length = (-block.log_rate.exp()).exp()
    assert bool(((length > 0.79) & (length < 0.9901)).all())
    with torch.no_grad():
        block.log_rate.fill_(-80.0)  # as near to no fading as f32 gets
    assert bool(((-block.log_rate.exp()).exp() <= 1).all())


def test_a_stretch_can_be_read_in_two_parts():
    torch.manual_seed(0)
    reader = Linear(8, 2, 0.0).eval()
    x = torch.randn(2, 9, 8)
    whole, last = reader.read(x, None)
    first, carried = reader.read(x[:, :5], None)
    rest, later = reader.read(x[:, 5:], carried)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, rtol=1e-4, atol=1e-5)
    for one, other in zip(later, last, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_reader_sees_nothing_that_comes_later():
    torch.manual_seed(0)
    reader = Linear(8, 2, 0.0).eval()
    x = torch.randn(3, 6, 8)
    changed = x.clone()
    changed[:, 4:] = 0
    torch.testing.assert_close(reader.read(x, None)[0][:, :4], reader.read(changed, None)[0][:, :4])
