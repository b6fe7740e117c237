"""Losses as plain functions that any model can take. All return the mean over the targets."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import logsigmoid

# Rows of logits held at once are cut so that a block stays in the second-level cache (2 MiB a
# core on the machine measured; see benchmarks/softmax_block.py).
BLOCK_BYTES = 4 << 20


def bpr(positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"]) -> Float[Tensor, ""]:
    """Bayesian personalised ranking (Rendle et al. 2009): -log sigmoid(positive - negative)."""
    return -logsigmoid(positive[..., None] - negative).mean()


def sampled_softmax(
    positive: Float[Tensor, " M"],
    negative: Float[Tensor, "M N"],
    target_log_p: Float[Tensor, " M"],
    negative_log_p: Float[Tensor, "*any N"],
    accidental: Bool[Tensor, "M N"],
) -> Float[Tensor, ""]:
    """Softmax over the target and its negatives, corrected by how likely each was drawn.

    Bengio and Senecal 2008; Yi et al. 2019. accidental: negatives that are positives.
    """
    first = (positive - target_log_p)[:, None]
    rest = (negative - negative_log_p).masked_fill(accidental, float("-inf"))
    return (torch.logsumexp(torch.cat([first, rest], 1), 1) - first[:, 0]).mean()


def softmax(
    states: Float[Tensor, "M D"], table: Float[Tensor, "I D"], target: Int64[Tensor, " M"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the target among all items but PAD (row 0 of the table).

    Logits and their gradients are made block by block in one pass and never stored: memory is
    the block plus the gradients, whatever M and I are.
    """
    if not torch.is_grad_enabled():
        logits = states @ table.T
        logits[:, 0] = float("-inf")
        return torch.nn.functional.cross_entropy(logits.float(), target)
    loss: Tensor = _BlockedSoftmax.apply(states, table, target)  # type: ignore[no-untyped-call]
    return loss


class _BlockedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(states.device.type, enabled=False):
            wide = torch.get_autocast_dtype("cpu") if _autocast(states) else states.dtype
            states16, table16 = states.detach().to(wide), table.detach().to(wide)
            rows, items = len(states), len(table)
            block = max(32, BLOCK_BYTES // (4 * items)) if states.device.type == "cpu" else 8192
            total = states.new_zeros((), dtype=torch.float32)
            d_states = torch.empty_like(states16)
            d_table = torch.zeros_like(table, dtype=torch.float32)
            for start in range(0, rows, block):
                part = states16[start : start + block]
                goal = target[start : start + block, None]
                logits = (part @ table16.T).float()
                logits[:, 0] = float("-inf")
                high = logits.amax(1, keepdim=True)
                total -= logits.gather(1, goal).sum()
                z = logits.sub_(high).exp_().sum(1, keepdim=True)
                total += (high + z.log()).sum()
                # the softmax is logits / z; dividing the narrow side instead saves a pass
                logits.scatter_add_(1, goal, -z)
                p = logits.to(wide)
                d_states[start : start + block] = (p @ table16) / z
                d_table += p.T @ (part / z).to(wide)
            ctx.save_for_backward(d_states.to(states.dtype), d_table.to(table.dtype))
            ctx.rows = rows
            return total / rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        d_states, d_table = ctx.saved_tensors
        scale = grads[0] / ctx.rows
        return d_states * scale, d_table * scale, None


def _autocast(states: Tensor) -> bool:
    return torch.is_autocast_enabled(states.device.type)
