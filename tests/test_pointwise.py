"""Attention without a softmax by its formula, one pair of places after the other."""

import pytest
import torch
from torch.nn.functional import silu

from honeyguide.nn.pointwise import weigh

WINDOW = 12


@pytest.mark.parametrize("asked", [1, 5, 7])
def test_each_place_sums_what_came_before_it(asked):
    torch.manual_seed(asked)
    q, k, v = torch.randn(3, 4, 7, 8)
    apart = torch.randn(WINDOW)
    wanted = torch.zeros(4, asked, 8)
    for row in range(asked):
        place = 7 - asked + row
        for other in range(place + 1):
            score = (q[:, place] * k[:, other]).sum(1) + apart[place - other]
            wanted[:, row] += silu(score)[:, None] / WINDOW * v[:, other]
    torch.testing.assert_close(weigh(q[:, 7 - asked :], k, v, apart), wanted, rtol=1e-4, atol=1e-5)
    half = [x.bfloat16() for x in (q[:, 7 - asked :], k, v)]
    near = weigh(*half, apart)
    assert near.dtype == torch.bfloat16
    torch.testing.assert_close(near.float(), wanted, rtol=0.05, atol=0.05)
