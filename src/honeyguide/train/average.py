"""A running mean of the weights, which wanders less than the weights of the last step.

Polyak and Juditsky 1992, with weights that fall off exponentially, so that early steps are
forgotten. As in the moving averages of TensorFlow the first steps are forgotten sooner, or the mean
would stay near the initial values for as long as it looks back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """keep: the share of itself that the mean keeps at a step, in the long run; 0 = there is none,
    and nothing here does anything."""

    def __init__(self, model: nn.Module, keep: float) -> None:
        self.weights = {n: part.data for n, part in model.named_parameters()} if keep else {}
        self.mean = {name: part.clone() for name, part in self.weights.items()}
        self.keep = keep

    def step(self, number: int) -> None:
        """Take in the weights after step `number`, counted from 1."""
        if not self.mean:
            return
        keep = min(self.keep, number / (number + 9))
        torch._foreach_lerp_(list(self.mean.values()), list(self.weights.values()), 1 - keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model holds the mean meanwhile."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """Exchange the model's weights and the mean."""
        for name, mean in self.mean.items():
            weights = self.weights[name]
            held = weights.clone()
            weights.copy_(mean)
            mean.copy_(held)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from a mean that was kept."""
        for name, mean in self.mean.items():
            mean.copy_(tensors[name])
