"""iALS: answers are exact least squares, and training ends where they all agree."""

import numpy as np
import pytest
import torch

from honeyguide.models.ials import IALS
from matrices import dense, everyone, fitted, random_log


def ridge_of(spec: IALS, lengths: np.ndarray, other_side: int) -> np.ndarray:
    return spec.l2 * (lengths + spec.alpha * other_side) ** spec.nu


def exact(taken: np.ndarray, fixed: np.ndarray, spec: IALS) -> np.ndarray:
    """Each row's weighted least squares, solved in f64; taken (N, M), fixed (M, D)."""
    out = np.zeros((len(taken), fixed.shape[1]))
    ridge = ridge_of(spec, taken.sum(1), len(fixed))
    for row, mask in enumerate(taken.astype(bool)):
        mine = fixed[mask]
        system = spec.alpha * fixed.T @ fixed + mine.T @ mine
        system += ridge[row] * np.eye(fixed.shape[1])
        out[row] = np.linalg.solve(system, mine.sum(0))
    return out


def loss_of(taken: np.ndarray, users: np.ndarray, items: np.ndarray, spec: IALS) -> float:
    """What is minimised, pair by pair, over all of them."""
    scores = users @ items.T
    fitting = (taken * (1 - scores) ** 2).sum() + spec.alpha * (scores**2).sum()
    user_ridge = ridge_of(spec, taken.sum(1), len(items)) @ (users**2).sum(1)
    item_ridge = ridge_of(spec, taken.sum(0), len(users)) @ (items**2).sum(1)
    return float(fitting + user_ridge + item_ridge)


# the widths that the promise in the model's file names
@pytest.mark.parametrize("width", [64, 256])
def test_an_answer_solves_its_least_squares(width):
    log = random_log(users=300, items=400, share=0.1)
    spec = IALS(width=width, epochs=3)
    model, asked = fitted(spec, log), everyone(log, spec)
    got = model.query_vectors(asked).double().numpy()
    fixed, taken = model.vectors.double().numpy(), dense(log)
    ridge = ridge_of(spec, taken.sum(1), log.n_items)
    right = taken @ fixed
    left = got @ (spec.alpha * fixed.T @ fixed) + (taken * (got @ fixed.T)) @ fixed
    left += ridge[:, None] * got
    residual = np.linalg.norm(left - right, axis=1) / np.linalg.norm(right, axis=1)
    assert residual.max() < 1e-5
    plain = model._by_torch(asked, torch.from_numpy(ridge.astype(np.float32)))
    torch.testing.assert_close(torch.from_numpy(got).float(), plain, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("nu", [1.0, 0.0])
def test_training_ends_where_both_sides_are_exact(nu):
    log = random_log(users=60, items=25)
    spec = IALS(width=3, epochs=300, l2=0.02 if nu else 0.3, nu=nu)
    model, taken = fitted(spec, log), dense(log)
    items = model.vectors.double().numpy()
    users = exact(taken, items, spec)
    np.testing.assert_allclose(
        model.query_vectors(everyone(log, spec)).numpy(), users, rtol=1e-3, atol=1e-4
    )
    again = exact(taken.T, users, spec)
    np.testing.assert_allclose(items, again, rtol=1e-2, atol=1e-3)


def test_every_alternation_lowers_the_loss():
    log = random_log()
    taken = dense(log)
    losses = []
    for epochs in (1, 2, 4, 8, 16):
        spec = IALS(width=8, epochs=epochs)
        items = fitted(spec, log).vectors.double().numpy()
        losses.append(loss_of(taken, exact(taken, items, spec), items, spec))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]


def test_a_stranger_with_the_same_history_gets_the_same():
    log, spec = random_log(), IALS(width=8)
    model = fitted(spec, log)
    known, stranger = everyone(log, spec), everyone(log, spec, known=False)
    assert torch.equal(model.score(known), model.score(stranger))
    assert set(model.answered_by(known)) == {"history"}
