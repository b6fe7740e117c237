"""Whether bf16 pays on this processor: products of the shapes that training uses."""

import torch

from _common import record, seconds
from honeyguide.train.device import has_amx

SHAPES = {"square 2000": (2000, 2000, 2000), "softmax head": (512, 64, 3417)}


def main() -> None:
    """GFLOP/s of each shape in both precisions."""
    told = {}
    for name, (m, n, k) in SHAPES.items():
        a, b = torch.randn(m, n), torch.randn(n, k)
        operations = 2e-9 * m * n * k
        a16, b16 = a.bfloat16(), b.bfloat16()
        told[name] = {
            "f32_gflops": operations / seconds(lambda a=a, b=b: a @ b, 20),  # type: ignore[misc]
            "bf16_gflops": operations / seconds(lambda a=a16, b=b16: a @ b, 20),  # type: ignore[misc]
        }
    record("precision", {"amx": has_amx(), "shapes": told})


if __name__ == "__main__":
    main()
