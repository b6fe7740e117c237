"""Whatever happens while a bundle is saved, one whole bundle stands: the old one or the new one.

Called as a script, this file is the child that is killed, fills its disk, or saves for ever:

    test_bundle_faults.py kills ROOT SEED N   one fork per step of a save, killed right there (in
                                              ROOT/steps, from the bundle ROOT/steps/0), and N forks
                                              that save for ever, killed at some moment
    test_bundle_faults.py full DISK           saves to a small disk, with ever more space left
    test_bundle_faults.py forever FOLDER      saves one and the other until its input closes
"""

import errno
import fcntl
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import torch

import honeyguide
from bundles import assert_same, tiny
from honeyguide.bundle import Contents, bundle, describe, load, save
from honeyguide.errors import BundleError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
# Every call by which a save touches the disk.
STEPS = [(os, name) for name in ("mkdir", "open", "write", "fsync", "replace", "unlink")]
STEPS.append((fcntl, "flock"))


def version(name: str) -> Contents:
    """Two bundles, old and new, that share one file and differ in the others."""
    side = {"old": 1.0, "new": 2.0}[name]
    return tiny(
        settings={"version": name},
        tensors={"w": torch.full((128, 128), side)},
        tables={"items": pl.DataFrame({"item_id": [name]})},
    )


def standing(folder: Path) -> str:
    """Which of the two stands in the folder, verified to the last bit."""
    contents = load(folder)
    name = contents.settings["version"]
    assert_same(contents, version(name))
    return name


