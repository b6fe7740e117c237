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

from honeyguide.nn.parallel import kernel_over_rows
from honeyguide.shapes import rounded_up

# Rows held at once: as many as stay in the second-level cache, but where the table is large at
# least ROWS, since each block goes through the table's gradient once, unless they took more than
# MOST_BYTES (benchmarks/softmax_block.py).
BLOCK_BYTES = 4 << 20
ROWS = 256
MOST_BYTES = 64 << 20
LINE = 32  # columns of bf16 in a cache line
LANE = 4096  # columns worked on at once: two f32 buffers of it stay in the first-level cache


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
    if logits.device.type == "cpu" and logits.dtype in KERNELS:
        kernel, bits = KERNELS[logits.dtype]
        high, z = torch.empty(2, len(logits), 1)
        into = (logits.view(bits).numpy(), high[:, 0].numpy(), z[:, 0].numpy())
        kernel_over_rows(kernel, into, items, block=8)
        return high, z
    wide = logits.float()
    wide[:, 0] = wide[:, items:] = float("-inf")
    high = wide.amax(1, keepdim=True)
    wide = wide.sub(high).exp_()
    logits.copy_(wide)
    return high, wide.sum(1, keepdim=True)


FAST = {"contract", "reassoc", "nsz"}  # sums may be reordered
# What has such sums and is called by another kernel says inline="always". Left to the compiler, the
# process that compiles it calls it as it stands alone, and later ones, which take both from the
# cache, a copy that was optimised once more and adds up in another order.


@njit(cache=True, nogil=True)
def key_of(bits):  # type: ignore[no-untyped-def]
    # floats in order as integers; a maximum of integers is vectorised, of floats not
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@njit(cache=True, nogil=True)
def _short_key_of(bits):  # type: ignore[no-untyped-def]
    # the same for bf16: half the bytes, half the time
    return np.int16(bits ^ np.int16(np.int16(bits >> np.int16(15)) & np.int16(0x7FFF)))


@njit(cache=True, nogil=True, fastmath=FAST, inline="always")
def exponentials_of(lane, power, power_bits, high):  # type: ignore[no-untyped-def]
    """In place exp(lane - high); gives the sum. 2^y = 2^whole (into the exponent's bits) times a
    polynomial in the rest (relative error 2e-6)."""
    one, half = np.float32(1), np.float32(0.5)
    for c in range(len(lane)):
        y = max((lane[c] - high) * np.float32(1.4426950408889634), np.float32(-126))
        whole = np.floor(y + half)
        rest = y - whole
        told = np.float32(1.3333558e-3)
        told = told * rest + np.float32(9.6181291e-3)
        told = told * rest + np.float32(5.5504109e-2)
        told = told * rest + np.float32(2.4022651e-1)
        told = told * rest + np.float32(6.9314718e-1)
        power_bits[c] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        lane[c] = told * rest + one
    total = np.float32(0)
    for c in range(len(lane)):
        lane[c] *= power[c]
        total += lane[c]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def _of_f32(block, highest, sums, items):  # type: ignore[no-untyped-def]
    """Block (R, C): the bits of f32."""
    power_bits = np.empty(LANE, np.int32)
    power = power_bits.view(np.float32)
    for r in range(len(block)):
        bits = block[r, 1:items]
        row = bits.view(np.float32)
        key = np.int32(-(2**31))
        for c in range(len(bits)):
            key = max(key, key_of(bits[c]))
        power_bits[0] = key_of(key)
        high, total = power[0], 0.0
        for start in range(0, len(row), LANE):
            lane = row[start : start + LANE]
            size = len(lane)
            total += exponentials_of(lane, power[:size], power_bits[:size], high)
        block[r, 0] = 0
        block[r, items:] = 0
        highest[r], sums[r] = high, total


@njit(cache=True, nogil=True, fastmath=FAST)
def _of_bf16(block, highest, sums, items):  # type: ignore[no-untyped-def]
    """Block (R, C): the bits of bf16, the upper half of those of f32."""
    power_bits, bits = np.empty(LANE, np.int32), np.empty(LANE, np.int32)
    power, wide = power_bits.view(np.float32), bits.view(np.float32)
    half = np.int32(16)
    for r in range(len(block)):
        row = block[r, 1:items]
        key = np.int16(-(2**15))
        for c in range(len(row)):
            key = max(key, _short_key_of(row[c]))
        power_bits[0] = np.int32(_short_key_of(key)) << half
        high, total = power[0], 0.0
        for start in range(0, len(row), LANE):
            part = row[start : start + LANE]
            size = len(part)
            for c in range(size):
                bits[c] = np.int32(part[c]) << half
            total += exponentials_of(wide[:size], power[:size], power_bits[:size], high)
            for c in range(size):
                part[c] = np.int16((bits[c] + np.int32(0x8000)) >> half)
        block[r, 0] = 0
        block[r, items:] = 0
        highest[r], sums[r] = high, total


KERNELS = {torch.float32: (_of_f32, torch.int32), torch.bfloat16: (_of_bf16, torch.int16)}
