"""Memory that is free goes back to the system."""

import ctypes
from pathlib import Path

import pytest

from honeyguide.nn.memory import available, give_back, words

MIB = 1 << 20


def held() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def test_holes_between_blocks_are_given_back():
    try:
        ctypes.CDLL(None).malloc_trim  # noqa: B018
    except (AttributeError, TypeError):
        pytest.skip("another allocator than glibc's")
    blocks = [bytearray(b"x") * 60_000 for _ in range(4_000)]  # too small to be mapped each
    kept = blocks[::50]
    full = held()
    del blocks
    give_back()
    assert full - held() > 100 * 1024  # of some 230 MiB
    assert len(kept) == 80


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    give_back()


def test_sizes_in_words():
    assert words(1_234_567) == "1.23 MB"
    assert available() > MIB
