"""A causal convolution of each number along the events by weights of its own, as long as a window.

Special: two Fourier transforms there and two back. The way back is the same product with the
conjugate, from transforms that are at hand; torch's own takes more than twice as long. Letters: B
histories, L events, D numbers, W places of a window.
"""

from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn.functional import pad


def convolve(
    x: Float[Tensor, "B L D"], weights: Float32[Tensor, "W D"]
) -> Float32[Tensor, "B L D"]:
    """At each place t the sum of weights[t - s] * x[:, s] over s up to t, up to rounding; W is at
    least L."""
    told: Tensor = _Convolve.apply(x.float(), weights)  # type: ignore[no-untyped-call]
    return told


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor) -> Tensor:
        waves, by = _waves(x), _waves(weights[: x.shape[1]])
        ctx.save_for_backward(waves, by)
        ctx.beyond = len(weights) - x.shape[1]
        return _places(waves * by)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        waves, by = ctx.saved_tensors
        grad = _waves(grads[0])
        d_weights = _places((grad * waves.conj()).sum(0))
        d_weights = pad(d_weights, (0, 0, 0, ctx.beyond))
        return _places(grad * by.conj()), d_weights


def _waves(x: Float32[Tensor, "*B L D"]) -> Tensor:
    """The transform (*B, D, L + 1) along the places, behind which there is as much room again, so
    that nothing comes round."""
    along = x.transpose(-2, -1).contiguous()  # neighbours in memory
    waves: Tensor = torch.fft.rfft(along, n=2 * x.shape[-2])
    return waves


def _places(waves: Tensor) -> Float32[Tensor, "*B L D"]:
    """Back from it."""
    room = 2 * (waves.shape[-1] - 1)
    back: Tensor = torch.fft.irfft(waves, n=room)[..., : room // 2].transpose(-2, -1)
    return back
