"""The rules of the house: floors, quiet imports, nothing unsafe on disk, nothing unfinished."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
SOURCES = sorted(SRC.rglob("*.py"))
MODULES = [
    ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCES
    if path.stem != "__main__"
]
LONGEST = 400

UNSAFE_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
}
UNSAFE_CALLS = {"eval", "exec"}
# torch.save pickles too; the others read a pickle when asked.
UNSAFE_ATTRIBUTES = {
    ("torch", "load"),
    ("torch", "save"),
    ("pd", "read_pickle"),
    ("pandas", "read_pickle"),
}


def floors(root: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter over the honeyguide that lies in `root`/src."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_floor_imports_a_higher_one():
    result = floors(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("where", "line", "said"),
    [
        ("data/kinds.py", "from honeyguide import serve\n", "not allowed to import"),
        ("nn/__init__.py", "def f():\n    import honeyguide.models\n", "not allowed to import"),
        ("attic.py", "", "honeyguide.attic"),
    ],
)
def test_a_wrong_import_is_seen(tmp_path, where, line, said):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "src" / "honeyguide" / where).open("a") as file:
        file.write(line)
    result = floors(tmp_path)
    assert result.returncode == 1
    assert said in result.stdout


# Runs in a child: imports what it is told, and reports everything that an import must not do.
WATCH = """
import os, sys
for name in {before!r}:
    __import__(name)
import logging, warnings
filters = list(warnings.filters)
def in_cache(path):
    # Compiled code beside its source, Python's own and that of numba's cache=True, is let through.
    return "__pycache__" in os.fsdecode(path)
def watch(event, args):
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        mode, flags = args[1], args[2]
        writes = (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND) & flags
        if writes and not in_cache(args[0]):
            print("wrote", args[0])
    elif event == "os.mkdir" and not in_cache(args[0]):
        print("made", args[0])
    elif event in ("socket.connect", "subprocess.Popen", "os.fork", "os.system"):
        print(event, args)
sys.addaudithook(watch)
for name in {names!r}:
    __import__(name)
    if logging.root.handlers:
        print("set up logging:", name)
        break
    if warnings.filters != filters:
        print("changed the warnings:", name)
        break
heavy = {heavy!r} & set(sys.modules)
if heavy:
    print("imported", *sorted(heavy))
"""


def importing(names: list[str], folder: Path, *, before: list[str], heavy: set[str]) -> str:
    script = WATCH.format(names=names, before=before, heavy=heavy)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-B", "-c", script],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    left = [f"left {path.name}" for path in folder.iterdir()]
    return "\n".join([result.stdout, result.stderr, *left]).strip()


def test_importing_the_package_does_nothing(tmp_path):
    heavy = {"torch", "numba", "numpy", "scipy", "polars", "pydantic", "fastapi", "typer"}
    assert importing(["honeyguide"], tmp_path, before=[], heavy=heavy) == ""


def test_importing_any_module_does_nothing(tmp_path):
    # The libraries come first: what they do on import is theirs.
    libraries = ["torch", "numba", "scipy.sparse.linalg", "scipy.stats", "polars", "narwhals"]
    libraries += ["pydantic", "jaxtyping", "safetensors.torch", "typer", "rich.progress"]
    libraries += ["fastapi", "uvicorn"]
    assert importing(MODULES, tmp_path, before=libraries, heavy=set()) == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('hello')", "hello"),
        ("open('left.txt', 'w').close()", "wrote left.txt"),
        ("import logging; logging.basicConfig()", "set up logging"),
        ("import warnings; warnings.simplefilter('ignore')", "changed the warnings"),
        ("import decimal", "imported decimal"),
    ],
)
def test_an_import_that_does_something_is_seen(tmp_path, body, said):
    (tmp_path / "busy.py").write_text(body)
    assert said in importing(["busy"], tmp_path, before=[], heavy={"decimal"})


def unsafe(source: str) -> list[str]:
    """What in this source could run code that lies in a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [n.name for n in names if n.name.split(".")[0] in UNSAFE_MODULES]
            case ast.ImportFrom(module=str(module), names=names):
                found += [module] if module.split(".")[0] in UNSAFE_MODULES else []
                found += [
                    f"{module}.{n.name}" for n in names if (module, n.name) in UNSAFE_ATTRIBUTES
                ]
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                found += [f"{owner}.{attribute}"] if (owner, attribute) in UNSAFE_ATTRIBUTES else []
            case ast.Name(id=name) if name in UNSAFE_CALLS:
                found.append(name)
            case ast.keyword(arg="allow_pickle", value=value):
                safe = isinstance(value, ast.Constant) and value.value is False
                found += [] if safe else ["allow_pickle"]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_is_short_safe_finished_and_at_home_anywhere(path):
    source = path.read_text()
    assert len(source.splitlines()) <= LONGEST
    assert unsafe(source) == []
    assert unfinished(source) == []
    assert foreign_paths(source) == []


def unfinished(source: str) -> list[str]:
    """Marks of work left for later; catching a library's NotImplementedError is none."""
    words = re.findall(r"\b(?:TODO|FIXME|XXX)\b", source)
    raised = [
        ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)
    ]
    return words + [line for line in raised if "NotImplementedError" in line]


def foreign_paths(text: str) -> list[str]:
    """Absolute paths that exist on somebody's machine only."""
    return re.findall(r"(?<![\w./:-])/(?:work|opt|root|home|Users|mnt)/[\w./-]*", text)


def test_pages_and_scripts_name_no_path_of_one_machine():
    texts = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.txt"), ROOT / "Makefile"]
    texts += [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.py"),
        ROOT / ".ci/run",
    ]
    assert {str(path): found for path in texts if (found := foreign_paths(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load('x')",
        "from torch import save",
        "eval('1')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
    ],
)
def test_unsafe_code_is_seen(source):
    assert unsafe(source)


def test_safe_code_is_let_through():
    assert (
        unsafe("model.eval()\nnp.load('x', allow_pickle=False)\nsafetensors.torch.load(b'')") == []
    )


def test_unfinished_work_is_seen():
    assert unfinished("x = 1  # TO" + "DO: the rest")
    assert unfinished("def f():\n    raise NotImplementedError('later')")
    assert not unfinished("try:\n    f()\nexcept NotImplementedError:\n    g()")


def test_foreign_paths_are_seen():
    assert foreign_paths("'/" + "home/ada/x.csv'") == ["/" + "home/ada/x.csv"]
    assert foreign_paths("GET /v1/home/x, docs/home/x.md") == []


def test_every_call_is_checked_against_its_signature():
    from honeyguide.data.kinds import kind_named

    with pytest.raises(jaxtyping.TypeCheckError):
        kind_named(3)  # type: ignore[arg-type]


def test_a_constraint_pins_one_version():
    lines = [
        line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] not in "#"
    ]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert "torch==2.13.0" in lines
