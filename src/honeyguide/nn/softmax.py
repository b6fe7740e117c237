"""Cross-entropy among all items, without ever holding all logits.

Special: block by block, the gradients are made on the way forward, when the exponentials are at
hand; what is kept is one block, a copy of the table and the two gradients. On a CPU each row of
logits is read once while it is in cache: largest, exponentials and their sum in one kernel of
numba, where torch takes five passes over memory. The table is copied into C rows, whole cache lines
of logits: the product into rows of 3,417 took twice as long. Letters: M targets, B rows, D width, I
items with PAD (column 0, which is no target).
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numba import njit
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from honeyguide.nn.bits import INTEGERS, bits_of, in_order, narrow, wide
from honeyguide.nn.parallel import kernel_over_rows
from honeyguide.shapes import rounded_up

# Rows held at once: as many as stay in the second-level cache, but where the table is large at
# least ROWS, since each block goes through the table's gradient once, unless they took more than
# MOST_BYTES (benchmarks/softmax_block.py).
BLOCK_BYTES = 4 << 20
ROWS = 256
MOST_BYTES = 64 << 20
LINE = 32  # columns of bf16 in a cache line


def softmax(
    states: Float[Tensor, "M D"], table: Float[Tensor, "I D"], target: Int64[Tensor, " M"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the target among all items but PAD (row 0 of the table), mean over M."""
    if not torch.is_grad_enabled():
        logits = states @ table.T
        logits[:, 0] = float("-inf")
        return cross_entropy(logits.float(), target)
    return row_softmax(states, table, target, torch.arange(len(target) + 1, device=target.device))


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
    loss: Tensor = _Blocks.apply(states, table, items, offsets)  # type: ignore[no-untyped-call]
    return loss


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, items: Tensor, offsets: Tensor) -> Tensor:
        device = states.device.type
        wide = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        with torch.autocast(device, enabled=False):
            narrow_states = states.detach().to(wide or states.dtype)
            full = narrow_states.new_zeros(-(-len(table) // LINE) * LINE, table.shape[1])
            full[: len(table)] = table.detach()
            lengths = offsets.diff()
            row = torch.repeat_interleave(torch.arange(len(states), device=items.device), lengths)
            total = states.new_zeros((), dtype=torch.float32)
            d_states = torch.empty_like(narrow_states)
            d_full = torch.zeros_like(full, dtype=torch.float32)
            ends, targets = offsets.tolist(), max(len(items), 1)
            held = narrow_states.new_empty(block_rows(full, len(states)), len(full))
            for start in range(0, len(states), max(len(held), 1)):
                stop = min(start + len(held), len(states))
                part, count = narrow_states[start:stop], lengths[start:stop, None].float()
                more = min(rounded_up(stop - start), len(held)) - (stop - start)
                filled = (0, 0, 0, more)  # the last block, by zeros
                part, count = pad(part, filled), pad(count, filled)
                block = torch.mm(part, full.T, out=held[: len(part)])
                mine = slice(ends[start], ends[stop])
                places = (row[mine] - start, items[mine])
                total -= block[places].float().sum()
                high, z = exponentials(block, len(table))
                total += ((high + z.log()) * count).sum()
                # d loss / d logits = (p * count - row) / targets; p is the block / z, so a scale is
                # taken out of the wide side and put onto the narrow one
                scale = count / z / targets
                less = (-z / count)[places[0], 0]
                block.index_put_(places, less.to(block), accumulate=True)
                d_states[start:stop] = ((block @ full) * scale)[: stop - start]
                if block.dtype == d_full.dtype:
                    d_full.addmm_(block.T, part * scale)
                else:
                    d_full += block.T @ (part * scale).to(block)
            del full, held
            d_table = d_full[: len(table)].to(table.dtype)
            ctx.save_for_backward(d_states.to(states.dtype), d_table)
            mean: Tensor = total / targets
            return mean

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        d_states, d_table = ctx.saved_tensors
        scale = grads[0]
        # a large table is not gone through again for nothing; a GPU is not stopped to find that out
        if scale.device.type == "cpu" and scale.item() == 1:
            return d_states, d_table, None, None
        return d_states * scale, d_table * scale, None, None


def block_rows(full: Float[Tensor, "C D"], rows: int) -> int:
    """How many rows of logits are held at once."""
    rows = rounded_up(rows)
    if full.device.type != "cpu":
        return min(rows, 8192)
    row = full.element_size() * len(full)
    return min(rows, max(BLOCK_BYTES // row, min(ROWS, MOST_BYTES // row), 32))


def exponentials(
    logits: Float[Tensor, "R C"], items: int
) -> tuple[Float[Tensor, "R 1"], Float[Tensor, "R 1"]]:
    """Each logit becomes exp(logit - the largest of its row), that of PAD and those from `items` on
    0; gives the largest and the sums, in f32. Exponentials below 2^-126 become that; where a logit
    is NaN the sum is.
    """
    if logits.device.type == "cpu" and logits.dtype in INTEGERS:
        high, z = torch.empty(2, len(logits), 1)
        into = (bits_of(logits), high[:, 0].numpy(), z[:, 0].numpy())
        kernel_over_rows(_exponentials, into, items, block=8)
        return high, z
    full = logits.float()
    full[:, 0] = full[:, items:] = float("-inf")
    high = full.amax(1, keepdim=True)
    full = full.sub(high).exp_()
    logits.copy_(full)
    return high, full.sum(1, keepdim=True)


FAST = {"contract", "reassoc", "nsz"}  # sums may be reordered
LOG2_E = np.float32(1.4426950408889634)
# What has sums that may be reordered and is called by another kernel says inline="always". Left to
# the compiler, the process that compiles it calls it as it stands alone, and later ones, which take
# both from the cache, a copy that was optimised once more and adds up in another order.


@njit(cache=True, nogil=True, fastmath=FAST, inline="always")
def power_of_two(y):  # type: ignore[no-untyped-def]
    """2^y for y <= 0, 2^-126 for less than that: 2^whole (into the exponent's bits) times a
    polynomial in the rest (relative error 2e-6)."""
    one, half = np.float32(1), np.float32(0.5)
    y = max(y, np.float32(-126))
    whole = np.floor(y + half)
    rest = y - whole
    told = np.float32(1.3333558e-3)
    told = told * rest + np.float32(9.6181291e-3)
    told = told * rest + np.float32(5.5504109e-2)
    told = told * rest + np.float32(2.4022651e-1)
    told = told * rest + np.float32(6.9314718e-1)
    return (told * rest + one) * wide(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))


@njit(cache=True, nogil=True, fastmath=FAST)
def _exponentials(block, highest, sums, items):  # type: ignore[no-untyped-def]
    """Block (R, C) as bits; in place."""
    for r in range(len(block)):
        row, total = block[r, 1:items], np.float32(0)
        key = in_order(row[0])
        for c in range(len(row)):
            key = max(key, in_order(row[c]))
        high = wide(in_order(key))
        for c in range(len(row)):
            x = power_of_two((wide(row[c]) - high) * LOG2_E)
            total += x
            row[c] = narrow(x, row[c])
        highest[r], sums[r] = high, total
        block[r, 0] = 0
        block[r, items:] = 0
