"""Convolutions are the plain sum, forwards and backwards, and the whole transform where it ends."""

import pytest
import torch

from honeyguide.nn.convolve import convolve


@pytest.mark.parametrize("length", [50, 9, 1])
def test_a_learned_filter_of_a_full_window_is_that_of_the_transform_at_its_last_place(length):
    torch.manual_seed(length)
    x, waves = torch.randn(2, length, 3), torch.randn(length // 2 + 1, 3, dtype=torch.complex64)
    wanted = torch.fft.irfft(torch.fft.rfft(x, dim=1) * waves, n=length, dim=1)
    got = convolve(x, torch.fft.irfft(waves, n=length, dim=0))
    torch.testing.assert_close(got[:, -1], wanted[:, -1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [12, 5, 1])
def test_convolve_sums_what_came_before_by_how_far_apart(length):
    torch.manual_seed(length)
    x, weights, grad = torch.randn(2, length, 3), torch.randn(12, 3), torch.randn(2, length, 3)

    def plain(x, weights):
        places = range(length)
        rows = [sum(weights[t - s] * x[:, s] for s in places[: t + 1]) for t in places]
        return torch.stack(rows, 1)

    found = [outcome(way, x, weights, grad) for way in (convolve, plain)]
    for got, wanted in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def outcome(way, x, weights, grad):
    x, weights = x.clone().requires_grad_(), weights.clone().requires_grad_()
    told = way(x, weights)
    told.backward(grad)
    return told.detach(), x.grad, weights.grad
