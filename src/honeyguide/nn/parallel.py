"""Rows shared out among threads, for numba kernels that let go of the interpreter lock.

Numba's own parallel loops need one of three threading layers, of which the one always there may not
be entered by two threads at once, as a server would. Plain threads may.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch

ALONE = 64  # below this many rows a thread costs more than it saves


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="honeyguide-rows")


def over_rows(rows: int, work: Callable[[int, int], object], *, block: int = ALONE) -> None:
    """Call work(start, stop) for blocks that cover range(rows), in as many threads as torch has."""
    threads = torch.get_num_threads()
    if rows <= block or threads == 1:
        work(0, rows)
        return
    step = max(block, -(-rows // (threads * 8)))  # eight pieces a thread even out long rows
    starts = range(0, rows, step)
    jobs = [_pool(threads).submit(work, s, min(s + step, rows)) for s in starts]
    for job in jobs:
        job.result()


def kernel_over_rows(
    kernel: Callable[..., object], parts: Sequence[np.ndarray], *by: object, block: int = ALONE
) -> None:
    """Call kernel(*parts, *by) with the same rows of all parts, in pieces as `over_rows` makes."""
    over_rows(len(parts[0]), lambda a, b: kernel(*(part[a:b] for part in parts), *by), block=block)
