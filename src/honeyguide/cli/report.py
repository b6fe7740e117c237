"""`honeyguide report`: results as one page to read."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...", help="Files of compare --json, or folders of tune --out."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write.")] = Path(
        "report.html"
    ),
) -> None:
    """Make one HTML page of results; it needs nothing else to be read."""
    from honeyguide.cli import show
    from honeyguide.reporting.report import report as write_report

    show.say(f"Written: {write_report(results, out)}.")
