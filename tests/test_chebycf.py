"""The spectral filter against the eigenvectors of the dense graph."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from honeyguide.models.chebycf import ChebyCF, plateau
from honeyguide.nn.svd import top_singular
from matrices import dense, everyone, fitted, random_log


def wanted(taken: np.ndarray, spec: ChebyCF) -> np.ndarray:
    """The filter on all frequencies, by the formulas."""
    users, items = np.maximum(taken.sum(1), 1), np.maximum(taken.sum(0), 1)
    edges = taken / users[:, None] ** spec.user_power / np.sqrt(items)
    squared, vectors = np.linalg.eigh(edges.T @ edges)
    share = np.clip(squared / squared.max(), 0, None)
    passed = plateau(torch.from_numpy(share).float(), spec.flatness).double().numpy() + spec.ideal
    low = np.argsort(-share)[: spec.rank]
    line = (passed[low[-1]] - spec.ideal) / share[low[-1]]
    values = line * share
    values[low] = passed[low]
    signal = taken / items**spec.beta
    return np.asarray(signal @ (vectors * values) @ vectors.T * items**spec.beta)


@pytest.mark.parametrize(
    "settings",
    [{}, {"beta": 0.1, "ideal": 0.0}, {"user_power": 0.2, "flatness": 2.5}, {"rank": 20}],
)
def test_scores_are_those_of_the_filter(settings):
    log = random_log()
    spec = ChebyCF(**{"rank": 6, "k": 1000, **settings})
    scores = fitted(spec, log).score(everyone(log, spec))[:, 1:].numpy()
    np.testing.assert_allclose(scores, wanted(dense(log), spec)[:, 1:], rtol=2e-3, atol=2e-4)


def test_no_user_stands_in_the_model():
    log, spec = random_log(), ChebyCF(rank=6, k=10)
    shapes = {name: tuple(part.shape) for name, part in fitted(spec, log).state_dict().items()}
    items = log.n_items
    assert shapes == {
        "neighbour": (items, 10),
        "value": (items, 10),
        "into": (items, 6),
        "out": (items, 6),
    }


def test_a_plateau_passes_low_frequencies_and_is_straight_with_flatness_one():
    share = torch.linspace(0, 1, 11)
    torch.testing.assert_close(plateau(share, 1.0), share)
    bent = plateau(share, 2.0)
    assert bent[[0, 5, 10]].tolist() == pytest.approx([0, 0.5, 1])
    assert bool((bent.diff() > 0).all())


@pytest.mark.parametrize("shape", [(60, 40), (30, 50)])
def test_largest_singular_values(shape):
    matrix = sp.random_array(shape, density=0.2, rng=np.random.default_rng(0), format="csr")
    matrix = sp.csr_array(matrix.astype(np.float32))
    values, vectors = top_singular(matrix, 8, seed=1)
    _, exact, right = np.linalg.svd(matrix.toarray())
    np.testing.assert_allclose(values, exact[:8], rtol=1e-4)
    overlap = np.abs((vectors.numpy() * right[:8].T).sum(0))
    np.testing.assert_allclose(overlap, 1, atol=1e-3)
