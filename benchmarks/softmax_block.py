"""How many bytes of logits, or how many rows, the full softmax should hold at once.

Forward and backward in the precision that training takes here, and the plain way beside them. A
small catalogue tells how many bytes stay in cache, a large one how many rows make up for going
through the table's gradient.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from _common import record, seconds
from honeyguide.nn import softmax
from honeyguide.train.device import autocast, choose_precision

WIDTH = 64
SMALL, LARGE = (12_800, 3_417), (1_024, 40_982)  # rows and items
MIB, ROWS = (1, 2, 4, 8, 16), (32, 64, 128, 256, 512)


def sweep(size: tuple[int, int], name: str, values: list[int]) -> dict[str, Any]:
    """Seconds by what a constant of softmax.py is set to."""
    rows, items = size
    states = torch.randn(rows, WIDTH, requires_grad=True)
    table = torch.randn(items, WIDTH, requires_grad=True)
    target = torch.randint(1, items, (rows,))
    device = torch.device("cpu")
    precision = choose_precision(device, "auto")

    def plain() -> None:
        with autocast(device, precision):
            loss = cross_entropy(states @ table.T, target)
        torch.autograd.backward(loss)

    def blocked() -> None:
        with autocast(device, precision):
            loss = softmax.softmax(states, table, target)
        torch.autograd.backward(loss)

    kept, told = getattr(softmax, name), {}
    for value in values:
        setattr(softmax, name, value)
        told[str(value)] = seconds(blocked)
    setattr(softmax, name, kept)
    return {
        "rows": rows,
        "items": items,
        "precision": precision,
        name: told,
        "as it is": seconds(blocked),
        "plain": seconds(plain),
    }


def main() -> None:
    """Both sweeps."""
    softmax.ROWS, kept = 1, softmax.ROWS
    small = sweep(SMALL, "BLOCK_BYTES", [mib << 20 for mib in MIB])
    softmax.ROWS = kept
    record(
        "softmax_block", {"width": WIDTH, "small": small, "large": sweep(LARGE, "ROWS", [*ROWS])}
    )


if __name__ == "__main__":
    main()
