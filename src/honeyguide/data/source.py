"""Where a table comes from: a file of one of the known formats, or a frame of a known library.

Special here: everything becomes a `Source`, i.e. column names and a way to load some of them, and
everything that goes wrong while opening becomes an InputError that names the file. CSV is loaded
as text, so that an id such as 007 keeps its zeros. Not here: what the columns mean (read, columns).
"""

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import narwhals as nw
import polars as pl

from honeyguide.errors import CallError, InputError, ValueInColumn

ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".ndjson", ".jsonl", ".dat")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
# The columns of MovieLens files, which have no header, by how many there are.
BY_POSITION: dict[str, dict[int, tuple[str, ...]]] = {
    "events": {
        3: ("user_id", "item_id", "rating"),
        4: ("user_id", "item_id", "rating", "timestamp"),
    },
    "item_id": {3: ("item_id", "title", "genres")},
    "user_id": {5: ("user_id", "gender", "age", "occupation", "zip_code")},
}
LIBRARIES: dict[nw.Implementation, Literal["polars", "pandas", "arrow"]] = {
    nw.Implementation.POLARS: "polars",
    nw.Implementation.PANDAS: "pandas",
    nw.Implementation.PYARROW: "arrow",
}
HEAD = 65_536
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Source:
    """A table not yet loaded.

    what:    how to call it in an error.
    names:   its columns, in their order.
    load:    some of the columns as a frame, in the order asked.
    as_text: whether every column comes as text because the format knows no types.
    raw:     the bytes of an NDJSON file, where one column may mix numbers and text.
    notes:   what opening had to guess.
    """

    what: str
    names: list[str]
    load: Callable[[Sequence[str]], pl.DataFrame]
    as_text: bool = False
    raw: bytes | None = None
    notes: tuple[str, ...] = ()

    def refuse_mixed(self, column: str) -> None:
        """ValueInColumn if an NDJSON file writes this column now as a number, now as text."""
        if self.raw is None:
            return
        key = rb'"' + re.escape(column.encode()) + rb'"\s*:\s*'
        number = re.search(key + rb"(-?\d[^,}\s]*|true|false)", self.raw)
        text = re.search(key + rb'("[^"]*")', self.raw)
        if number and text:
            raise _mixed(column, (number[1].decode(), text[1].decode()))


def open_source(source: Any, side: str = "events") -> Source:
    """The source behind a path or a frame; `side` says how files without a header are read.

    InputError when the file is missing, empty, of an unknown ending or not what its ending says;
    CallError when `source` is neither a path nor a known frame.
    """
    opened = _file(Path(source), side) if isinstance(source, (str, Path)) else _native(source)
    broken = next((name for name in opened.names if len(name.splitlines()) > 1), None)
    if broken is not None:
        raise InputError(
            f"{opened.what} has a column name with a line break, {broken!r}.", "Rename it."
        )
    return opened


def _native(source: Any) -> Source:
    try:
        return _frame(nw.from_native(source))
    except nw.exceptions.DuplicateError:
        raise InputError(
            "The frame has two columns of one name.", "Rename or drop one of the two."
        ) from None
    except TypeError as error:
        raise CallError(
            f"A table cannot be read from a {type(source).__name__}.",
            f"Give a path ({', '.join(ENDINGS)}) or a pandas, polars or Arrow table.",
        ) from error


def library(frame: nw.DataFrame[Any] | nw.LazyFrame[Any]) -> Literal["polars", "pandas", "arrow"]:
    """Which of the three libraries a frame belongs to; CallError for any other."""
    kind = LIBRARIES.get(frame.implementation)
    if kind is None:
        raise CallError(
            f"Frames of {frame.implementation} are not read.",
            "Turn it into a pandas, polars or Arrow table first.",
        )
    return kind


