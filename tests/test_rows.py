"""Sparse rows times a table equal the dense product, values and gradients."""

import torch

from honeyguide.data.query import Pairs
from honeyguide.nn.rows import rows_times


def test_the_dense_product():
    draw = torch.Generator().manual_seed(0)
    rows = Pairs(torch.tensor([3, 1, 1, 0, 4]), torch.ones(5), torch.tensor([0, 2, 2, 5]))
    weights = torch.rand(5, generator=draw)
    one = torch.randn(6, 3, generator=draw, requires_grad=True)
    two = one.detach().clone().requires_grad_()
    dense = torch.zeros(3, 6)
    dense[rows.rows(), rows.items] = weights
    slope = torch.randn(3, 3, generator=draw)
    told, wanted = rows_times(rows, weights, one), dense @ two
    told.backward(slope)
    wanted.backward(slope)
    torch.testing.assert_close(told, wanted)
    torch.testing.assert_close(one.grad, two.grad)
