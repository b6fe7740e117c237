"""What a mean over users is worth, and whether one model is truly better than another.

Intervals of means, paired tests on the same users, a correction for looking at many pairs. N users,
everything seeded, so the same values give the same numbers.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64
from scipy import stats

DRAWS = 10_000  # of the randomisation test: the standard error of p = .05 is .002
BLOCK = 1 << 22  # signs held at once
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Summary:
    """A mean with its 95 % interval (normal, from the spread over users); None = has no spread."""

    mean: float
    low: float | None
    high: float | None


def summary(values: Float64[np.ndarray, " N"]) -> Summary:
    """Mean and normal 95 % interval."""
    mean = float(values.mean())
    if len(values) < 2:
        return Summary(mean, None, None)
    half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return Summary(mean, mean - half, mean + half)


@dataclass(frozen=True, slots=True)
class Paired:
    """How values of one model differ from those of another on the same users.

    mean, low, high: the difference and its 95 % interval (t). p_t: two-sided, paired t test.
    p_randomisation: two-sided, signs of the differences flipped at random. effect: mean difference
    over its standard deviation (Cohen's d of pairs). superiority: the share of users for whom the
    first is better, ties counted half.
    """

    mean: float
    low: float
    high: float
    p_t: float
    p_randomisation: float
    effect: float
    superiority: float


@dataclass(frozen=True, slots=True)
class Trainings:
    """What repeated trainings of a model say: the variance of its mean, with so many degrees of
    freedom; nothing is known of it after a single training."""

    variance: float = 0.0
    freedom: int = 0


ONE_TRAINING = Trainings()


def trainings(means: list[float]) -> Trainings:
    """From the mean over users of each training (seed)."""
    if len(means) < 2:
        return ONE_TRAINING
    return Trainings(float(np.var(means, ddof=1)) / len(means), len(means) - 1)


def paired(
    one: Float64[np.ndarray, " N"],
    other: Float64[np.ndarray, " N"],
    *,
    luck: tuple[Trainings, ...] = (),
    seed: int = 0,
) -> Paired | None:
    """The first against the second, user by user; None for fewer than two users.

    luck: what the trainings of both add to the variance of the difference. The degrees of freedom
    of the sum are those of Satterthwaite 1946.
    """
    apart = one - other
    n = len(apart)
    if n < 2:
        return None
    mean, spread = float(apart.mean()), float(apart.std(ddof=1))
    parts = [(spread**2 / n, n - 1), *((t.variance, t.freedom) for t in luck if t.freedom)]
    variance = sum(v for v, _ in parts)
    superiority = float((apart > 0).mean() + (apart == 0).mean() / 2)
    if variance == 0:
        # everyone differs by the same amount, so there is no spread to weigh it against
        sure = 1.0 if mean == 0 else 0.0
        return Paired(mean, mean, mean, sure, _randomised(apart, seed), 0.0, superiority)
    error = variance**0.5
    freedom = variance**2 / sum(v**2 / f for v, f in parts)
    half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
    return Paired(
        mean=mean,
        low=mean - half,
        high=mean + half,
        p_t=float(2 * stats.t.sf(abs(mean) / error, freedom)),
        p_randomisation=_randomised(apart, seed),
        effect=mean / spread if spread else 0.0,
        superiority=superiority,
    )


def _randomised(apart: Float64[np.ndarray, " N"], seed: int) -> float:
    """p = (1 + draws at least as far from 0) / (1 + draws); Smucker et al. 2007.

    Users without a difference change nothing whichever sign they get, so they are left out.
    """
    moved = apart[apart != 0]
    if not len(moved):
        return 1.0
    draw = np.random.default_rng(seed)
    observed, far, done = abs(moved.sum()), 0, 0
    slack = 1e-9 * np.abs(moved).sum()  # sums of the same numbers in another order
    while done < DRAWS:
        rows = min(DRAWS - done, max(1, BLOCK // len(moved)))
        signs = draw.integers(0, 2, (rows, len(moved)), dtype=np.int8)
        sums = 2 * (signs @ moved) - moved.sum()
        far += int((np.abs(sums) >= observed - slack).sum())
        done += rows
    return (1 + far) / (1 + DRAWS)


def holm(p: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """p corrected for the number of tests, in the order given (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two models, the one with the better mean (`best`) against the `other`, on a metric.

    p_holm: the larger p of the two tests, corrected for all pairs that were compared.
    """

    metric: str
    best: str
    other: str
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
    """All pairs of models, each with the better one first; empty where a pair has no test.

    values: by model, a value for each of the same users. luck: by model, see `trainings`.
    """
    pairs = []
    for one, other in combinations(values, 2):
        best, worse = sorted((one, other), key=lambda m: float(values[m].mean()), reverse=True)
        told = paired(values[best], values[worse], luck=(luck[best], luck[worse]))
        if told is None:
            return []
        pairs.append((best, worse, told))
    if not pairs:
        return []
    # the best is found by looking at all of them, so all pairs count, not only those of the best
    corrected = holm(np.array([max(t.p_t, t.p_randomisation) for *_, t in pairs]))
    return [
        Difference(
            metric=metric,
            best=best,
            other=worse,
            mean=t.mean,
            low=t.low,
            high=t.high,
            p_t=t.p_t,
            p_randomisation=t.p_randomisation,
            p_holm=float(p),
            effect=t.effect,
            superiority=t.superiority,
        )
        for (best, worse, t), p in zip(pairs, corrected, strict=True)
    ]
