"""A mean over users with its 95 % interval: what other users of the same kind might have given.

Bootstrap intervals, bias-corrected and accelerated (BCa; Efron 1987, JASA 82, 171-185), because
values by user are skewed: mostly 0, now and then a hit. The resamples are drawn once and serve all
metrics of an evaluation. Everything is seeded. N users, M metrics, R resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

RESAMPLES = 2_000
FEW = 10_000  # users up to which resamples are drawn
CELLS = 1 << 22  # of a block of resamples held at once: 32 MiB
TAIL = 0.025  # what an interval leaves out at each end
ROUNDING = 1e-12  # relative; a smaller spread comes from adding in another order


@dataclass(frozen=True, slots=True)
class Summary:
    """A mean with its 95 % interval over users; None = nothing is known of its spread."""

    mean: float
    low: float | None
    high: float | None


def summary(values: Float64[np.ndarray, " N"]) -> Summary:
    """Mean and 95 % interval of one metric, see `summaries`."""
    return summaries({"": values})[""]


def summaries(
    values: Mapping[str, Float64[np.ndarray, " N"]], *, seed: int = 0
) -> dict[str, Summary]:
    """Mean and 95 % interval of each metric; all have a value for each of the same N > 0 users.

    BCa up to 10,000 users; above, its expansion, which needs no resamples. One user has no
    interval. Values that are all alike have no spread to resample, see `_alike`.
    """
    varied = {
        name: each
        for name, each in values.items()
        if np.ptp(each) > ROUNDING * float(np.abs(each).max())
    }
    ends: dict[str, tuple[float, float]] = {}
    if varied:
        columns = np.stack(list(varied.values()), axis=1)
        found = _bca(columns, seed) if len(columns) <= FEW else _expanded(columns)
        ends = dict(zip(varied, found, strict=True))
    return {
        name: Summary(float(each.mean()), *ends[name]) if name in ends else _alike(each)
        for name, each in values.items()
    }


def _alike(values: Float64[np.ndarray, " N"]) -> Summary:
    """N users with one and the same value do not prove that all users have it.

    Were the share of others above 1 - .025^(1/N), about 3.7 / N, none of them among N users would
    be luck of less than .025 (the rule of three, Hanley and Lippman-Hand 1983, with two ends); at
    worst these others have all 0, or all 1. Values outside 0 to 1 have no such worst case.
    """
    mean = float(values[0])
    if len(values) < 2 or not 0 <= mean <= 1:
        return Summary(mean, None, None)
    same = TAIL ** (1 / len(values))
    return Summary(mean, mean * same, mean * same + 1 - same)


def _bca(columns: Float64[np.ndarray, "N M"], seed: int) -> list[tuple[float, float]]:
    """Ends by column: quantiles of the resampled means, at places moved by bias and skewness."""
    mean = columns.mean(0)
    moved = _resampled(columns - mean, seed)
    slack = ROUNDING * np.abs(columns).max(0)
    # a resampled mean that equals the mean counts half: few hits give few different means
    below = (moved < -slack).mean(0) / 2 + (moved <= slack).mean(0) / 2
    bias = stats.norm.ppf(below)
    ends = []
    for place, acceleration in enumerate(_acceleration(columns)):
        z = bias[place] + stats.norm.ppf([TAIL, 1 - TAIL])
        at = stats.norm.cdf(bias[place] + z / (1 - acceleration * z))
        low, high = mean[place] + np.quantile(moved[:, place], at)
        ends.append((float(low), float(high)))
    return ends


def _resampled(columns: Float64[np.ndarray, "N M"], seed: int) -> Float64[np.ndarray, "R M"]:
    """Means of R draws of N users with replacement, the same users for all metrics."""
    n = len(columns)
    draw = np.random.default_rng(seed)
    means, done = np.empty((RESAMPLES, columns.shape[1])), 0
    while done < RESAMPLES:
        rows = min(RESAMPLES - done, max(1, CELLS // n))
        users = draw.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(users.ravel(), minlength=rows * n).reshape(rows, n)
        means[done : done + rows] = times.astype(np.float64) @ columns / n
        done += rows
    return means


def _expanded(columns: Float64[np.ndarray, "N M"]) -> list[tuple[float, float]]:
    """Ends by column: the expansion of BCa up to terms of 1 / N standard errors (Hall 1988, Annals
    of Statistics 16, 927-953); with many users that is closer than 2,000 resamples can tell."""
    z = stats.norm.ppf([TAIL, 1 - TAIL])
    error = columns.std(0) / len(columns) ** 0.5
    steps = z + _acceleration(columns)[:, None] * (2 * z**2 + 1)
    ends = columns.mean(0)[:, None] + error[:, None] * steps
    return [(float(low), float(high)) for low, high in ends]


def _acceleration(columns: Float64[np.ndarray, "N M"]) -> Float64[np.ndarray, " M"]:
    """Skewness / (6 sqrt N), what Efron's acceleration is for a mean."""
    apart = columns - columns.mean(0)
    skewness = (apart**3).mean(0) / columns.std(0) ** 3
    return np.asarray(skewness / (6 * len(columns) ** 0.5), np.float64)
