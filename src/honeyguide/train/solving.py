"""Closed forms behind the same door as the loop, with the same errors."""

from typing import Any

import torch

from honeyguide.data.training import TrainingData
from honeyguide.errors import TrainingError


def solve(model: Any, data: TrainingData, seed: int) -> None:
    """Fit a model in closed form. Raises TrainingError where it has no solution or no memory."""
    try:
        model.solve(data, seed)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        raise TrainingError(
            f"The equations of {model.spec.name} have no stable solution.", "Raise its l2."
        ) from None
    except (MemoryError, RuntimeError) as error:
        if not means_too_little_memory(error):
            raise
        raise TrainingError(
            f"Not enough memory for {model.spec.name} with {model.schema.items - 1} items.",
            "Choose a model that grows less with the catalogue (ials, mf), or raise --k-core.",
        ) from error


def means_too_little_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether an error of a computation says that memory ran out."""
    # torch's own allocator for the CPU says so in words only
    named = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return named or "DefaultCPUAllocator" in str(error)
