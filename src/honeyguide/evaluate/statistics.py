"""What a mean over users is worth: intervals."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, slots=True)
class Summary:
    """A mean with its 95 % interval (normal, from the spread over users); None = has no spread."""

    mean: float
    low: float | None
    high: float | None


def summary(values: Float64[np.ndarray, " B"]) -> Summary:
    """Mean and normal 95 % interval."""
    mean = float(values.mean())
    if len(values) < 2:
        return Summary(mean, None, None)
    half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return Summary(mean, mean - half, mean + half)
