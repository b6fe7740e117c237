"""How much memory is left, to refuse what cannot fit before it is tried; giving back; and pages."""

import ctypes
import mmap
import os
from contextlib import suppress

import torch
from torch import Tensor

LARGE = 16 << 20  # bytes from which a table is worth pages of 2 MB


def available() -> int:
    """Bytes that can still be taken without swapping; all there are where that is not told."""
    try:
        with open("/proc/meminfo") as told:
            for line in told:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def give_back() -> None:
    """Free memory that the allocator keeps goes back to the system, where it can (glibc).

    Tensors of ever other sizes leave holes between blocks, and what a process holds grows: LRURec
    on MovieLens-1M stood at 6.7 GB after 50 epochs, of which 0.8 were in use.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another allocator; no handle of the program
        return


def zeros_in_large_pages(shape: torch.Size) -> Tensor:
    """f32 zeros on the CPU, in large pages where there are many and the system has such pages.

    Rows at random of a table of hundreds of MB lie in a page each, and finding the page takes as
    long as fetching the row.
    """
    size = shape.numel() * torch.float32.itemsize
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.zeros(shape)
    held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a system without
        held.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(held, dtype=torch.float32).view(shape)


def words(count: int) -> str:
    """1234567 -> "1.2 MB"."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
