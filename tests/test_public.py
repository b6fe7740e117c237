"""What `import honeyguide as hg` offers: every name is there, and mypy sees the same ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import honeyguide as hg

SOURCE = Path(hg.__file__).read_text()


def seen_by_mypy() -> dict[str, tuple[str, str]]:
    """Public name: (module, name in it), from the block that only type checkers read."""
    tree = ast.parse(SOURCE)
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    found = {}
    for line in block.body:
        assert isinstance(line, ast.ImportFrom)
        for alias in line.names:
            assert alias.asname == alias.name  # said twice, or strict mypy takes it for private
            found[alias.asname] = (str(line.module).removeprefix("honeyguide."), alias.name)
    return found


def test_mypy_sees_what_is_there():
    assert seen_by_mypy() == hg._PUBLIC


@pytest.mark.parametrize("name", sorted(hg._PUBLIC))
def test_a_public_name_resolves(name):
    value = getattr(hg, name)
    assert callable(value)
    assert value.__doc__
    assert getattr(hg, name) is value


def test_dir_lists_the_public_names():
    assert dir(hg) == sorted([*hg._PUBLIC, "__version__"])


def test_every_model_is_public():
    assert {spec.__name__ for spec in models()} <= set(hg._PUBLIC)


def models():
    from honeyguide.models.table import MODELS

    return MODELS.values()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Recomender'"):
        hg.Recomender  # noqa: B018


def test_a_name_is_loaded_when_first_used():
    script = """
import sys
import honeyguide as hg
assert "torch" not in sys.modules
assert hg.compare is not None
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