def _frame(frame: nw.DataFrame[Any] | nw.LazyFrame[Any]) -> Source:
    kind = library(frame)
    what = f"The {kind} table"
    try:
        names = frame.collect_schema().names()
    except nw.exceptions.DuplicateError:
        raise
    except (pl.exceptions.PolarsError, nw.exceptions.NarwhalsError) as error:
        raise _unreadable(what, "read", error) from error
    strange = [name for name in names if not isinstance(name, str)]
    if strange:
        raise InputError(
            f"{what} has column names that are not text, such as {strange[0]!r}.",
            "Rename the columns to text.",
        )

    def load(some: Sequence[str]) -> pl.DataFrame:
        chosen = frame.select(list(some))
        try:
            if isinstance(chosen, nw.LazyFrame):
                return cast(pl.DataFrame, chosen.collect().to_native())
            return chosen.to_polars()
        except (pl.exceptions.PolarsError, nw.exceptions.NarwhalsError) as error:
            raise _unreadable(what, "read", error) from error
        except ImportError as error:
            raise CallError(
                f"{what} cannot be read without pyarrow, which is not installed.",
                "Run `pip install pyarrow`, or give a polars frame or a file.",
            ) from error
        except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
            # pyarrow's refusals of a pandas column; all of them are one of these four.
            if kind == "pandas":
                _refuse_mixed_objects(chosen.to_native(), some)
            raise _unreadable(what, "turned into columns of one type each", error) from error

    return Source(what, list(names), load)


def _refuse_mixed_objects(native: Any, names: Sequence[str]) -> None:
    """ValueInColumn for the first pandas column that holds values of several types."""
    for name in names:
        filled = native[name].dropna().reset_index(drop=True)
        kinds = filled.map(type).drop_duplicates()
        if len(kinds) > 1:
            raise _mixed(name, [repr(filled[row]) for row in kinds.index[:2]])


def _mixed(column: str, shown: Sequence[str]) -> ValueInColumn:
    return ValueInColumn(
        f'Column "{column}" mixes types, such as {" and ".join(shown)}.',
        "Make all of it text or all of it whole numbers; 1 and '1' could be two different ids.",
    )


def _file(path: Path, side: str) -> Source:
    what = str(path)
    if path.is_dir():
        raise InputError(f"{what} is a folder.", "Name one file in it.")
    if not path.exists():
        raise InputError(f"There is no file {what}.", "Check the path and the working folder.")
    zipped = path.suffix.lower() == ".gz"
    ending = (path.with_suffix("") if zipped else path).suffix.lower()
    if ending not in ENDINGS or (zipped and ending in (".parquet", ".pq")):
        raise InputError(
            f"{what}: files ending in {ending + '.gz' if zipped else ending!r} are not read.",
            f"Name a file ending in {', '.join(ENDINGS)} (text files also with .gz after it).",
        )
    data = _bytes(path, zipped)
    if not data:
        raise InputError(f"{what} is empty.", "Give a file with a header and at least two rows.")
    if ending in (".parquet", ".pq"):
        return _parquet(what, data)
    if CONTROL.search(data[:HEAD]):
        raise _foreign(what, ending, "it holds bytes that no text holds")
    if ending == ".dat":
        return _double_colons(what, data, side)
    # Up to a line's end, so that the cut never falls inside a character.
    head = data[:HEAD] if len(data) <= HEAD else data[: data.rfind(b"\n", 0, HEAD) + 1]
    try:
        head.decode()
    except UnicodeDecodeError as error:
        raise _foreign(what, ending, "it is not UTF-8 text") from error
    return _ndjson(what, data) if ending in (".ndjson", ".jsonl") else _csv(what, data, ending)


def _bytes(path: Path, zipped: bool) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if zipped else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _foreign(str(path), ".gz", "it cannot be unpacked, or is cut off") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}.", "Check its permissions and the disk."
        ) from error


