"""Top-k: the kernel, the torch path and a plain sort give the same list, ties and all."""

import numpy as np
import pytest
import torch

from honeyguide.errors import TrainingError
from honeyguide.rank.topk import LANES, exclude_items, top_k, top_k_torch
from honeyguide.types import NEVER, Ranking


def plain(scores: torch.Tensor, k: int) -> Ranking:
    items, best = [], []
    for row in scores.tolist():
        ranked = sorted((-s, i) for i, s in enumerate(row) if s != NEVER)[:k]
        short = k - len(ranked)
        items.append([i for _, i in ranked] + [0] * short)
        best.append([-s for s, _ in ranked] + [NEVER] * short)
    shape = (len(items), k)
    return Ranking(torch.tensor(items).view(shape), torch.tensor(best).view(shape))


def assert_all_agree(scores: torch.Tensor, k: int) -> Ranking:
    before = scores.clone()
    wanted = plain(scores, k)
    for ranker in (top_k, top_k_torch):
        got = ranker(scores, k)
        assert torch.equal(got.items, wanted.items), ranker.__name__
        assert torch.equal(got.scores, wanted.scores), ranker.__name__
    assert torch.equal(scores, before)
    return wanted


WIDTHS = [1, 2, LANES - 1, LANES, LANES + 1, 2 * LANES, 3 * LANES + 17]


@pytest.mark.parametrize("k", [1, 2, 10, LANES, 2 * LANES + 1])
@pytest.mark.parametrize("width", WIDTHS)
def test_ties_and_gaps(width, k):
    draw = np.random.default_rng(width * 1000 + k)
    scores = draw.normal(size=(12, width))
    scores[4:8] = draw.integers(0, 3, (4, width))  # nothing but ties
    scores[6:10][draw.random((4, width)) < 0.3] = -np.inf
    scores[10] = -np.inf
    scores[11] = 0.5
    assert_all_agree(torch.from_numpy(scores.astype(np.float32)), k)


def test_order_of_scores_does_not_matter():
    ramp = torch.arange(2.0 * LANES + 3)
    noise = torch.randn(2 * LANES + 3, generator=torch.Generator().manual_seed(0))
    assert_all_agree(torch.stack([ramp, ramp.flip(0), -ramp, noise]), 7)


def test_equal_scores_stand_in_the_order_of_numbers():
    flat = torch.zeros(1, 3 * LANES)
    assert assert_all_agree(flat, 5).items.tolist() == [[0, 1, 2, 3, 4]]
    flat[0, LANES + 1] = flat[0, 2 * LANES + 5] = 1.0
    assert assert_all_agree(flat, 3).items.tolist() == [[LANES + 1, 2 * LANES + 5, 0]]


def test_both_zeros_are_equal():
    assert assert_all_agree(torch.tensor([[-0.0, 0.0, -0.0]]), 3).items.tolist() == [[0, 1, 2]]


def test_plus_infinity_ranks_first():
    scores = torch.tensor([[0.0, float("inf"), 2.0]])
    assert assert_all_agree(scores, 2).items.tolist() == [[1, 2]]


def test_short_lists_end_in_pad():
    scores = torch.tensor([[NEVER, NEVER, 3.0], [NEVER, NEVER, NEVER]])
    wanted = assert_all_agree(scores, 5)
    assert wanted.items.tolist() == [[2, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert wanted.scores[1].tolist() == [NEVER] * 5


def test_many_rows_are_shared_out_among_threads_without_mixing():
    scores = torch.randn(1000, 70, generator=torch.Generator().manual_seed(1))
    assert_all_agree(scores, 4)


def test_views_of_larger_tables():
    table = torch.randn(40, 200, generator=torch.Generator().manual_seed(2))
    assert_all_agree(table[::2, 10:150], 6)
    assert_all_agree(table.T, 6)


def test_no_rows_and_no_columns():
    for ranker in (top_k, top_k_torch):
        assert ranker(torch.zeros(0, 5), 3).items.shape == (0, 3)
        assert ranker(torch.zeros(2, 0), 3).items.tolist() == [[0, 0, 0]] * 2


# behind k good ones, in the first block, in the last and in a block that would be passed over
@pytest.mark.parametrize("place", [0, 5, LANES - 1, LANES, 3 * LANES - 1])
@pytest.mark.parametrize("ranker", [top_k, top_k_torch])
def test_nan_is_refused_wherever_it_stands(ranker, place):
    scores = torch.linspace(1, 0, 3 * LANES).repeat(3, 1)
    scores[1, place] = float("nan")
    with pytest.raises(TrainingError, match="not a number"):
        ranker(scores, 2)


def test_excluded_items_never_rank():
    scores = torch.tensor([[NEVER, 3.0, 2.0, 1.0], [NEVER, 1.0, 2.0, 3.0]])
    exclude = torch.tensor([[1, 0, 0], [3, 2, 3]])
    ranked = top_k(exclude_items(scores, exclude), 3)
    assert ranked.items.tolist() == [[2, 3, 0], [1, 0, 0]]
