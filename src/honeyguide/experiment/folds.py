"""The results of several folds as one: every user counts once, with the mean over the folds that
asked them."""

from collections.abc import Iterable

import numpy as np

from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.experiment.measuring import Result


def pooled(results: Iterable[Result]) -> dict[tuple[str, int], Evaluation]:
    """By model and seed. A model that failed in a fold is left out: its other folds ask others."""
    by_run: dict[tuple[str, int], list[Evaluation]] = {}
    failed = set()
    for result in results:
        if result.evaluation is None:
            failed.add((result.model, result.seed))
        else:
            by_run.setdefault((result.model, result.seed), []).append(result.evaluation)
    return {run: _as_one(told) for run, told in by_run.items() if run not in failed}


def _as_one(told: list[Evaluation]) -> Evaluation:
    if len(told) == 1:
        return told[0]
    users, place = np.unique(np.concatenate([one.users for one in told]), return_inverse=True)
    times = np.bincount(place, minlength=len(users))

    def mean(name: str) -> np.ndarray:
        values = np.concatenate([one.per_user[name] for one in told])
        return np.bincount(place, weights=values, minlength=len(users)) / times

    answered = {kind for one in told for kind in one.answered_by}
    return Evaluation(
        users=users,
        per_user={name: mean(name) for name in told[0].per_user},
        overall={n: float(np.mean([one.overall[n] for one in told])) for n in told[0].overall},
        answered_by={kind: sum(one.answered_by.get(kind, 0) for one in told) for kind in answered},
        seconds=sum(one.seconds for one in told),
    )
