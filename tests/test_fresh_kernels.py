"""A kernel compiled a moment ago and one from the cache give the same bits.

They did not where one kernel called another whose sums the compiler may reorder: the process that
compiled it ran the callee as it stands alone, later ones a copy that was optimised once more.
"""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import honeyguide
from honeyguide.models.ials import IALS
from honeyguide.models.mf import MF
from honeyguide.models.neumf import NeuMF
from runs import PLAIN, SPECS, trained

TRIED = {**SPECS, "mf by softmax": MF(epochs=1), "neumf": NeuMF(epochs=1), "ials": IALS(epochs=1)}


def told() -> str:
    lines = []
    for name, spec in TRIED.items():
        weights = trained(spec, valid=False)[0].state_dict()
        tensors = [weights[key].contiguous().numpy().tobytes() for key in sorted(weights)]
        lines.append(f"{name}: {sha256(b''.join(tensors)).hexdigest()}")
    return "\n".join(lines)


def test_the_first_run_of_an_installation_has_the_bits_of_the_next(tmp_path):
    source = str(Path(honeyguide.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": source, "NUMBA_CACHE_DIR": str(tmp_path)}
    env["OMP_NUM_THREADS"] = "1"

    def child() -> str:
        done = subprocess.run(
            [sys.executable, __file__], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout

    first = child()
    assert list(tmp_path.rglob("*.nbc"))  # compiled there, not taken from elsewhere
    assert len(first.splitlines()) == len(TRIED)
    assert child() == first


if __name__ == "__main__":
    assert PLAIN.precision == "f32"
    print(told())
