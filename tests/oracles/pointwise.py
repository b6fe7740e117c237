"""Every metric of predictions as a loop over what came true and what was predicted."""

from collections.abc import Callable
from math import log, sqrt

BINS = 15
CLIP = 1e-15


def rmse(true: list[float], said: list[float]) -> float:
    total = 0.0
    for y, p in zip(true, said, strict=True):
        total += (y - p) ** 2
    return sqrt(total / len(true))


def mae(true: list[float], said: list[float]) -> float:
    total = 0.0
    for y, p in zip(true, said, strict=True):
        total += abs(y - p)
    return total / len(true)


def accuracy(true: list[float], said: list[float]) -> float:
    right = 0
    for y, p in zip(true, said, strict=True):
        guess = 1 if p >= 0.5 else 0
        if guess == y:
            right += 1
    return right / len(true)


def log_loss(true: list[float], said: list[float]) -> float:
    total = 0.0
    for y, p in zip(true, said, strict=True):
        of_truth = p if y == 1 else 1 - p
        total -= log(min(max(of_truth, CLIP), 1 - CLIP))
    return total / len(true)


def ece(true: list[float], said: list[float]) -> float:
    total = 0.0
    for bin_ in range(1, BINS + 1):
        inside = []
        for y, p in zip(true, said, strict=True):
            if p <= bin_ / BINS and (p > (bin_ - 1) / BINS or bin_ == 1):
                inside.append((y, p))
        if not inside:
            continue
        frequency = sum(y for y, _ in inside) / len(inside)
        confidence = sum(p for _, p in inside) / len(inside)
        total += len(inside) / len(true) * abs(frequency - confidence)
    return total


def auc(true: list[float], said: list[float]) -> float:
    won, fought = 0.0, 0
    for y, p in zip(true, said, strict=True):
        for other, q in zip(true, said, strict=True):
            if y == 1 and other == 0:
                fought += 1
                if p > q:
                    won += 1
                elif p == q:
                    won += 0.5
    return won / fought


POINTWISE: dict[str, Callable[[list[float], list[float]], float]] = {
    "rmse": rmse,
    "mae": mae,
    "accuracy": accuracy,
    "log_loss": log_loss,
    "ece": ece,
    "auc": auc,
}
