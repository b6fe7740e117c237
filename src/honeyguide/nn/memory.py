"""How much memory is left, to refuse what cannot fit before it is tried; and giving back."""

import ctypes
import os


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


def words(count: int) -> str:
    """1234567 -> "1.2 MB"."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
