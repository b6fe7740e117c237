"""What a result ran on: enough to judge it, nothing that says whose machine it was."""

import getpass
import json
import os
import socket
import subprocess
import sys

from honeyguide.experiment.machine import machine


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


PEAKS = """
import os
import numpy as np
from honeyguide.experiment.machine import peak_memory_mb, reset_peak_memory
reset_peak_memory()
before = peak_memory_mb()
block = np.ones(64 << 17)  # 64 MiB
print(peak_memory_mb() - before)
del block
reset_peak_memory()
print(peak_memory_mb() - before if os.path.exists("/proc/self/clear_refs") else 0)
"""


def test_the_peak_is_that_since_the_last_reset():
    # a process of its own: another test may have left memory that the block fits into
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True, env=path
    )
    with_block, without = map(float, done.stdout.split())
    assert with_block > 50
    assert without < 50
