"""Adam that touches only the rows of a table that a step has looked up.

A gradient that holds rows (embedding with sparse=True) updates these rows and their moments; all
others stay where they are, so a step costs as much as its batch and not as much as the tables.
Kingma and Ba 2015, with decoupled weight decay (Loshchilov and Hutter 2019). Differences to dense
Adam on the same gradients: a row that is not looked up does not move on its old momentum, its
moments do not fade meanwhile, and each row counts its own steps, so that the bias correction of a
rare row is that of its few steps. Dense gradients take torch's fused AdamW.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numba import njit
from torch import Tensor

from honeyguide.nn.memory import zeros_in_large_pages
from honeyguide.nn.prefetch import ask_for, ask_for_line

AHEAD = 4  # rows
LAST = 1 << 15  # from here on .999 ** t is nothing in f32


class RowAdamW(torch.optim.AdamW):
    """torch's AdamW, fused, with a kernel of our own where the gradient of a parameter is sparse.

    State of such a parameter (N, D): exp_avg and exp_avg_sq (N, D), step (N,) by row.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, fused=True)
        self.places: dict[Tensor, np.ndarray] = {}

    def step(self, closure: Any = None) -> Any:
        """One update from the gradients that stand at the parameters."""
        assert closure is None, "the loop computes gradients itself"
        for group in self.param_groups:
            for parameter in group["params"]:
                grad = parameter.grad
                if grad is not None and (grad.is_sparse or self._by_rows(parameter)):
                    self._rows(parameter, group)
        if all(p.grad is None for group in self.param_groups for p in group["params"]):
            return None  # torch's own step would take a tenth of ours to find that out
        return super().step()

    # else torch would wrap it in a record for profilers and in hooks, which are not called here
    step.hooked = True  # type: ignore[attr-defined]

    def _by_rows(self, parameter: Tensor) -> bool:
        """Whether its rows count their own steps, as they do from the first sparse gradient on."""
        return parameter in self.state and self.state[parameter]["step"].ndim == 1

    def _rows(self, parameter: Tensor, group: dict[str, Any]) -> None:
        grad, parameter.grad = parameter.grad, None  # nothing is left for the dense update
        assert grad is not None
        if not grad.is_sparse:  # a loss that touched all rows this once
            every = torch.arange(len(grad), device=grad.device)[None]
            grad = torch.sparse_coo_tensor(every, grad, grad.shape, check_invariants=False)
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(len(parameter), dtype=torch.float32)
            state["step"] = state["step"].to(parameter.device)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = zeros_in_large_pages(parameter.shape).to(parameter)
        elif state["step"].ndim == 0:
            state["step"] = state["step"].expand(len(parameter)).contiguous()
        settings = (group["lr"], *group["betas"], group["eps"], group["weight_decay"])
        values = grad._values()
        if parameter.device.type != "cpu" or values.ndim != 2:
            rows_by_torch(parameter, grad, state, *settings)
            return
        if parameter not in self.places:
            self.places[parameter] = np.full(len(parameter), -1, np.int32)
        _update(
            parameter.detach().numpy(),
            state["exp_avg"].numpy(),
            state["exp_avg_sq"].numpy(),
            state["step"].numpy(),
            grad._indices()[0].numpy(),
            values.numpy(),
            self.places[parameter],
            *_as_numbers(*settings),
        )


@lru_cache(8)
def _as_numbers(lr: float, b1: float, b2: float, eps: float, decay: float) -> tuple[Any, ...]:
    """The settings as the kernel takes them."""
    return _started(b1, b2), *map(np.float32, (lr, b1, b2, eps, decay))


@cache
def _started(b1: float, b2: float) -> Float32[np.ndarray, "T 2"]:
    """What the moments of a row are multiplied by after t steps, because they start at zero.

    A table, because a power for each row took as long as the rest of the step.
    """
    told = np.ones((LAST + 1, 2))
    rates = np.array([b1, b2], np.float32).astype(np.float64)  # as the kernel has them
    told[1:] = 1 / (1 - rates ** np.arange(1, LAST + 1)[:, None])
    return told.astype(np.float32)


def rows_by_torch(
    parameter: Tensor,
    grad: Tensor,
    state: dict[str, Tensor],
    lr: float,
    b1: float,
    b2: float,
    eps: float,
    weight_decay: float,
) -> None:
    """The same without the kernel, for other devices."""
    grad = grad.coalesce()
    rows, values = grad.indices()[0], grad.values()
    count = state["step"][rows] + 1
    first = state["exp_avg"][rows].lerp(values, 1 - b1)
    second = state["exp_avg_sq"][rows].lerp(values.square(), 1 - b2)
    wide = (-1, *[1] * (values.ndim - 1))
    root = (second / (1 - b2**count).view(wide)).sqrt() + eps
    weights = parameter.detach()
    moved = weights[rows] * (1 - lr * weight_decay)
    weights[rows] = moved - lr / (1 - b1**count).view(wide) * first / root
    state["step"][rows], state["exp_avg"][rows], state["exp_avg_sq"][rows] = count, first, second


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"}, error_model="numpy")
def _update(  # type: ignore[no-untyped-def]
    weights, first, second, steps, rows, grads, place, started, lr, b1, b2, eps, decay
):
    width, count = weights.shape[1], 0
    one = np.float32(1)
    taken = np.empty(len(rows), np.int64)
    for n in range(len(rows)):
        if n + AHEAD < len(rows):
            ask_for_line(place, (rows[n + AHEAD],))
        if place[rows[n]] < 0:
            place[rows[n]] = count
            taken[count] = rows[n]
            count += 1
    summed = grads
    if count < len(rows):  # a row that comes several times gets the sum of its gradients
        summed = np.zeros((count, width), np.float32)
        for n in range(len(rows)):
            out, grad = summed[place[rows[n]]], grads[n]
            for d in range(width):
                out[d] += grad[d]
    for n in range(count):
        if n + AHEAD < count:
            later = taken[n + AHEAD]
            ask_for_line(steps, (later,))
            ask_for(weights, later)
            ask_for(first, later)
            ask_for(second, later)
        row = taken[n]
        place[row] = -1
        steps[row] += one
        at = min(np.int64(steps[row]), LAST)
        step, scale = lr * started[at, 0], started[at, 1]
        w, m, v, grad = weights[row], first[row], second[row], summed[n]
        keep = one - lr * decay
        for d in range(width):
            g = grad[d]
            m[d] += (one - b1) * (g - m[d])
            v[d] += (one - b2) * (g * g - v[d])
            w[d] = keep * w[d] - step * m[d] / (np.sqrt(v[d] * scale) + eps)
