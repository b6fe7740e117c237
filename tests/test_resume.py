"""A run that was killed goes on bit for bit as if it had not been.

Called as a script, this file is the child: it forks one run after the other, kills them and lets
the next go on, and leaves the results for the test to compare.

    test_resume.py both ROOT                 the next two, for every spec
    test_resume.py steps ROOT SPEC SEED      kills at five steps
    test_resume.py ctrl_c ROOT SPEC SEED     SIGINT from outside, then goes on
    test_resume.py moments ROOT SPEC SEED    kills at moments, until a run comes to its end
    test_resume.py writes ROOT SPEC SEED     kills inside writes to the disk, each in its own folder
    test_resume.py full DISK SPEC SEED       a disk that fills up, and is then made free again
"""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import honeyguide
from honeyguide.data.sample import Negatives
from honeyguide.errors import TrainingError
from honeyguide.train import Quiet, checkpoint
from runs import SPECS, Watch, assert_as_if_never_stopped, ended, forked, run

# Every call by which a run touches the disk.
CALLS = ("open", "write", "fsync", "replace", "unlink", "close")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# --- the child


def uninterrupted(root: Path, name: str, threads: int = 1) -> int:
    """How many steps the whole run has, which is run if it was not yet."""
    if (root / "steps").exists():
        return int((root / "steps").read_text())
    root.mkdir(exist_ok=True)
    watch = Watch()

    def act() -> None:
        run(name, root / "whole", watch, checkpoint_seconds=1_000)
        (root / "steps").write_text(str(len(watch.seen)))

    assert ended(forked(act, threads)) == 0
    return int((root / "steps").read_text())


def both(root: Path) -> None:
    for name in SPECS:
        steps(root / name, name, 1)
        ctrl_c(root / name, name, 1)


def steps(root: Path, name: str, seed: int, threads: int = 1) -> None:
    total = uninterrupted(root, name, threads)
    folder = root / "killed"
    per_epoch = total // SPECS[name].epochs
    drawn = random.Random(seed).sample(range(2, total), 4)
    # one at the last step of an epoch, before its line of the journal
    for step in sorted({*drawn, 2 * per_epoch}):
        killed = partial(run, name, folder, Watch(step, die))
        assert ended(forked(killed, threads)) == -signal.SIGKILL
    assert ended(forked(lambda: run(name, folder, Quiet()), threads)) == 0


def moments(root: Path, name: str, seed: int) -> None:
    uninterrupted(root, name)
    process = started(name, root / "timed")
    began = time.perf_counter()
    assert ended(process) == 0
    # an eighth of a run at most, so that a run twice as fast as the timed one is killed often too
    longest = (time.perf_counter() - began) / 8
    rng, kills = random.Random(seed), 0
    for _ in range(100):
        process = started(name, root / "stopped")
        time.sleep(rng.uniform(0, longest))
        os.kill(process, signal.SIGKILL)
        status = ended(process)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        kills += 1
    else:
        assert ended(forked(lambda: run(name, root / "stopped", Quiet()))) == 0
    assert kills >= 3, kills


def started(name: str, folder: Path) -> int:
    """The process of a run that has just done its first step."""
    ready, go = os.pipe()
    process = forked(lambda: run(name, folder, _Started(go)))
    os.close(go)
    os.read(ready, 1)
    os.close(ready)
    return process


class _Started:
    """Says through a pipe that the first step was done."""

    def __init__(self, pipe: int) -> None:
        self.pipe, self.said = pipe, False

    def step(self, at: object) -> None:
        if not self.said:
            os.write(self.pipe, b"!")
        self.said = True


def writes(root: Path, name: str, seed: int) -> None:
    uninterrupted(root, name)
    counted = root / "calls"

    def count() -> None:
        calls = _on_calls(-1, die)
        run(name, root / "counting", Quiet())
        counted.write_text(str(len(calls)))

    assert ended(forked(count)) == 0
    rng, total = random.Random(seed), int(counted.read_text())
    # the last calls write what the test compares, not the run's own files
    for number, at in enumerate(sorted(rng.sample(range(1, total - 30), 14))):
        folder = root / f"stopped-{number}"

        def act(folder: Path = folder, at: int = at) -> None:
            _on_calls(at, die)
            run(name, folder, Quiet())

        assert ended(forked(act)) == -signal.SIGKILL
        assert ended(forked(partial(run, name, folder, Quiet()))) == 0


