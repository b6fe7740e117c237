"""Item-kNN against a dense cosine, and its kernel against torch."""

import numpy as np
import pytest
import torch

from honeyguide.data.training import TrainingData
from honeyguide.models.item_knn import ItemKNN
from honeyguide.nn import neighbours
from matrices import dense, everyone, fitted, random_log


def likeness_of(matrix: np.ndarray, spec: ItemKNN) -> np.ndarray:
    """(I, I) of all pairs, by the definition."""
    if spec.weigh_users:
        matrix = matrix / np.log1p(matrix.sum(1, keepdims=True))
    together = matrix.T @ matrix
    norm = (matrix**2).sum(0) ** spec.alpha
    likeness = together / np.maximum(norm[:, None] * norm + spec.shrink, 1e-9)
    np.fill_diagonal(likeness, 0)
    return np.asarray(likeness)


@pytest.mark.parametrize(
    "settings", [{}, {"shrink": 5.0}, {"alpha": 0.3}, {"weigh_users": True, "shrink": 1.0}]
)
def test_with_all_neighbours_it_is_the_dense_cosine(settings):
    log, spec = random_log(), ItemKNN(k=1000, **settings)
    model, matrix = fitted(spec, log), dense(log)
    assert model.neighbour.shape == (log.n_items, log.n_items - 1)
    wanted = matrix @ likeness_of(matrix, spec)
    scores = model.score(everyone(log, spec)).numpy()
    np.testing.assert_allclose(scores[:, 1:], wanted[:, 1:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", [7, 1024])
def test_the_nearest_are_kept(monkeypatch, block):
    monkeypatch.setattr("honeyguide.models.item_knn.BLOCK", block)
    log, spec = random_log(), ItemKNN(k=4)
    model, likeness = fitted(spec, log), likeness_of(dense(log), spec)
    kept = np.take_along_axis(likeness, model.neighbour.long().numpy(), 1)
    np.testing.assert_allclose(model.likeness, kept, atol=1e-6)  # each under its own name
    best = -np.sort(-likeness, axis=1)[:, :4]
    np.testing.assert_allclose(model.likeness, best, atol=1e-6)  # and none better left out


def test_the_kernel_gives_what_torch_gives():
    log, spec = random_log(users=200), ItemKNN(k=6)
    model, asked = fitted(spec, log), everyone(log, spec)
    pairs = asked.pairs(spec.rule)
    entries = (pairs.items, pairs.weights, pairs.offsets, model.neighbour, model.likeness)
    plain = neighbours._by_torch(torch.zeros(len(asked), log.n_items), *entries)
    torch.testing.assert_close(model.score(asked)[:, 1:], plain[:, 1:], rtol=1e-5, atol=1e-6)


def test_learning_twice_is_learning_once():
    log = random_log()
    some = log.only(log.item < 8)
    model = fitted(ItemKNN(k=5), log)
    model.solve(TrainingData(some), 0)
    once = fitted(ItemKNN(k=5), some)
    assert torch.equal(
        model.score(everyone(some, model.spec)), once.score(everyone(some, model.spec))
    )
