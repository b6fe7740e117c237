"""Metrics of predictions: what was said of single events, against what came true.

y = what came true, p = what was predicted, N rows. Ratings and other values:
    rmse      sqrt(mean (y - p)^2)
    mae       mean |y - p|
Labels 0 and 1; p is the probability of 1, but for auc, which takes any score:
    accuracy  share of rows where (p >= 1/2) = y
    log_loss  mean of -log p where y = 1, -log(1 - p) where y = 0; p is kept 1e-15 off 0 and 1
    ece       sum over 15 bins of p of equal width, (b - 1)/15 < p <= b/15, of the share of rows in
              the bin times |mean y - mean p| there (Guo et al. 2017; of the probability of 1, not
              of the likelier label)
    auc       probability that a random row with y = 1 has a higher p than one with y = 0, ties half
Over rows, not per user. Intervals are over users, whose rows belong together: each row's influence
on the metric, summed by user.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import rankdata

from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.statistics import Summary

BINS = 15
CLIP = 1e-15
Z = 1.96

Values = Float64[np.ndarray, " N"]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A metric, and by how much each row moves it (sums to about 0); None = no normal interval."""

    value: float
    influence: Values | None

    def summary(self, users: Int64[np.ndarray, " N"]) -> Summary:
        """With a 95 % interval over users (linearised, the sandwich of Liang and Zeger 1986)."""
        if self.influence is None:
            return Summary(self.value, None, None)
        _, number = np.unique(users, return_inverse=True)
        by_user = np.bincount(number, self.influence)
        n = len(by_user)
        if n < 2:
            return Summary(self.value, None, None)
        half = Z * float(np.square(by_user).sum() * n / (n - 1)) ** 0.5
        return Summary(self.value, self.value - half, self.value + half)


def _mean(values: Values) -> Measured:
    value = float(values.mean())
    return Measured(value, (values - value) / len(values))


def rmse(y: Values, p: Values) -> Measured:
    """sqrt(mean (y - p)^2)"""
    square = _mean((y - p) ** 2)
    assert square.influence is not None
    root = square.value**0.5
    # d sqrt(x) = dx / (2 sqrt(x)); an error of 0 has no spread
    return Measured(root, square.influence / (2 * root) if root else square.influence)


def mae(y: Values, p: Values) -> Measured:
    """mean |y - p|"""
    return _mean(np.abs(y - p))


def accuracy(y: Values, p: Values) -> Measured:
    """share of rows where (p >= 1/2) = y"""
    return _mean(((p >= 0.5) == (y == 1)).astype(np.float64))


def log_loss(y: Values, p: Values) -> Measured:
    """mean of minus the log of the probability of what came true"""
    return _mean(-np.log(np.clip(np.where(y == 1, p, 1 - p), CLIP, 1 - CLIP)))


def ece(y: Values, p: Values) -> Measured:
    """expected calibration error, 15 bins; never negative, so that no normal interval holds"""
    edges = np.arange(1, BINS) / BINS
    bins = np.searchsorted(edges, p, side="left")
    apart = np.bincount(bins, y - p, minlength=BINS)
    return Measured(float(np.abs(apart).sum()) / len(y), None)


def auc(y: Values, p: Values) -> Measured:
    """area under the ROC curve; influence from the placements of DeLong et al. 1988"""
    rank = rankdata(p)  # ties get their mean rank, which counts them half
    ones = y == 1
    m, n = int(ones.sum()), int((~ones).sum())
    # of a row with 1: the share of rows with 0 below it; of a row with 0: of rows with 1 above it
    below = (rank[ones] - rankdata(p[ones])) / n
    above = 1 - (rank[~ones] - rankdata(p[~ones])) / m
    value = float(below.mean())
    influence = np.empty(len(y))
    influence[ones], influence[~ones] = (below - value) / m, (above - value) / n
    return Measured(value, influence)


OF_VALUES: dict[str, Callable[[Values, Values], Measured]] = {"rmse": rmse, "mae": mae}
OF_LABELS: dict[str, Callable[[Values, Values], Measured]] = {
    "accuracy": accuracy,
    "log_loss": log_loss,
    "ece": ece,
    "auc": auc,
}
OF_PROBABILITIES = ("accuracy", "log_loss", "ece")
POINTWISE = {**OF_VALUES, **OF_LABELS}


def measured(name: str, y: Values, p: Values) -> Measured:
    """One of POINTWISE. y, p: finite.

    Raises CallError where y are no labels or p no probabilities but have to be, InputError without
    rows, or for auc with labels of one kind.
    """
    if not len(y):
        raise InputError("There is no event to predict.", "Give more data.")
    if name in OF_LABELS and not np.isin(y, (0, 1)).all():
        raise CallError(
            f"{name} needs labels 0 and 1, and the values go from {y.min():g} to {y.max():g}.",
            "Say from which value on the label is 1 with --min-label X (min_label=X).",
        )
    outside = int(((p < 0) | (p > 1)).sum())
    if name in OF_PROBABILITIES and outside:
        raise CallError(
            f"{name} needs probabilities, and {outside} of {len(p)} predictions lie outside 0 to "
            f"1 (from {p.min():g} to {p.max():g}).",
            "Give probabilities of the label 1, or ask for auc, which takes any score.",
        )
    if name == "auc" and y.min() == y.max():
        raise InputError(
            f"auc compares events of both labels, and all {len(y)} have the label {y[0]:g}.",
            "Leave auc out, or choose another --min-label.",
        )
    return POINTWISE[name](y, p)
