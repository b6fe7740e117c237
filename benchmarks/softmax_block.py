"""How many bytes of logits the blocked softmax should hold at once, and what it saves in memory."""

import torch
from torch.nn.functional import cross_entropy

from _common import record, seconds
from honeyguide.nn import softmax

ROWS, WIDTH, ITEMS = 12_800, 64, 3_417


def main() -> None:
    """Forward and backward for several block sizes, and the plain way beside them."""
    states = torch.randn(ROWS, WIDTH, requires_grad=True)
    table = torch.randn(ITEMS, WIDTH, requires_grad=True)
    target = torch.randint(1, ITEMS, (ROWS,))

    def plain() -> None:
        logits = states @ table.T
        torch.autograd.backward(cross_entropy(logits, target))

    def blocked() -> None:
        torch.autograd.backward(softmax.softmax(states, table, target))

    told = {}
    for mib in (1, 2, 4, 8, 16, 64):
        softmax.BLOCK_BYTES = mib << 20
        told[f"{mib} MiB"] = seconds(
            lambda: torch.autograd.backward(softmax.softmax(states, table, target))
        )
    record(
        "softmax_block",
        {"rows": ROWS, "width": WIDTH, "items": ITEMS, "seconds": told, "plain": seconds(plain)},
    )


if __name__ == "__main__":
    main()
