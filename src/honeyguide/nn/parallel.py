"""Rows shared out among threads, for numba kernels that let go of the interpreter lock.

Numba's own parallel loops need one of three threading layers, of which the one always there may not
be entered by two threads at once, as a server would. Plain threads may.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import numpy as np
import torch

Found = TypeVar("Found")
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


@cache
def _alone(threads: int) -> ThreadPoolExecutor:
    # apart from those above: torch keeps for each thread how many it may have beside it
    return ThreadPoolExecutor(threads, thread_name_prefix="honeyguide-alone")


_one_at_a_time = threading.Lock()


def _forget() -> None:
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    _pool.cache_clear()
    _alone.cache_clear()


if hasattr(os, "register_at_fork"):  # the threads have stayed with the parent
    os.register_at_fork(after_in_child=_forget)


def side_by_side(work: Sequence[Callable[[], Found]]) -> list[Found]:
    """Call all, each in a thread in which torch and `over_rows` work alone. Not to be called from
    within such work; a second caller waits for the first.

    Torch's number of threads is 1 meanwhile, also for a thread that first calls torch just then.
    """
    with _one_at_a_time:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            jobs = [_alone(threads).submit(_by_itself, each) for each in work]
            wait(jobs)
        finally:
            torch.set_num_threads(threads)
    return [job.result() for job in jobs]


def _by_itself(work: Callable[[], Found]) -> Found:
    if torch.get_num_threads() > 1:  # what a thread found when it first called torch, it keeps
        torch.set_num_threads(1)
    return work()
