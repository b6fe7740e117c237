"""Attention by its kernel is torch's, forwards and backwards, whatever the blocks."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from honeyguide.nn import attend as attending
from honeyguide.nn.attend import attend

SHAPES = [(5, 7, 4), (3, 1, 8), (2, 64, 16), (1, 33, 1)]


def drawn(shape, kind=torch.float32):
    draw = torch.Generator().manual_seed(sum(shape))
    return [2 * torch.randn(shape, generator=draw).to(kind) for _ in range(4)]


def outcome(function, parts, grad):
    parts = [part.clone().requires_grad_() for part in parts]
    told = function(*parts)
    told.backward(grad)
    return [told.detach(), *(part.grad for part in parts)]


def by_torch(q, k, v):
    return scaled_dot_product_attention(q, k, v, is_causal=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_it_is_that_of_torch(monkeypatch, shape, block_bytes):
    monkeypatch.setattr(attending, "BLOCK_BYTES", block_bytes)  # one sequence at a time, or all
    *parts, grad = drawn(shape)
    for got, wanted in zip(
        outcome(attend, parts, grad), outcome(by_torch, parts, grad), strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_is_near_to_f32(shape):
    *parts, grad = drawn(shape, torch.bfloat16)
    exact = outcome(by_torch, [part.float() for part in parts], grad.float())
    for wanted, got in zip(exact, outcome(attend, parts, grad), strict=True):
        assert got.dtype == torch.bfloat16
        # scores are rounded to bf16 before the softmax, so a weight may be off by 2^-8 times one
        off = float((got.float() - wanted).abs().max())
        assert off <= 0.05 * max(1.0, float(wanted.abs().max()))


def test_heads_laid_out_with_gaps_are_read_where_they_are():
    whole = torch.randn(4, 6, 3, 2, 8, generator=torch.Generator().manual_seed(0))
    q, k, v = whole.permute(2, 0, 3, 1, 4).reshape(3, 8, 6, 8).unbind(0)
    single = whole[:, :, :, 0]
    gaps = [single[:, :, number] for number in range(3)]
    assert not gaps[0].is_contiguous()
    grad = torch.ones(4, 6, 8)
    for got, wanted in zip(outcome(attend, gaps, grad), outcome(by_torch, gaps, grad), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(attend(q, k, v), by_torch(q, k, v), rtol=1e-4, atol=1e-5)


def test_without_gradients_the_answer_is_the_same():
    *parts, grad = drawn((3, 9, 4))
    wanted = outcome(attend, parts, grad)[0]
    with torch.no_grad():
        torch.testing.assert_close(attend(*parts), wanted)


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_what_is_known_is_seen_by_all_and_the_rest_only_by_what_follows(monkeypatch, block_bytes):
    monkeypatch.setattr(attending, "BLOCK_BYTES", block_bytes)
    *parts, grad = drawn((5, 7, 4))
    prefix = torch.tensor([0, 1, 3, 6, 7])
    sees = torch.zeros(5, 7, 7, dtype=torch.bool)
    for sequence, place in np.ndindex(5, 7):
        sees[sequence, place, : max(place + 1, int(prefix[sequence]))] = True

    def wanted(q, k, v):
        scores = (q @ k.transpose(1, 2) / 4**0.5).masked_fill(~sees, -torch.inf)
        return scores.softmax(2) @ v

    def ours(q, k, v):
        return attend(q, k, v, prefix)

    found = outcome(ours, parts, grad)
    for got, plain in zip(found, outcome(wanted, parts, grad), strict=True):
        torch.testing.assert_close(got, plain, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(ours(*parts), found[0])
