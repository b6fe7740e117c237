"""Attention, causal or both ways, whose way back costs what its arithmetic costs.

Special: on a CPU, torch's fused attention takes eight times as long backwards as forwards. Here the
matrix products of each way run on a few sequences at once, and what stands between them is one
kernel over what each place sees, in place, while it is in cache. What is kept is the weights.
Letters: N sequences (times heads), L length, D width of a head.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numba import njit
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from honeyguide.nn.bits import INTEGERS, bits_of, in_order, narrow, wide
from honeyguide.nn.parallel import kernel_over_rows
from honeyguide.nn.softmax import FAST, LOG2_E, power_of_two

BLOCK_BYTES = 1 << 20  # of weights worked on at once


def attend(
    q: Float[Tensor, "N L D"],
    k: Float[Tensor, "N L D"],
    v: Float[Tensor, "N L D"],
    prefix: Int64[Tensor, " N"] | None = None,
) -> Float[Tensor, "N L D"]:
    """The mean of the values that each place sees, by the softmax of q k / sqrt(D).

    A place sees itself and those before it, and the first `prefix` of its sequence in any case.
    """
    if q.device.type == "cpu" and q.dtype in INTEGERS and torch.is_grad_enabled():
        seen = torch.zeros(len(q), dtype=torch.int64) if prefix is None else prefix
        told: Tensor = _Attend.apply(q, k, v, seen.numpy())  # type: ignore[no-untyped-call]
        return told
    if prefix is None:
        return scaled_dot_product_attention(q, k, v, is_causal=True)
    return scaled_dot_product_attention(q, k, v, attn_mask=_seen(prefix, q.shape[1]))


def _seen(prefix: Int64[Tensor, " N"], length: int) -> Bool[Tensor, "N L L"]:
    place = torch.arange(length, device=prefix.device)
    return (place <= place[:, None]) | (place < prefix[:, None, None])


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, prefix: np.ndarray) -> Tensor:
        ctx.prefix, ctx.scale = prefix, np.float32(q.shape[2] ** -0.5)
        weights = q.new_empty(len(q), q.shape[1], q.shape[1])
        out = torch.empty(v.shape, dtype=v.dtype)
        for part in _blocks(weights):
            w = weights[part]
            torch.bmm(q[part], k[part].transpose(1, 2), out=w)
            kernel_over_rows(_weigh, [bits_of(w), prefix[part]], ctx.scale, block=1)
            torch.bmm(w, v[part], out=out[part])
        ctx.save_for_backward(q, k, v, weights)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, weights = ctx.saved_tensors
        grad = grads[0].contiguous()
        d_q, d_k, d_v = (torch.empty(x.shape, dtype=x.dtype) for x in (q, k, v))
        held = torch.empty_like(weights[next(_blocks(weights))])
        for part in _blocks(weights):
            w = weights[part]
            d_w = held[: len(w)]
            torch.bmm(w.transpose(1, 2), grad[part], out=d_v[part])
            torch.bmm(grad[part], v[part].transpose(1, 2), out=d_w)
            parts = [bits_of(w), bits_of(d_w), ctx.prefix[part]]
            kernel_over_rows(_back, parts, ctx.scale, block=1)
            torch.bmm(d_w, k[part], out=d_q[part])
            torch.bmm(d_w.transpose(1, 2), q[part], out=d_k[part])
        return d_q, d_k, d_v, None


def _blocks(weights: Float[Tensor, "N L L"]) -> Iterator[slice]:
    """Of sequences, as many at once as their weights fit BLOCK_BYTES, and at least one. All of one
    size, lest torch compile for another in bf16: the last takes some of the one before it again."""
    many, one = len(weights), weights.shape[1] * weights.shape[2] * weights.element_size()
    count = -(-many // max(1, BLOCK_BYTES // max(one, 1)))
    step = max(-(-many // max(count, 1)), 1)
    starts = (min(a, many - step) for a in range(0, max(many, 1), step))
    return (slice(a, a + step) for a in starts)


@njit(cache=True, nogil=True, fastmath=FAST)
def _weigh(weights, prefix, scale):  # type: ignore[no-untyped-def]
    """The softmax of scale times what each place sees, 0 for what it does not see, in place."""
    length = weights.shape[1]
    lane = np.empty(length, np.float32)
    for sequence in range(len(weights)):
        for place in range(length):
            row, size = weights[sequence, place], max(place + 1, min(prefix[sequence], length))
            key, total, by = in_order(row[0]), np.float32(0), scale * LOG2_E
            for c in range(size):
                key = max(key, in_order(row[c]))
            high = wide(in_order(key))
            for c in range(size):
                lane[c] = power_of_two((wide(row[c]) - high) * by)
                total += lane[c]
            share = np.float32(1) / total
            for c in range(size):
                row[c] = narrow(lane[c] * share, row[c])
            row[size:] = 0


@njit(cache=True, nogil=True, fastmath=FAST)
def _back(weights, grads, prefix, scale):  # type: ignore[no-untyped-def]
    """The gradient of the weights becomes that of the scores, in place."""
    length = weights.shape[1]
    for sequence in range(len(weights)):
        for place in range(length):
            row, out = weights[sequence, place], grads[sequence, place]
            size, mean = max(place + 1, min(prefix[sequence], length)), np.float32(0)
            for c in range(size):
                mean += wide(row[c]) * wide(out[c])
            for c in range(size):
                slope = wide(row[c]) * (wide(out[c]) - mean) * scale
                out[c] = narrow(slope, out[c])
            out[size:] = 0
