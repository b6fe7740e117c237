"""Losses as plain functions that any model can take. All return the mean over the targets.

Letters: M targets, N negatives of each, D width, I items with PAD.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

# Rows of logits held at once are cut so that a block stays in the second-level cache (2 MiB a
# core on the machine measured; see benchmarks/softmax_block.py).
BLOCK_BYTES = 4 << 20


def bpr(positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"]) -> Float[Tensor, ""]:
    """Bayesian personalised ranking (Rendle et al. 2009): -log sigmoid(positive - negative)."""
    return -logsigmoid(positive[..., None] - negative).mean()


def bce(positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of 1 + N labels a target (He et al. 2017); mean over all labels."""
    told = (negative - logsigmoid(negative)).sum(-1) - logsigmoid(positive)
    return told.mean() / (1 + negative.shape[-1])


def gbce(
    positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"], items: int, calibration: float
) -> Float[Tensor, ""]:
    """Binary cross-entropy whose positives count less, because only N of all items are negatives.

    Petrov and Macdonald 2023 (gSASRec), section 4: calibration 1 gives back the probabilities that
    all items as negatives would give, 0 is plain `bce`. items: how many could be negatives.
    """
    power = gbce_power(negative.shape[-1], items, calibration)
    told = (negative - logsigmoid(negative)).sum(-1) - power * logsigmoid(positive)
    return told.mean() / (1 + negative.shape[-1])


def gbce_power(count: int, items: int, calibration: float) -> float:
    """The power of a positive's probability in `gbce` with `count` negatives out of `items`."""
    share = count / items
    return share * (calibration * (1 - 1 / share) + 1 / share)


def mse(
    positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"], weight: float = 1.0
) -> Float[Tensor, ""]:
    """Squared distance of targets to 1 and of negatives (their mean, times weight) to 0."""
    return ((1 - positive).square() + weight * negative.square().mean(-1)).mean()


def ccl(
    positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"], margin: float, weight: float
) -> Float[Tensor, ""]:
    """Cosine contrastive loss (Mao et al. 2021, SimpleX, equation 2); scores are cosines.

    margin: negatives below it are far enough. weight: of the mean over the negatives.
    """
    return ((1 - positive) + weight * (negative - margin).relu().mean(-1)).mean()


def directau(
    users: Float[Tensor, "M D"], items: Float[Tensor, "M D"], weight: float
) -> Float[Tensor, ""]:
    """Alignment and uniformity on the unit sphere (Wang et al. 2022, DirectAU, equation 8).

    weight: of uniformity. No negatives: the other users and the other items of the batch repel.
    """
    users, items = normalize(users), normalize(items)
    aligned = (users - items).square().sum(1).mean()
    return aligned + weight * (_uniformity(users) + _uniformity(items)) / 2


def _uniformity(vectors: Float[Tensor, "M D"]) -> Float[Tensor, ""]:
    # on the unit sphere |a - b|^2 = 2 - 2 ab; the pairs of a row with itself are taken out
    count = len(vectors)
    if count < 2:
        return vectors.new_zeros(())
    closeness = torch.exp(4 * (vectors @ vectors.T) - 4)
    others = closeness.sum() - closeness.diagonal().sum()
    uniform: Tensor = (others / (count * (count - 1))).log()
    return uniform


def info_nce(
    one: Float[Tensor, "M D"], other: Float[Tensor, "M D"], temperature: float
) -> Float[Tensor, ""]:
    """Each row of `one` is to find its own in `other` among all rows, by cosine (Oord et al. 2018).

    The blocks of the softmax are those of `softmax`, so (M, M) is never stored.
    """
    table = torch.cat([other.new_zeros(1, other.shape[1]), normalize(other)])
    own = torch.arange(1, len(one) + 1, device=one.device)
    return softmax(normalize(one) / temperature, table, own)


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


def row_softmax(
    states: Float[Tensor, "B D"],
    table: Float[Tensor, "I D"],
    items: Int64[Tensor, " M"],
    offsets: Int64[Tensor, " B1"],
) -> Float[Tensor, ""]:
    """Cross-entropy of all targets of each state (items[offsets[b]:offsets[b + 1]]) among all items
    but PAD: `softmax` where many targets share a state, at the cost of one logit per item and state
    instead of one per item and target. Mean over the M targets.
    """
    loss: Tensor = _BlockedRows.apply(states, table, items, offsets)  # type: ignore[no-untyped-call]
    return loss


class _BlockedRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, items: Tensor, offsets: Tensor) -> Tensor:
        with torch.autocast(states.device.type, enabled=False):
            wide = torch.get_autocast_dtype("cpu") if _autocast(states) else states.dtype
            states16, table16 = states.detach().to(wide), table.detach().to(wide)
            lengths = offsets.diff()
            row = torch.repeat_interleave(torch.arange(len(states), device=items.device), lengths)
            block = (
                max(32, BLOCK_BYTES // (4 * len(table))) if states.device.type == "cpu" else 4096
            )
            total = states.new_zeros((), dtype=torch.float32)
            d_states = torch.empty_like(states16)
            d_table = torch.zeros_like(table, dtype=torch.float32)
            ends = offsets.tolist()
            for start in range(0, len(states), block):
                stop = min(start + block, len(states))
                part, count = states16[start:stop], lengths[start:stop, None].float()
                logits = (part @ table16.T).float()
                logits[:, 0] = float("-inf")
                mine = slice(ends[start], ends[stop])
                places = (row[mine] - start, items[mine])
                total -= logits[places].sum()
                high = logits.amax(1, keepdim=True)
                z = logits.sub_(high).exp_().sum(1, keepdim=True)
                total += ((high + z.log()) * count).sum()
                # d loss / d logits = p * count - row; p is logits / z, so the scale of z / count is
                # taken out of the wide side and put onto the narrow one
                scale = count / z
                logits.index_put_(places, -(1 / scale)[places[0], 0], accumulate=True)
                p = logits.to(wide)
                d_states[start:stop] = (p @ table16) * scale
                d_table += p.T @ (part * scale).to(wide)
            ctx.save_for_backward(d_states.to(states.dtype), d_table.to(table.dtype))
            ctx.targets = max(len(items), 1)
            mean: Tensor = total / ctx.targets
            return mean

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        d_states, d_table = ctx.saved_tensors
        scale = grads[0] / ctx.targets
        return d_states * scale, d_table * scale, None, None


def _autocast(states: Tensor) -> bool:
    return torch.is_autocast_enabled(states.device.type)
