"""Floats that numba does not know, by their bits.

Special: numba has no bf16, whose bits are the upper half of those of f32. Kernels take tensors as
integers of their width (`bits_of`), read them by `wide` and write by `narrow`. What they do then
follows from the type: one kernel is compiled for each, and no shift is left to be looked up.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from torch import Tensor

INTEGERS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
_I16, _I32, _F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()
_UP = ir.Constant(_I32, 16)
_HALF = ir.Constant(_I32, 0x8000)  # of the last bit that stays


def bits_of(tensor: Float[Tensor, "*any"]) -> Int[np.ndarray, "*any"]:
    """The same memory as integers."""
    integers: np.ndarray = tensor.view(INTEGERS[tensor.dtype]).numpy()
    return integers


def _wide(context: Any, bits: Any) -> Any:
    """The f32 of the bits of an f32 (int32) or bf16 (int16)."""

    def told(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        (number,) = given
        if bits == types.int16:
            number = builder.shl(builder.zext(number, _I32), _UP)
        return builder.bitcast(number, _F32)

    return (types.float32(bits), told) if bits in (types.int16, types.int32) else None


def _narrow(context: Any, number: Any, like: Any) -> Any:
    """The bits of an f32, to the nearest, as wide as `like`, whose value does not matter."""

    def told(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        found = builder.bitcast(given[0], _I32)
        if like == types.int16:
            found = builder.trunc(builder.lshr(builder.add(found, _HALF), _UP), _I16)
        return found

    fits = number == types.float32 and like in (types.int16, types.int32)
    return (like(number, like), told) if fits else None


def _in_order(context: Any, bits: Any) -> Any:
    """The integer that stands among integers as the float does among floats, and back: a maximum
    of integers is vectorised, of floats not, and of 16 bits takes half the time."""

    def told(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = ir.IntType(bits.bitwidth)
        sign = builder.ashr(given[0], ir.Constant(kind, bits.bitwidth - 1))
        turned = builder.and_(sign, ir.Constant(kind, (1 << (bits.bitwidth - 1)) - 1))
        return builder.xor(given[0], turned)

    return (bits(bits), told) if bits in (types.int16, types.int32) else None


wide: Any = intrinsic(_wide)
narrow: Any = intrinsic(_narrow)
in_order: Any = intrinsic(_in_order)
