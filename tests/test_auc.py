"""AUC by user equals a loop over all pairs, with ties, unknown items and nothing to compare."""

import numpy as np
import pytest
import torch

from honeyguide.evaluate.auc import auc
from logs import log
from oracles import metrics as oracle
from worlds import drawn_lists, drawn_world, history_of

WORLDS = 40  # of 25 users each: 1,000 cases


@pytest.mark.parametrize("threads", [1, 2])
def test_equals_the_oracle(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    values = set()
    try:
        for seed in range(WORLDS):
            world, draw = drawn_world(seed), np.random.default_rng(seed)
            _, taken = drawn_lists(world, seed)
            # few different values make ties; some items are out of reach
            scores = draw.integers(0, 8, (25, 31)).astype(np.float32)
            scores[:, 0] = -np.inf
            scores[draw.random(scores.shape) < 0.05] = -np.inf
            users = draw.permutation(25)
            history, truth = history_of(world), truth_of(taken)
            got = auc(scores[users], users, truth, history)
            wanted = [
                oracle.auc(
                    dict(enumerate(scores[user, 1:].tolist(), start=1)),
                    taken[user],
                    world.seen[user],
                )
                for user in users
            ]
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-9)
            values |= set(got.tolist())
    finally:
        torch.set_num_threads(before)
    assert len(values) > 500


def truth_of(taken):
    """Items are named by numbers, so 1 to 35 are numbered 1 to 35."""
    events = [(f"{user:02}", f"{item:02}", "view") for user, t in enumerate(taken) for item in t]
    every = [("~", f"{item:02}", "view") for item in range(1, 36)]
    return log(events + every)


def test_values_known_by_hand():
    scores = np.array([[-np.inf, 3, 2, 2, 1, 9]], np.float32)
    truth, seen = log([("a", "2", "view"), *all_of("b")]), log([("a", "5", "view"), *all_of("b")])
    # item 2 against 1, 3 and 4: lost, tied, won
    assert auc(scores, np.array([0]), truth, seen) == pytest.approx([0.5])
    scores[0, 2] = 2.5
    assert auc(scores, np.array([0]), truth, seen) == pytest.approx([2 / 3])


def all_of(user):
    return [(user, str(item), "view") for item in range(1, 6)]


def test_nothing_to_compare_is_chance():
    # training knows items 1 to 3; a takes what it does not know, b has seen all others
    events = [("a", "4", "view"), ("b", "1", "view"), *all_of("c")]
    seen = [("a", "1", "view"), ("b", "2", "view"), ("b", "3", "view"), *all_of("c")]
    scores = np.zeros((2, 4), np.float32)
    assert auc(scores, np.array([0, 1]), log(events), log(seen)).tolist() == [0.5, 0.5]
