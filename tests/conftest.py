"""What every test runs under: checked shapes, one thread per worker, no silent skip under CI."""

import functools
import inspect
import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ON_THE_BUILD_MACHINE = os.environ.get("CI", "").lower() in {"1", "true"}
UNDER_XDIST = "PYTEST_XDIST_WORKER" in os.environ

if UNDER_XDIST:
    # Before torch or numpy is imported, so that the tests' child processes inherit it too.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numba
import torch
from jaxtyping import install_import_hook

# A shell starts its background jobs with Ctrl-C ignored, and children inherit that; the tests that
# interrupt a child need it to be heard.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is no failure, and a failure must be seen again by whoever runs the tests next.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

if UNDER_XDIST:
    torch.set_num_threads(1)
    numba.set_num_threads(1)


def _on_the_function_itself(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """The numba decorator, applied below the wrapper that checks shapes.

    The import hook adds its decorator innermost, so `@njit` would be handed the checking wrapper,
    which numba cannot compile. Functions compiled by numba are therefore not checked; the plain
    functions around them are. (The other way, `@no_type_check` in the source, would also blind
    mypy.) Must be in place before the first honeyguide module is imported.
    """

    @functools.wraps(compile_)
    def decorate(*args: Any, **options: Any) -> Any:
        if args and inspect.isfunction(args[0]):
            return compile_(inspect.unwrap(args[0]), *args[1:], **options)
        made = compile_(*args, **options)
        return lambda function: made(inspect.unwrap(function))

    return decorate


for _name in ("jit", "njit", "vectorize", "guvectorize"):
    setattr(numba, _name, _on_the_function_itself(getattr(numba, _name)))

# Every shape and type written in a signature is checked at every call, in tests only. Pydantic
# models, dataclasses (slots too), nn.Modules, typer commands and FastAPI routes keep their
# signatures under it; `async def` is left alone by jaxtyping. test_house.py holds that it is on.
install_import_hook("honeyguide", "beartype.beartype")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets; without it skipped, on the build machine failed."""
    named = os.environ.get("HONEYGUIDE_DATA", "")
    if named and Path(named).is_dir():
        return Path(named).resolve()
    reason = (
        f"HONEYGUIDE_DATA names no folder: {named}"
        if named
        else "HONEYGUIDE_DATA is not set: no real data to test with"
    )
    if ON_THE_BUILD_MACHINE:
        pytest.fail(reason)
    pytest.skip(reason)


def _failed_with_reason(report: pytest.TestReport | pytest.CollectReport) -> None:
    # A test expected to fail is reported as skipped too; it did run.
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI=true does not allow: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if ON_THE_BUILD_MACHINE:
        _failed_with_reason(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if ON_THE_BUILD_MACHINE:
        _failed_with_reason(report)
    return report