def _on_calls(at: int, act: Callable[[], None]) -> list[str]:
    """Counts the calls that touch the disk; call number `at` does something else, half-way."""
    calls: list[str] = []

    def wrapped(call: str, function: Callable) -> Callable:
        def step(*args, **options):
            calls.append(call)
            if len(calls) == at:
                if call == "write":
                    function(args[0], args[1][: len(args[1]) // 2])
                act()
            return function(*args, **options)

        return step

    for call in CALLS:
        setattr(os, call, wrapped(call, getattr(os, call)))
    return calls


def ctrl_c(root: Path, name: str, seed: int) -> None:
    total = uninterrupted(root, name)
    folder = root / "interrupted"
    ready, say = os.pipe()
    wait, go = os.pipe()

    def act() -> None:
        os.write(say, b"!")
        os.read(wait, 1)  # goes on waiting after the signal

    step = random.Random(seed).randrange(2, total)
    process = forked(lambda: run(name, folder, Watch(step, act)))
    os.read(ready, 1)
    os.kill(process, signal.SIGINT)
    os.write(go, b"!")
    assert ended(process) == 130, "KeyboardInterrupt"
    assert (folder / checkpoint.FILE).exists()
    assert not (folder / "final").exists()
    assert ended(forked(lambda: run(name, folder, Quiet()))) == 0


def full(disk: Path, name: str, seed: int) -> None:
    total = uninterrupted(disk, name)
    folder, ballast = disk / "stopped", disk / "ballast"

    def fill() -> None:
        page = os.statvfs(disk).f_frsize
        ballast.write_bytes(bytes((os.statvfs(disk).f_bavail - 1) * page))

    def act() -> None:
        with pytest.raises(TrainingError, match="No space left") as caught:
            run(name, folder, Watch(total // 2, fill))
        assert "resume" in caught.value.do

    assert ended(forked(act)) == 0
    ballast.unlink()
    done: list[int] = []

    def rest() -> None:
        watch = Watch()
        run(name, folder, watch)
        done.append(watch.seen[0].done)
        assert done == [total // 2], done  # the checkpoint of the step before was whole
        assert_as_if_never_stopped(disk / "whole", folder)

    assert ended(forked(rest)) == 0


# --- the tests


def child(*words: str | int | Path) -> list[str]:
    return [sys.executable, __file__, *map(str, words)]


def let(command: list[str]) -> None:
    source = Path(honeyguide.__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    root: Path = tmp_path_factory.mktemp("resume")
    let(child("both", root))
    return root


@pytest.mark.parametrize("name", SPECS)
def test_five_kills_change_no_bit(stopped, name):
    assert_as_if_never_stopped(stopped / name / "whole", stopped / name / "killed")


@pytest.mark.parametrize("name", SPECS)
def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(stopped, name):
    assert_as_if_never_stopped(stopped / name / "whole", stopped / name / "interrupted")


@pytest.mark.faults
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("seed", range(2, 5))
def test_kills_at_other_steps_with_two_threads(tmp_path, name, seed):
    let(child("steps", tmp_path, name, seed, 2))
    assert_as_if_never_stopped(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.faults
@pytest.mark.parametrize("name", SPECS)
def test_kills_at_any_moment_change_no_bit(tmp_path, name):
    let(child("moments", tmp_path, name, 1))
    assert_as_if_never_stopped(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.faults
@pytest.mark.parametrize("name", SPECS)
def test_kills_inside_a_write_change_no_bit(tmp_path, name):
    let(child("writes", tmp_path, name, 1))
    folders = sorted(tmp_path.glob("stopped-*"))
    assert len(folders) == 14
    for folder in folders:
        assert_as_if_never_stopped(tmp_path / "whole", folder)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    inside = child("full", tmp_path, "mf", 1)
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode == 0:
            try:
                let(inside)
            finally:
                subprocess.run(["umount", str(tmp_path)], check=True)
            return
        apart = ["unshare", "-rm", "sh", "-c", '"$@"', "sh"]
        tried = subprocess.run([*apart, *mount], capture_output=True, text=True, check=False)
        reason = mounted.stderr + tried.stderr
        if tried.returncode == 0:
            let(["unshare", "-rm", "sh", "-c", f'{" ".join(mount)} && exec "$@"', "sh", *inside])
            return
    except FileNotFoundError as error:
        reason = str(error)
    pytest.skip(f"a small disk cannot be mounted here: {reason.strip()}")


if __name__ == "__main__":
    # what every run loads late, loaded once and before the forks
    importlib.import_module("torch._dynamo")
    Negatives.of(sp.csr_array(np.eye(2, 4, 1, np.float32))).for_users(np.zeros(1, np.int64), 1, 0)
    what, where, *words = sys.argv[1:]
    acts: dict[str, Callable[..., None]] = {
        act.__name__: act for act in (both, steps, ctrl_c, moments, writes, full)
    }
    acts[what](Path(where), *words[:1], *map(int, words[1:]))
