"""The command line: one thin command per verb. Parse, call one function, show.

Special: what a command needs is imported inside it, so that `honeyguide --help` answers at once.
Errors are two lines on stderr, what is wrong and what to do; exit status 0 done, 1 the work failed,
2 the call was wrong, 130 stopped by Ctrl-C. What nobody foresaw keeps its traceback.
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from honeyguide import __version__
from honeyguide.cli import (
    ask,
    compare,
    data,
    demo,
    doctor,
    evaluate,
    explain,
    report,
    serve,
    train,
    tune,
)
from honeyguide.errors import HoneyguideError

INTERRUPTED = 130

app = typer.Typer(
    name="honeyguide",
    help="From a table of what people did to a live recommender: trained, measured, served.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> bool:
    if asked:
        print(f"honeyguide {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """From a table of what people did to a live recommender: trained, measured, served."""


app.command()(demo.demo)
app.command()(data.data)
app.command()(train.train)
app.command()(compare.compare)
app.command()(tune.tune)
app.command()(report.report)
app.command()(evaluate.evaluate)
app.command()(ask.recommend)
app.command()(ask.score)
app.command()(ask.similar)
app.command()(explain.explain)
app.command()(serve.serve)
app.command()(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title that cannot be written is no failure
    try:
        status: Any = app(
            None if arguments is None else list(arguments),
            prog_name="honeyguide",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except HoneyguideError as error:
        return _say(error.wrong, error.do, error.status)
    except typer.TyperException as error:
        return _say(error.format_message(), "See `honeyguide --help` or `COMMAND --help`.", 2)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has enough; the interpreter must not flush into the void at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return status if isinstance(status, int) else 0


def _say(wrong: str, do: str, status: int) -> int:
    print(wrong, do, sep="\n", file=sys.stderr)
    return status
