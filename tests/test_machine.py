"""What a result ran on: enough to judge it, nothing that says whose machine it was."""

import getpass
import json
import os
import socket

import numpy as np

from honeyguide.experiment.machine import machine, peak_memory_mb, reset_peak_memory


def test_a_machine_is_described_without_saying_whose():
    told = machine()
    assert set(told) == {
        "processor",
        "cores",
        "threads",
        "amx",
        "cuda",
        "memory_mb",
        "system",
        "python",
        "torch",
        "honeyguide",
    }
    assert told["cores"] == os.cpu_count()
    assert told["memory_mb"] > 100
    text = json.dumps(told)
    for secret in (socket.gethostname(), os.path.expanduser("~"), f'"{getpass.getuser()}"'):
        assert secret not in text


def test_the_peak_is_that_since_the_last_reset():
    reset_peak_memory()
    before = peak_memory_mb()
    block = np.ones(64 << 17)  # 64 MiB
    assert peak_memory_mb() - before > 50
    del block
    if os.path.exists("/proc/self/clear_refs"):
        reset_peak_memory()
        assert peak_memory_mb() - before < 50
