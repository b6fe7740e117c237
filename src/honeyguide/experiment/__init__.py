"""A whole run: data, split, several models and seeds, measured alike, with a verdict."""

from honeyguide.experiment.compare import Comparison, compare
from honeyguide.experiment.run import Run

__all__ = ["Comparison", "Run", "compare"]
