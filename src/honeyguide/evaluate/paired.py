"""Two models on the same users: how far apart they are, and how often chance does as much.

A t interval and test that also count the luck of training where a model was trained several times,
and a randomisation test of the users alone. N users, P pairs of models, S trainings (seeds).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from honeyguide.evaluate.intervals import ROUNDING, TAIL

DRAWS = 10_000  # of the randomisation test: the standard error of p = .05 is .002
EXACT = 13  # users up to which all 2^n signs are tried, fewer than DRAWS
CELLS = 1 << 22  # signs held at once: 32 MiB


@dataclass(frozen=True, slots=True)
class Trainings:
    """What repeated trainings of a model say about the luck of training.

    variance: what that luck adds to the variance of the model's mean. seen: variance of the mean
    between trainings, with the chance of the users in it. freedom: degrees of freedom of `seen`;
    0 = trained once, and nothing is known.
    """

    variance: float = 0.0
    seen: float = 0.0
    freedom: int = 0


ONE_TRAINING = Trainings()


def trainings(values: Float64[np.ndarray, "S N"]) -> Trainings:
    """From the values of the same users after each training.

    Trainings that move users this way and that also move the mean of N users a little; but this
    part is in the spread over users already. It is taken away: the analysis of variance of
    trainings crossed with users (Searle, Casella and McCulloch 1992, chapter 4), not below 0.
    """
    many, n = values.shape
    if many < 2 or n < 2:
        return ONE_TRAINING
    means = values.mean(1)
    seen = float(means.var(ddof=1)) / many
    rest = values - values.mean(0) - means[:, None] + values.mean()
    twice = float((rest**2).sum()) / ((many - 1) * (n - 1)) / (many * n)
    return Trainings(max(seen - twice, 0.0), seen, many - 1)


@dataclass(frozen=True, slots=True)
class Paired:
    """How values of one model differ from those of another on the same users.

    mean, low, high: the difference and its 95 % t interval. p_t: two-sided, paired t test. effect:
    mean difference over its standard deviation (Cohen's d of pairs). superiority: the share of
    users for whom the first is better, ties counted half.
    """

    mean: float
    low: float
    high: float
    p_t: float
    effect: float
    superiority: float


def apart(
    one: Float64[np.ndarray, " N"], other: Float64[np.ndarray, " N"]
) -> Float64[np.ndarray, " N"]:
    """User by user, the first minus the other; what rounding left of equal values is 0."""
    difference: Float64[np.ndarray, " N"] = one - other
    difference[np.abs(difference) <= ROUNDING * np.maximum(np.abs(one), np.abs(other))] = 0
    return difference


def paired(
    one: Float64[np.ndarray, " N"],
    other: Float64[np.ndarray, " N"],
    *,
    luck: tuple[Trainings, ...] = (),
) -> Paired | None:
    """The first against the other; None for fewer than two users.

    luck: of the trainings of both. The variance of the difference is that over users plus that of
    the luck, its degrees of freedom those of Satterthwaite 1946 (Biometrics Bulletin 2, 110-114).
    """
    difference = apart(one, other)
    n = len(difference)
    if n < 2:
        return None
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    spread = spread if np.ptp(difference) > ROUNDING * abs(mean) else 0.0
    better = float((difference > 0).mean() + (difference == 0).mean() / 2)
    of_users = spread**2 / n
    variance = of_users + sum(t.variance for t in luck)
    if variance == 0:
        # everyone differs by the same amount; the share of users who may differ otherwise is that
        # of the rule of three (intervals._alike), and at worst they differ by all there is
        same = TAIL ** (1 / n)
        most = (1 - same) * max(1.0, float(np.abs([one, other]).max()))
        sure = 1.0 if mean == 0 else 0.0
        return Paired(mean, mean * same - most, mean * same + most, sure, 0.0, better)
    parts = [(of_users, n - 1), *((t.seen, t.freedom) for t in luck if t.freedom)]
    freedom = variance**2 / sum(part**2 / f for part, f in parts)
    error = variance**0.5
    half = float(stats.t.ppf(1 - TAIL, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    return Paired(mean, mean - half, mean + half, p, mean / spread if spread else 0.0, better)


def randomised(differences: Float64[np.ndarray, "N P"], *, seed: int = 0) -> list[float]:
    """By pair, two-sided p of the randomisation test: signs of the differences flipped at random
    (Smucker, Allan and Carterette 2007), the same draws for all pairs.

    p = (1 + draws at least as far from 0) / (1 + draws); up to 13 users who differ, all signs are
    tried and p is exact.
    """
    few = (differences != 0).sum(0) <= EXACT
    p = np.ones(differences.shape[1])
    for pair in np.flatnonzero(few):
        column = differences[:, pair]
        p[pair] = _every_sign(column[column != 0])
    if not few.all():
        p[~few] = _drawn_signs(differences[:, ~few], seed)
    return [float(each) for each in p]


def _every_sign(moved: Float64[np.ndarray, " N"]) -> float:
    """Share of all choices of signs whose sum is at least as far from 0."""
    bits = np.arange(1 << len(moved))[:, None] >> np.arange(len(moved)) & 1
    sums = (2.0 * bits - 1) @ moved
    return float((np.abs(sums) >= abs(moved.sum()) - _slack(moved)).mean())


def _drawn_signs(differences: Float64[np.ndarray, "N P"], seed: int) -> Float64[np.ndarray, " P"]:
    moved = differences[(differences != 0).any(1)]  # the others have no sign to flip
    n, total = len(moved), moved.sum(0)
    draw = np.random.default_rng(seed)
    far, done = np.zeros(moved.shape[1]), 0
    while done < DRAWS:
        rows = min(DRAWS - done, max(1, CELLS // n))
        packed = np.frombuffer(draw.bytes(rows * -(-n // 8)), np.uint8).reshape(rows, -1)
        plus = np.unpackbits(packed, axis=1, count=n).astype(np.float64)
        sums = 2 * (plus @ moved) - total
        far += (np.abs(sums) >= np.abs(total) - _slack(moved)).sum(0)
        done += rows
    return np.asarray((1 + far) / (1 + DRAWS), np.float64)


def _slack(moved: np.ndarray) -> np.ndarray:
    """What adding the same numbers in another order may differ by."""
    return np.asarray(1e-9 * np.abs(moved).sum(0))