def _guarded(what: str, ending: str, work: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """The frame that `work` reads; whatever polars refuses becomes an InputError."""
    try:
        return work()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise _foreign(what, ending, _first_line(error)) from error


def _parquet(what: str, data: bytes) -> Source:
    def load(some: Sequence[str]) -> pl.DataFrame:
        return _guarded(what, ".parquet", lambda: pl.read_parquet(data, columns=list(some)))

    names = _guarded(what, ".parquet", lambda: pl.read_parquet(data, n_rows=0)).columns
    return Source(what, names, load)


def _csv(what: str, data: bytes, ending: str) -> Source:
    separator = SEPARATORS[ending]

    def read(some: Sequence[str] | None, rows: int | None) -> pl.DataFrame:
        return _guarded(
            what,
            ending,
            lambda: pl.read_csv(
                data, columns=some, n_rows=rows, separator=separator, infer_schema=False
            ),
        )

    names = read(None, 0).columns
    _check_header(what, names, separator)
    return Source(what, names, lambda some: read(list(some), None).select(some), as_text=True)


def _check_header(what: str, names: list[str], separator: str) -> None:
    for name in names:
        twice = re.fullmatch(r"(.*)_duplicated_\d+", name)  # how polars renames the second one
        if twice and twice[1] in names:
            raise InputError(
                f"{what} has two columns named {twice[1]!r}.", "Rename or drop one of the two."
            )
    other = next((s for s in (",", "\t", ";", "|") if s != separator and s in names[0]), None)
    if len(names) == 1 and other is not None:
        raise InputError(
            f"{what} has a single column, {names[0]!r}: its fields seem to be separated by "
            f"{other!r}.",
            "Separate the fields by commas in .csv files and by tabs in .tsv files.",
        )
    numeric = pl.Series(names).str.contains(r"^\s*-?\d+(\.\d+)?\s*(_duplicated_\d+)?$")
    if numeric.all():
        raise InputError(
            f"{what} begins with {', '.join(names[:4])}, which are no names of columns.",
            "Put a first line with the names of the columns, such as user_id,item_id,timestamp.",
        )


def _ndjson(what: str, data: bytes) -> Source:
    frame = _guarded(what, ".ndjson", lambda: pl.read_ndjson(data, infer_schema_length=None))
    return Source(what, frame.columns, lambda some: frame.select(some), raw=data)


def _double_colons(what: str, data: bytes, side: str) -> Source:
    try:
        text, encoding = data.decode(), "UTF-8"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "Latin-1"  # as GroupLens wrote them
    lines = pl.Series(text.splitlines(), dtype=pl.String)
    lines = lines.filter(lines != "")
    count = lines.str.count_matches("::", literal=True) + 1
    width = int(count[0]) if len(count) else 0
    if width < 2:
        raise _foreign(what, ".dat", 'its first line has no "::" between fields')
    uneven = count != width
    if uneven.any():
        row = uneven.arg_true()[0]
        raise InputError(
            f'{what}: row {row + 1} has {count[row]} fields between "::", the first row {width}.',
            "Correct this row; every row needs the same number of fields.",
        )
    names = BY_POSITION[side].get(width)
    if names is None:
        known = " or ".join(str(number) for number in BY_POSITION[side])
        raise InputError(
            f'{what} has {width} fields between "::"; a MovieLens file has {known} here.',
            "Give a .csv or .tsv file with the names of the columns in its first line.",
        )
    fields = lines.str.split_exact("::", width - 1).struct.unnest()
    fields.columns = list(names)
    notes = [f"{what} has no header: columns read by position as {', '.join(names)}"]
    if encoding != "UTF-8":
        notes.append(f"{what} is not UTF-8 and was read as {encoding}")
    return Source(what, list(names), fields.select, as_text=True, notes=tuple(notes))


def _foreign(what: str, ending: str, why: str) -> InputError:
    return InputError(
        f"{what} is not what its ending {ending} says: {why}.",
        "Check that the file is whole and has the right ending, and that text is UTF-8.",
    )


def _unreadable(what: str, verb: str, error: Exception) -> InputError:
    return InputError(
        f"{what} cannot be {verb}: {_first_line(error)}.",
        "Give every column one type (numbers, text or dates), and try again.",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