def listing(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def whole(folder: Path) -> list[str]:
    """The names in a folder in which a bundle stands and nothing else."""
    return sorted(describe(folder).names | {"manifest.json"})


class Trip:
    """Counts the steps of a save; at step number `at` (and after, if `on`) does something else."""

    def __init__(self, at: int, act: Callable[[], None], late: bool = False, on: bool = False):
        self.at, self.act, self.late, self.on, self.count = at, act, late, on, 0

    @contextmanager
    def armed(self) -> Iterator[None]:
        real = [(module, name, getattr(module, name)) for module, name in STEPS]
        for module, name, function in real:
            setattr(module, name, self.wrapped(function))
        try:
            yield
        finally:
            for module, name, function in real:
                setattr(module, name, function)

    def wrapped(self, function: Callable) -> Callable:
        def step(*args, **options):
            self.count += 1
            due = self.count == self.at or (self.on and self.count > self.at)
            if due and not self.late:
                self.act()
            try:
                return function(*args, **options)
            finally:
                if due and self.late:
                    self.act()

        return step


def attempt(contents: Contents, folder: Path) -> BundleError | None:
    try:
        save(contents, folder, created=NOON)
    except BundleError as error:
        return error
    return None


def throw(error: BaseException) -> None:
    raise error


# --- the child


def kills(root: Path, seed: int, count: int) -> None:
    kill_at_steps(root / "steps")
    kill_at_moments(root / "moments", seed, count)


def kill_at_steps(root: Path) -> None:
    # Only forks use polars, whose threads would not survive a fork of this process.
    for number in range(1, 1_000):
        folder = root / str(number)
        shutil.copytree(root / "0", folder)
        process = os.fork()
        if process == 0:
            with Trip(number, lambda: os.kill(os.getpid(), signal.SIGKILL)).armed():
                save(version("new"), folder, created=NOON)
            os._exit(0)
        if os.waitpid(process, 0)[1] == 0:
            return


def kill_at_moments(root: Path, seed: int, count: int) -> None:
    rng = random.Random(seed)
    for number in range(count):
        folder = root / str(number)
        ready, go = os.pipe()
        process = os.fork()
        if process == 0:
            save(version("old"), folder, created=NOON)
            os.write(go, b"!")
            while True:
                for name in ("new", "old"):
                    save(version(name), folder, created=NOON)
        os.read(ready, 1)
        time.sleep(rng.uniform(0, 0.04))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(ready)
        os.close(go)


def full(disk: Path) -> None:
    folder, ballast = disk / "shop", disk / "ballast"
    page = os.statvfs(disk).f_frsize
    save(version("old"), folder, created=NOON)
    before = listing(folder)
    seen = set()
    large = tiny(tensors={"w": torch.rand(10 << 20, generator=torch.Generator().manual_seed(1))})
    for space in (*range(28), None):
        if space is not None:
            ballast.write_bytes(bytes((os.statvfs(disk).f_bavail - space) * page))
        error = attempt(version("new") if space is not None else large, folder)
        if error:
            assert "No space left" in error.wrong, error
            assert "untouched" in error.do, error
            assert listing(folder) == before
        seen.add(standing(folder))
        assert listing(folder) == whole(folder)
        ballast.unlink(missing_ok=True)
        save(version("old"), folder, created=NOON)
    assert seen == {"old", "new"}, seen
    ballast.write_bytes(bytes((os.statvfs(disk).f_bavail - 2) * page))
    (disk / "ready").mkdir()
    for empty in (disk / "fresh", disk / "ready"):
        error = attempt(version("new"), empty)
        assert error, "there was no space for this"
        assert "nothing was left behind" in error.do, error
    assert not (disk / "fresh").exists()
    assert listing(disk / "ready") == []


def forever(folder: Path) -> None:
    while not select.select([sys.stdin], [], [], 0)[0]:
        for name in ("new", "old"):
            save(version(name), folder, created=NOON)


def child(*words: str | int | Path) -> list[str]:
    return [sys.executable, __file__, *map(str, words)]


def environment() -> dict[str, str]:
    source = Path(honeyguide.__file__).parent.parent
    return {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}


def run(command: list[str]) -> None:
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- errors and interrupts, at every single step


@pytest.mark.parametrize("late", [False, True], ids=["instead", "after"])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "full"), OSError(errno.EACCES, "no"), KeyboardInterrupt()],
    ids=["full", "forbidden", "interrupt"],
)
def test_an_error_at_any_step_leaves_one_whole_bundle(tmp_path, error, late):
    save(version("old"), tmp_path / "old", created=NOON)
    before = listing(tmp_path / "old")
    seen = []
    for number in range(1, 1_000):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "old", folder)
        trip = Trip(number, lambda: throw(error), late)
        with trip.armed():
            try:
                said = attempt(version("new"), folder)
            except KeyboardInterrupt:
                said = None
        if trip.count < number:
            break
        seen.append(standing(folder))
        if seen[-1] == "old":
            assert listing(folder) == before
        if isinstance(error, OSError):
            assert said
        assert said is None or ("new bundle stands" in said.wrong) == (seen[-1] == "new")
        save(version("new"), folder, created=NOON)
        assert listing(folder) == whole(folder)
    else:
        pytest.fail("the save never came to its end")
    assert trip.count == number - 1 > 20
    assert seen == sorted(seen, reverse=True), "the old one until some step, then the new one"
    assert {"old", "new"} == set(seen)


def test_a_disk_that_stays_broken_leaves_one_whole_bundle(tmp_path):
    save(version("old"), tmp_path / "old", created=NOON)
    for number in range(1, 1_000):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "old", folder)
        trip = Trip(number, lambda: throw(OSError(errno.EIO, "broken")), on=True)
        with trip.armed():
            said = attempt(version("new"), folder)
        if not said:
            break
        assert ("new bundle stands" in said.wrong) == (standing(folder) == "new")
        save(version("old"), folder, created=NOON)
        assert listing(folder) == whole(folder)
    assert number > 20


def test_a_first_save_that_fails_leaves_nothing(tmp_path):
    for number in range(1, 1_000):
        folder = tmp_path / str(number)
        with Trip(number, lambda: throw(OSError(errno.ENOSPC, "full"))).armed():
            said = attempt(version("new"), folder)
        if not said:
            break
        if folder.exists() and listing(folder):
            assert standing(folder) == "new"
            assert "new bundle stands" in said.wrong
        else:
            assert "nothing was left behind" in said.do
    assert number > 18


