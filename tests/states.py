"""Random states, a table and targets, and the plain softmax over them."""

import torch
from torch.nn.functional import cross_entropy

ROWS, ITEMS, WIDTH = 150, 40, 6


def drawn(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(ROWS, WIDTH, generator=generator, dtype=dtype)
    table = torch.randn(ITEMS, WIDTH, generator=generator, dtype=dtype)
    target = torch.randint(1, ITEMS, (ROWS,), generator=generator)
    return states.requires_grad_(), table.requires_grad_(), target


def plain_softmax(states, table, target):
    logits = states @ table.T
    pad = torch.zeros(table.shape[0], dtype=torch.bool)
    pad[0] = True
    return cross_entropy(logits.masked_fill(pad, float("-inf")), target)
