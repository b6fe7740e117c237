"""Whether one of several models is truly better: every pair tested, corrected for looking at many.

Intervals of means stand in intervals.py, a pair of models in paired.py. N users.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64

from honeyguide.evaluate.intervals import Summary, summaries, summary
from honeyguide.evaluate.paired import (
    ONE_TRAINING,
    Trainings,
    apart,
    paired,
    randomised,
    trainings,
)

__all__ = [
    "ONE_TRAINING",
    "Difference",
    "Summary",
    "Trainings",
    "apart",
    "every_pair",
    "holm",
    "paired",
    "randomised",
    "summaries",
    "summary",
    "trainings",
]

LEVEL = 0.05


def holm(p: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """p corrected for the number of tests, in the order given (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


@dataclass(frozen=True, slots=True)
class Difference:
    """On a metric, model `a`, which has the better mean, minus model `b`, over the same users.

    p_holm: the larger p of the two tests, corrected for all pairs that were compared. The other
    fields are those of `Paired` and `randomised`.
    """

    metric: str
    a: str
    b: str
    users: int
    mean: float
    low: float
    high: float
    p_t: float
    p_randomisation: float
    p_holm: float
    effect: float
    superiority: float

    @property
    def clear(self) -> bool:
        """Whether the difference is more than chance: corrected p below .05, 0 not inside."""
        return self.p_holm < LEVEL and self.low > 0


def every_pair(
    values: dict[str, Float64[np.ndarray, " N"]], luck: dict[str, Trainings], metric: str
) -> list[Difference]:
    """All pairs of models, each with the better one first; empty for one model or user.

    values: by model, a value for each of the same users. luck: by model, see `trainings`.
    """
    ranked = sorted(values, key=lambda model: float(values[model].mean()), reverse=True)
    pairs = list(combinations(ranked, 2))
    if not pairs or len(values[ranked[0]]) < 2:
        return []
    flips = randomised(np.stack([apart(values[a], values[b]) for a, b in pairs], axis=1))
    tests = [paired(values[a], values[b], luck=(luck[a], luck[b])) for a, b in pairs]
    told = [test for test in tests if test is not None]
    # the best is found by looking at all of them, so all pairs count, not only those of the best
    corrected = holm(np.array([max(t.p_t, p) for t, p in zip(told, flips, strict=True)]))
    return [
        Difference(
            metric=metric,
            a=a,
            b=b,
            users=len(values[a]),
            mean=t.mean,
            low=t.low,
            high=t.high,
            p_t=t.p_t,
            p_randomisation=flip,
            p_holm=float(p),
            effect=t.effect,
            superiority=t.superiority,
        )
        for (a, b), t, flip, p in zip(pairs, told, flips, corrected, strict=True)
    ]
