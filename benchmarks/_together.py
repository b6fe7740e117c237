"""A validation part whose pairs lie together, for splits that are no random draw.

Gowalla's ready-made test part is none: the share of an item's check-ins that are test varies among
popular items by .086 where a random draw gives .052. Places of one journey are visited one after
another and are held out together, and a random tenth, whose neighbours all stay in training, then
favours models that look at nearest neighbours only (docs/results.md).
"""

import numpy as np

from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.data.split import Holdout
from honeyguide.nn.svd import top_singular

SHARE = 0.2  # of each user's items, as in the test part
RANK = 128


def held_together(train: Interactions, seed: int = 0) -> Holdout:
    """Of each user an item drawn by the seed and those of their items that are most like it, by the
    cosine of their places in the leading directions of the normalised matrix."""
    matrix = train.pairs(EVENTS_FOR)
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    degree = np.maximum(np.bincount(matrix.indices, minlength=matrix.shape[1]), 1)
    weighed = matrix.copy()
    weighed.data = (np.diff(matrix.indptr)[users] * degree[matrix.indices]) ** np.float32(-0.5)
    weighed.data = weighed.data.astype(np.float32)
    places = top_singular(weighed, RANK, 0)[1].numpy()[:, 1:]
    places /= np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-9)
    draw, held = np.random.default_rng(seed), np.zeros(matrix.nnz, dtype=bool)
    for user in range(matrix.shape[0]):
        first, last = matrix.indptr[user : user + 2]
        count = round((last - first) * SHARE)
        if last - first > 2 and count:
            mine = places[matrix.indices[first:last]]
            likeness = mine @ mine[draw.integers(last - first)]
            held[first + np.argsort(-likeness)[:count]] = True
    keys = users[held].astype(np.int64) * matrix.shape[1] + matrix.indices[held]
    out = np.isin(train.user.astype(np.int64) * matrix.shape[1] + train.item, keys)
    history, truth = train.only(~out), train.only(out)
    asked = np.flatnonzero((history.lengths > 0) & (truth.lengths > 0))
    return Holdout(history, truth, asked, None, 0, 0, 0)