# --- kills


def verdicts(root: Path) -> list[str]:
    """Which bundle stands in each folder; saving there again must work and tidy up."""
    found = []
    for folder in sorted(root.iterdir(), key=lambda path: int(path.name)):
        found.append(standing(folder))
        save(version("old"), folder, created=NOON)
        assert listing(folder) == whole(folder)
    return found


def kill_and_look(root: Path, seed: int, count: int) -> list[str]:
    """Which bundle stood after a kill at each step of a save and at each of `count` moments."""
    save(version("old"), root / "steps" / "0", created=NOON)
    run(child("kills", root, seed, count))
    found = verdicts(root / "steps")
    assert found == sorted(found, reverse=True), "the old one until some step, then the new one"
    assert (found.count("old") > 12, found.count("new") > 3) == (True, True)
    return verdicts(root / "moments")


def test_a_kill_at_any_step_or_moment_leaves_one_whole_bundle(tmp_path):
    assert len(kill_and_look(tmp_path, 1, 8)) == 8


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_hundreds_of_kills_leave_one_whole_bundle_each(tmp_path, seed):
    found = kill_and_look(tmp_path, 100 + seed, 100)
    assert len(found) == 100
    assert set(found) == {"old", "new"}


# --- a full disk


def test_a_full_disk_leaves_the_old_bundle(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode == 0:
            try:
                run(child("full", tmp_path))
            finally:
                subprocess.run(["umount", str(tmp_path)], check=True)
            return
        apart = ["unshare", "-rm", "sh", "-c", '"$@"', "sh"]
        tried = subprocess.run([*apart, *mount], capture_output=True, text=True, check=False)
        reason = mounted.stderr + tried.stderr
        if tried.returncode == 0:
            both = ["unshare", "-rm", "sh", "-c", f'{" ".join(mount)} && exec "$@"', "sh"]
            run([*both, *child("full", tmp_path)])
            return
    except FileNotFoundError as error:
        reason = str(error)
    pytest.skip(f"a small disk cannot be mounted here: {reason.strip()}")


# --- several at once


def test_a_reader_sees_one_whole_bundle_while_another_process_saves(tmp_path):
    save(version("old"), tmp_path, created=NOON)
    writer = subprocess.Popen(
        child("forever", tmp_path), env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    seen = ["old"]
    reads, changes, deadline = 0, 0, time.monotonic() + 60
    while (reads < 100 or changes < 10) and time.monotonic() < deadline:
        seen.append(standing(tmp_path))
        reads += 1
        changes += seen[-1] != seen[-2]
    _, said = writer.communicate()
    assert writer.returncode == 0, said
    assert (reads >= 100, changes >= 10) == (True, True)


def test_a_file_that_vanished_with_its_manifest_is_read_anew(tmp_path, monkeypatch):
    save(version("old"), tmp_path)
    real, tries = bundle._read, []

    def overtaken(folder, manifest):
        tries.append(manifest.settings["version"])
        if len(tries) < 4:
            save(version("old" if tries[-1] == "new" else "new"), folder)
        return real(folder, manifest)

    monkeypatch.setattr(bundle, "_read", overtaken)
    assert standing(tmp_path) == "new"
    assert tries == ["old", "new", "old", "new"]


def test_savers_wait_for_each_other(tmp_path):
    failed = []

    def saver(name: str) -> None:
        try:
            for _ in range(15):
                save(version(name), tmp_path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=saver, args=(name,)) for name in ("old", "new") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    standing(tmp_path)
    assert listing(tmp_path) == whole(tmp_path)


def test_a_file_system_without_locks_is_said_aloud(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: throw(OSError(errno.ENOLCK, "none")))
    with pytest.warns(UserWarning, match="only one program"):
        save(version("new"), tmp_path)
    assert standing(tmp_path) == "new"


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    {"kills": kills, "full": full, "forever": forever}[what](Path(where), *map(int, rest))
