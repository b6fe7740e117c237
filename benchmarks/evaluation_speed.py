"""Evaluating all MovieLens-1M users against implicit's top-20 for all users, same vectors.

Both hold the same user and item vectors of width 64 and leave seen items out. implicit only makes
the lists; ours also builds every question, looks the hits up and computes the metrics.
"""

import numpy as np
import scipy.sparse as sp
import torch
from implicit.cpu.als import AlternatingLeastSquares  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from _common import record, seconds
from honeyguide.data.opening import Inputs
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.experiment.splitting import open_split
from honeyguide.models.mf import MF
from honeyguide.models.spec import Schema
from honeyguide.rank.rankers import Exhaustive

METRICS = ("recall@20", "precision@20", "ndcg@20", "hit_rate@20", "map@20", "mrr@20", "coverage@20")


def main() -> None:
    """One run, both sides."""
    _, parts = open_split("movielens-1m", Inputs())
    train = parts.train
    matrix = train.pairs(MF().rule)
    peer = AlternatingLeastSquares(factors=64, iterations=5, random_state=0, num_threads=0)
    peer.fit(sp.csr_matrix(matrix), show_progress=False)
    model = MF(width=64).build(Schema(users=train.n_users, items=train.n_items))
    with torch.no_grad():
        model.user.weight.copy_(torch.from_numpy(np.asarray(peer.user_factors)))
        model.items.weight.copy_(torch.from_numpy(np.asarray(peer.item_factors)))
    model.settle(TrainingData(train))
    users = np.arange(matrix.shape[0])
    ranker = Exhaustive(model.eval().requires_grad_(False))
    assert parts.valid is not None
    holdout = parts.valid  # its history is the training part: the vectors' own histories

    def ours() -> object:
        return evaluate(ranker, holdout, rule=model.spec.rule, past=None, metrics=METRICS)

    liked = sp.csr_matrix(matrix)

    def theirs() -> object:
        with threadpool_limits(1, "blas"):  # as implicit itself advises
            return peer.recommend(users, liked, N=20, filter_already_liked_items=True)

    found = evaluate(ranker, holdout, rule=model.spec.rule, past=None, metrics=METRICS)
    rounds = [(seconds(ours, 3), seconds(theirs, 3)) for _ in range(3)]
    mine, other = (float(np.median([r[side] for r in rounds])) for side in (0, 1))
    record(
        "evaluation_speed",
        {
            "users": len(holdout.users),
            "items": train.n_items - 1,
            "answered_by": found.answered_by,
            "ours_seconds": mine,
            "implicit_seconds": other,
            "ratio": mine / other,
            "rounds": rounds,
        },
    )


if __name__ == "__main__":
    main()
