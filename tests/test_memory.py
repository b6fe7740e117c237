"""Memory that is free goes back to the system."""

import ctypes
from pathlib import Path

import pytest
import torch

from honeyguide.nn.memory import available, give_back, words, zeros_in_large_pages

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


@pytest.mark.parametrize("rows", [0, 3, 1 << 18])
def test_large_pages_hold_zeros_that_can_be_written(rows):
    table = zeros_in_large_pages(torch.Size((rows, 64)))
    assert table.shape == (rows, 64)
    assert table.dtype == torch.float32
    assert not table.any()
    table += 1
    assert table.sum() == table.numel()


def test_large_tables_lie_in_large_pages():
    switch = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not switch.exists() or "[never]" in switch.read_text():
        pytest.skip("a system without large pages")
    before = huge()
    table = zeros_in_large_pages(torch.Size((1 << 18, 64))).fill_(1)  # 64 MiB
    assert huge() - before >= 32 * 1024
    del table
    assert huge() - before < 32 * 1024


def huge() -> int:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(next(line for line in rollup.splitlines() if "AnonHuge" in line).split()[1])


def test_sizes_in_words():
    assert words(1_234_567) == "1.23 MB"
    assert available() > MIB
