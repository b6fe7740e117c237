"""The stand-alone page: one HTML file that asks for nothing from anywhere and runs no script.

Special: text from the data (titles, names of users) passes through the templates' escaping, and a
content security policy inside the page lets no script run even if it did not. The same documents
give the same bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from honeyguide import __version__
from honeyguide.errors import CallError, HoneyguideError
from honeyguide.files import write_file
from honeyguide.reporting import figure, groups, learning, overview, words
from honeyguide.reporting.document import Document, located, read_all


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of a part. view: what its template shows; nothing: then `missing` says so."""

    name: str
    title: str
    view: Callable[[Document], Any]
    missing: str = ""


SECTIONS = (
    Section("models", "Models", overview.overview),
    Section(
        "tests",
        "Paired tests",
        overview.pairs,
        "no two models have the first metric for the same users",
    ),
    Section(
        "tradeoffs",
        "Accuracy against diversity",
        overview.tradeoffs,
        f"none of {', '.join(overview.DIVERSITY)} was measured; ask for them with --metrics",
    ),
    Section(
        "slices", "Groups of users, worst first", groups.slices, "the file holds none, or one group"
    ),
    Section("curves", "Learning curves", learning.curves, "no model was trained in epochs"),
    Section("tuning", "Tuning", learning.searches, "nothing was searched for"),
    Section("examples", "Example users", lambda told: told.examples, "the file holds none"),
    Section(
        "health", "Data health", lambda told: told.health, "the file holds no summary of the table"
    ),
    Section("configs", "Settings", lambda told: told.results, "no model was trained"),
    Section("machine", "Machine", lambda told: told.machine, "the file does not name it"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One results file: what there is to show, and what there is not."""

    number: int
    file: str
    document: Document
    sections: list[tuple[Section, Any]]
    missing: list[Section]


def report(results: str | Path | Sequence[str | Path], out: str | Path) -> Path:
    """Write one HTML file that shows results files; the path of that file.

    results: JSON documents that compare or tune wrote, or folders that tune wrote; one part of the
    page for each. Raises CallError where a file is not there or `out` cannot be, InputError where
    one holds something else or is of another version.
    """
    given = [results] if isinstance(results, str | Path) else results
    paths = [Path(path) for path in given]
    target = Path(out)
    if target.is_dir():
        raise CallError(f"{target} is a folder.", "Name a file to write to.")
    if not target.parent.is_dir():
        raise CallError(f"There is no folder {target.parent}.", "Make it, or write elsewhere.")
    if any(located(path).resolve() == target.resolve() for path in paths):
        raise CallError(f"{target} is one of the results files.", "Write the report elsewhere.")
    page = html(read_all(paths))
    try:
        # half a surrogate pair, which JSON can name, is no text
        write_file(target, page.encode(errors="replace"))
    except OSError as error:
        raise HoneyguideError(
            f"{target} cannot be written: {error.strerror or error}.",
            "Make room there (or mend the rights), or write elsewhere.",
        ) from None
    return target


def html(documents: Iterable[tuple[str, Document]]) -> str:
    """The page as text. documents: each with the name of its file."""
    parts = [_part(number, *told) for number, told in enumerate(documents, start=1)]
    return _environment().get_template("report.html").render(parts=parts, version=__version__)


def _part(number: int, file: str, document: Document) -> Part:
    views = [(section, section.view(document)) for section in SECTIONS]
    return Part(
        number=number,
        file=file,
        document=document,
        sections=[(section, view) for section, view in views if view],
        missing=[section for section, view in views if not view],
    )


def _environment() -> Environment:
    """autoescape is for every template, whatever its name."""
    made = Environment(
        loader=PackageLoader("honeyguide.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "metric": words.metric,
        "signed": words.signed,
        "probability": words.probability,
        "seconds": words.seconds,
        "number": words.number,
        "percent": words.percent,
        "setting": words.setting,
        "label": words.label,
        "between": overview.between,
        "share": figure.share,
    }
    return made
