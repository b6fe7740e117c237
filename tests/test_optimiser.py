"""Rows-only Adam: the kernel equals torch's operations, and dense Adam where every row comes."""

import pytest
import torch
from torch.nn.functional import embedding

from honeyguide.train.optimiser import RowAdamW, rows_by_torch

ROWS, WIDTH = 12, 5


def table(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.Parameter(torch.randn(ROWS, WIDTH, generator=draw))


def pull(weights, rows, sparse):
    """A loss whose gradient differs in each row; rows may come several times."""
    aim = torch.linspace(-1, 1, WIDTH)
    loss = (embedding(rows, weights, sparse=sparse) - aim).square().sum()
    weights.grad = None
    loss.backward()


def test_where_all_rows_come_it_is_adamw():
    ours, theirs = table(), table()
    row_wise = RowAdamW([ours], lr=0.05, weight_decay=0.1)
    dense = torch.optim.AdamW([theirs], lr=0.05, weight_decay=0.1)
    rows = torch.arange(ROWS).repeat(2)
    for _ in range(7):
        pull(ours, rows, sparse=True)
        row_wise.step()
        pull(theirs, rows, sparse=False)
        dense.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_rows_that_do_not_come_stay_and_the_others_count_their_own_steps():
    weights = table()
    before = weights.detach().clone()
    optimiser = RowAdamW([weights], lr=0.05, weight_decay=0.0)
    for rows in ([1, 1, 3], [3], [3, 7]):
        pull(weights, torch.tensor(rows), sparse=True)
        optimiser.step()
    moved = (weights != before).any(1).nonzero()[:, 0].tolist()
    assert moved == [1, 3, 7]
    steps = optimiser.state[weights]["step"]
    assert steps[[1, 3, 7]].tolist() == [1, 3, 1]
    # the first step of Adam is as long as the learning rate, whenever it comes
    torch.testing.assert_close(
        (weights - before)[7].abs(), torch.full((WIDTH,), 0.05), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_kernel_and_torch_agree(decay):
    ours, theirs = table(), table()
    optimiser = RowAdamW([ours], lr=0.03, weight_decay=decay)
    state = {
        "step": torch.zeros(ROWS),
        "exp_avg": torch.zeros(ROWS, WIDTH),
        "exp_avg_sq": torch.zeros(ROWS, WIDTH),
    }
    draw = torch.Generator().manual_seed(1)
    for _ in range(6):
        rows = torch.randint(0, ROWS, (8,), generator=draw)
        pull(ours, rows, sparse=True)
        optimiser.step()
        pull(theirs, rows, sparse=True)
        rows_by_torch(theirs, theirs.grad, state, 0.03, 0.9, 0.999, 1e-8, decay)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    for name, tensor in state.items():
        torch.testing.assert_close(optimiser.state[ours][name], tensor, rtol=1e-4, atol=1e-7)


def test_dense_gradients_go_to_torch():
    ours, theirs = table(), table()
    row_wise = RowAdamW([ours], lr=0.05, weight_decay=0.1)
    dense = torch.optim.AdamW([theirs], lr=0.05, weight_decay=0.1, fused=True)
    for _ in range(3):
        for weights, optimiser in ((ours, row_wise), (theirs, dense)):
            pull(weights, torch.tensor([1, 2]), sparse=False)
            optimiser.step()
    assert torch.equal(ours, theirs)
