"""Which items of a history are most like an item: evidence beside the effects, for any model.

Special: this is likeness, not cause. It is always there, also where no effect can be measured.
"""

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float32, Int64
from torch.nn.functional import normalize

from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import SIGN, Rule
from honeyguide.models.spec import Model, Vectors


def likeness(
    model: Model,
    log: Interactions,
    targets: Int64[np.ndarray, " T"],
    items: Int64[np.ndarray, " L"],
) -> Float32[np.ndarray, "T L"]:
    """The cosine of item vectors, or, for a model that has none, of the users who took them.

    log: the events of all users.
    """
    if not isinstance(model, Vectors):
        return together(log, model.spec.rule, targets, items)
    with torch.inference_mode():
        vectors = model.item_vectors()
        one, other = (normalize(vectors[torch.from_numpy(n)]) for n in (targets, items))
        return (one @ other.T).numpy()


def together(
    log: Interactions,
    rule: Rule,
    targets: Int64[np.ndarray, " T"],
    items: Int64[np.ndarray, " L"],
) -> Float32[np.ndarray, "T L"]:
    """The users who took both, divided by the root of the product of those who took either."""
    wanted, place = np.unique(np.concatenate([targets, items]), return_inverse=True)
    column = np.full(log.n_items, -1)
    column[wanted] = np.arange(len(wanted))
    # one pass over the log: the matrix of all users and items would take a hundred times as long
    found = column[log.item]
    rows = np.flatnonzero((found >= 0) & (rule.mask() & (SIGN > 0))[log.kind])
    shape = (log.n_users, len(wanted))
    took = sp.csc_array((np.ones(len(rows), np.float32), (log.user[rows], found[rows])), shape)
    took.data[:] = 1  # a pair may have had several events
    one, other = took[:, place[: len(targets)]], took[:, place[len(targets) :]]
    users = np.diff(took.indptr)[place]
    size = np.sqrt(np.maximum(users, 1)).astype(np.float32)
    both = (one.T @ other).toarray()
    return both / (size[: len(targets), None] * size[len(targets) :])
