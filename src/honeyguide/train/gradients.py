"""The gradients of a batch, by one thread or by several side by side.

Special: torch shares each operation out among its threads. Those of a sequence model are too small
for that, and what one core has written the other has to fetch: on two cores a step of SASRec took
as long as on one. Where a spec says that its batches are divisible, each thread takes a part of the
batch all the way forwards and back by itself, and the gradients of the parts are added.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from honeyguide.data.batch import Examples
from honeyguide.data.vocab import PAD
from honeyguide.models.spec import LearnedSpec
from honeyguide.nn.dropout import seeded
from honeyguide.nn.parallel import side_by_side
from honeyguide.train.device import Format, autocast

LEAST = 8  # examples in a part, below which operations cost more than they compute
COPIES = 512 << 20  # bytes that the gradients of all parts together may take


@dataclass(frozen=True, slots=True)
class _Part:
    """What a thread brings back: a mean over so many targets, and its gradients."""

    loss: Tensor
    targets: int
    gradients: tuple[Tensor | None, ...]


class Gradients:
    """How a model's parameters get their gradients."""

    def __init__(
        self, model: Any, examples: Examples, device: torch.device, precision: Format
    ) -> None:
        spec = model.spec
        assert isinstance(spec, LearnedSpec)
        self.model, self.examples, self.device, self.precision = model, examples, device, precision
        self.many = spec.accumulate
        self.parameters = list(model.parameters())
        self.moving = [each for each in self.parameters if each.requires_grad]
        size = sum(each.numel() * each.element_size() for each in self.moving)
        divided = spec.divisible and device.type == "cpu"
        self.most = COPIES // max(size, 1) if divided else 1

    def clear(self) -> None:
        """No gradient stands at any parameter."""
        for parameter in self.parameters:
            parameter.grad = None  # zero_grad would open and close a profiler's record

    def add(self, rows: np.ndarray, seed: int) -> Tensor:
        """Those of these examples, added to what stands at the parameters; gives the loss. The seed
        fixes negatives and dropout."""
        # not torch.manual_seed, which writes a traceback for each device not yet started (120 us)
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index].manual_seed(seed)
        parts = min(torch.get_num_threads(), len(rows) // LEAST, self.most)
        if parts > 1:
            return self._in_parts(np.array_split(rows, parts), seed)
        loss = self._loss(rows, seed)[0]
        (loss if self.many == 1 else loss / self.many).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _loss(self, rows: np.ndarray, seed: int) -> tuple[Tensor, Tensor]:
        batch = self.examples.batch(rows, seed)
        if self.device.type != "cpu":
            batch = batch.to(self.device)
        with autocast(self.device, self.precision):
            loss: Tensor = self.model.loss(batch)
        return loss, batch.target

    def _in_parts(self, rows: list[np.ndarray], seed: int) -> Tensor:
        work = [partial(self._part, each, seed ^ n) for n, each in enumerate(rows)]
        try:
            parts = side_by_side(work)
        finally:
            torch.clear_autocast_cache()
        total = max(sum(part.targets for part in parts), 1)
        shares = [part.targets / total for part in parts]
        for part, share in zip(parts, shares, strict=True):
            for parameter, gradient in zip(self.moving, part.gradients, strict=True):
                if gradient is None:
                    continue
                if parameter.grad is None:  # laid out as the parameter is: the optimiser trusts it
                    parameter.grad = torch.zeros_like(parameter)
                parameter.grad.add_(gradient, alpha=share / self.many)
        return torch.stack([part.loss * by for part, by in zip(parts, shares, strict=True)]).sum()

    def _part(self, rows: np.ndarray, seed: int) -> _Part:
        # weights cast by autocast are kept for all threads, until the first one leaves: none does
        torch.autocast_increment_nesting()
        try:
            with seeded(seed):
                loss, target = self._loss(rows, seed)
            gradients = torch.autograd.grad(loss, self.moving, allow_unused=True)
        finally:
            torch.autocast_decrement_nesting()
        return _Part(loss.detach(), int((target != PAD).sum()), gradients)
