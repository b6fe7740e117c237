"""Documentation is executed: every python block and every `$ honeyguide` line of every page.

    ```python             run, page by page in one namespace, with warnings as errors
    ```console            each line `$ honeyguide ...` is run and must exit 0; a line that ends with
                          `&` is started, waited for until it listens, and stopped with the page
    ```console exact      the same, and the output must be the one shown
    <!-- needs: data -->  before a block: run only where HONEYGUIDE_DATA names real data

The blocks of a page run in order in one empty folder, so that a command finds what the Python
above it saved. Called as a script, this file is the child that runs one page.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS_DATA = "<!-- needs: data -->"
OPEN = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`]*)$")
DEFAULT_PORT = 8088
SHELLS = {"", "bash", "sh", "shell", "zsh"}
OTHER_PYTHONS = {"py", "python3", "pycon", "ipython"}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is the number of its first line of code, from 1."""

    language: str
    flags: tuple[str, ...]
    line: int
    lines: tuple[str, ...]
    needs_data: bool


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block and the output shown below it."""

    command: str
    shown: list[str] = field(default_factory=list)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = text.splitlines()
    number, before = 0, ""
    while number < len(lines):
        opened = OPEN.match(lines[number])
        if not opened:
            before = lines[number].strip() or before
            number += 1
            continue
        indent, fence = len(opened["indent"]), opened["fence"]
        language, *flags = opened["info"].split() or [""]
        first = number + 1
        last = next(
            (n for n in range(first, len(lines)) if lines[n].strip() == fence),
            None,
        )
        if last is None:
            raise AssertionError(f"line {first}: the block is never closed")
        code = tuple(line[indent:] for line in lines[first:last])
        yield Block(language, tuple(flags), first + 1, code, before == NEEDS_DATA)
        number, before = last + 1, ""


def commands(block: Block) -> list[Command]:
    """The `$ ` lines of a console block; a line that ends with a backslash goes on."""
    found: list[Command] = []
    going_on = False
    for line in block.lines:
        if going_on:
            found[-1] = Command(found[-1].command[:-1] + line.removeprefix("> ").strip())
        elif line.startswith("$ "):
            found.append(Command(line[2:].strip()))
        elif found:
            found[-1].shown.append(line.rstrip())
            continue
        going_on = bool(found) and found[-1].command.endswith("\\")
    return found


def faults(block: Block) -> list[str]:
    """What about a block would let it escape being run."""
    where = f"line {block.line}: "
    allowed = {"python": set(), "console": {"exact"}}.get(block.language)
    found = []
    if allowed is not None and set(block.flags) - allowed:
        found.append(f"{where}{block.language} {' '.join(block.flags)}: every block is run")
    if block.language in OTHER_PYTHONS:
        found.append(f"{where}write ```python rather than ```{block.language}")
    if block.language in SHELLS and any(re.match(r"\$? *honeyguide ", ln) for ln in block.lines):
        found.append(f"{where}write ```console and `$ honeyguide ...`")
    return found


def run_page(page: Path, with_data: bool) -> None:
    """Runs the blocks of one page in the current folder; raises at the first that fails."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    background: list[subprocess.Popen[bytes]] = []
    try:
        for block in blocks(page.read_text()):
            if block.needs_data and not with_data:
                continue
            if block.language == "python":
                # Blank lines in front give a traceback the line numbers of the page.
                code = "\n" * (block.line - 1) + "\n".join(block.lines)
                exec(compile(code, str(page), "exec"), namespace)
            elif block.language == "console":
                for command in commands(block):
                    if shlex.split(command.command)[:1] == ["honeyguide"]:
                        run_command(command, "exact" in block.flags, background)
    finally:
        for process in background:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def run_command(command: Command, exact: bool, background: list[subprocess.Popen[bytes]]) -> None:
    text = command.command
    if text.endswith("&"):
        words = shlex.split(text[:-1])
        port = int(words[words.index("--port") + 1]) if "--port" in words else DEFAULT_PORT
        background.append(subprocess.Popen(words, start_new_session=True))
        wait_for(port, background[-1])
        return
    result = subprocess.run(
        ["bash", "-c", text],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise AssertionError(f"$ {text}\n{result.stdout}exit status {result.returncode}")
    got = "\n".join(line.rstrip() for line in result.stdout.splitlines()).strip()
    shown = "\n".join(command.shown).strip()
    if exact and got != shown:
        raise AssertionError(f"$ {text}\n--- shown\n{shown}\n--- printed\n{got}")


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r}: exit status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r}: nothing listens on port {port} after {seconds:g} s")


def child(page: Path, folder: Path, data: Path | None) -> subprocess.CompletedProcess[str]:
    """Runs a page in a process of its own, in an empty folder, at an empty home."""
    place, home = folder / "place", folder / "home"
    place.mkdir()
    home.mkdir()
    here = Path(sys.executable).parent
    env = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{here}:{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    env.pop("HONEYGUIDE_DATA", None)
    if data:
        env["HONEYGUIDE_DATA"] = str(data)
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            __file__,
            str(page),
            "with-data" if data else "without-data",
        ],
        cwd=place,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_escapes(page):
    assert [fault for block in blocks(page.read_text()) for fault in faults(block)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_runs(page, tmp_path):
    result = child(page, tmp_path, None)
    assert result.returncode == 0, result.stdout + result.stderr


def test_pages_run_with_data(tmp_path, data_folder):
    # One test for all: no page at all that needs data would be a skip, which CI does not allow.
    for number, page in enumerate(PAGES):
        if NEEDS_DATA in page.read_text():
            folder = tmp_path / str(number)
            folder.mkdir()
            result = child(page, folder, data_folder)
            assert result.returncode == 0, f"{name(page)}\n{result.stdout}{result.stderr}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```python\nassert 1 + 1 == 3\n```", 'page.md", line 2'),
        ("```python\nimport warnings\nwarnings.warn('old')\n```", "UserWarning: old"),
        ("```python\nx = 1\n```\n\n```python\nassert x == 2\n```", 'page.md", line 6'),
        ("```console\n$ honeyguide no-such-command\n```", "exit status 2"),
        ("```console\n$ honeyguide \\\n> no-such-command\n```", "$ honeyguide no-such-command"),
        ("```console exact\n$ honeyguide --help\nnot this\n```", "--- shown\nnot this\n"),
        ("```python\nx = 1\n", "never closed"),
    ],
)
def test_a_wrong_page_fails(tmp_path, text, said):
    page = tmp_path / "page.md"
    page.write_text(text)
    result = child(page, tmp_path, None)
    assert result.returncode == 1
    assert said in result.stderr


def test_blocks_share_a_folder_and_data_blocks_wait_for_data(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nfrom pathlib import Path\nPath('made').write_text('here')\n```\n"
        f"\n{NEEDS_DATA}\n```python\nraise SystemExit(7)\n```\n"
        "- in a list\n  ```python\n  assert Path('made').read_text() == 'here'\n  ```\n"
    )
    assert child(page, tmp_path, None).returncode == 0
    (tmp_path / "again").mkdir()
    assert child(page, tmp_path / "again", tmp_path).returncode == 7


@pytest.mark.parametrize(
    "text",
    [
        "```python no-run\n```",
        "```console no-run\n```",
        "```py\n```",
        "```bash\nhoneyguide demo\n```",
        "```\n$ honeyguide demo\n```",
    ],
)
def test_escapes_are_seen(text):
    assert [fault for block in blocks(text) for fault in faults(block)]


if __name__ == "__main__":
    run_page(Path(sys.argv[1]), sys.argv[2] == "with-data")
