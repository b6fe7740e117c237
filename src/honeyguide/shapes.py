"""Sizes that come again.

For each new shape of a product in bf16 torch compiles a program on a CPU, which takes up to fifty
times as long as the product: where no two batches are of one size, a tenth of all time. So sizes
that depend on a batch are rounded to eight an octave, and what is added is zeros.
"""


def rounded_up(count: int) -> int:
    """To four leading bits."""
    step = _step(count)
    return -(-count // step) * step


def rounded(count: int) -> int:
    """The same to the nearest."""
    step = _step(count)
    return (count + step // 2) // step * step


def _step(count: int) -> int:
    return 1 << max(count.bit_length() - 4, 0)
