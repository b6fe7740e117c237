"""Where data sets come from, and how their publishers' files become the data folder's tables.

Special: a parser writes exactly the tables and columns that a data folder holds, so that only one
reader (in sets.py) exists, wherever the data came from. Every parser takes the folder into which
the publisher's files were unpacked and gives back its tables by name.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from polars.datatypes import DataTypeClass

from honeyguide.data.download import OnProgress, Record, download, writing
from honeyguide.data.unpack import unpack
from honeyguide.errors import DownloadError

SOURCE = "source.json"


@dataclass(frozen=True, slots=True)
class Publisher:
    """A public address and what lies there.

    base ends in a slash; files maps each file name below it to its sha256, or to None where nobody
    could verify one. terms says in short what the publisher allows.
    """

    base: str
    files: Mapping[str, str | None]
    parse: Callable[[Path], dict[str, pl.DataFrame]]
    terms: str


def fetch(publisher: Publisher, folder: Path, on_progress: OnProgress | None = None) -> None:
    """Download, convert and put the tables into `folder`, with their origin in source.json.

    on_progress speaks of the file under way. Raises DownloadError; `folder` then holds what it
    held before. What a cut transfer brought stays beside it for the next call.
    """
    downloads = folder.parent / ".downloads" / folder.name
    records = [
        download(publisher.base + name, downloads / name, sha256, on_progress=on_progress)
        for name, sha256 in publisher.files.items()
    ]
    try:
        with writing(folder), tempfile.TemporaryDirectory(dir=downloads) as work:
            _convert(publisher, downloads, Path(work), folder, records)
    finally:
        # an archive that cannot be used must not be found again by the next call
        shutil.rmtree(downloads, ignore_errors=True)


def unverified(folder: Path) -> tuple[str, ...]:
    """The addresses of files in this folder's origin whose checksum nobody could verify."""
    source = folder / SOURCE
    if not source.is_file():
        return ()
    return tuple(file["url"] for file in json.loads(source.read_text()) if not file["verified"])


def _convert(
    publisher: Publisher, downloads: Path, work: Path, folder: Path, records: list[Record]
) -> None:
    raw = work / "raw"
    for name in publisher.files:
        if name.endswith(".zip"):
            unpack(downloads / name, raw)
        else:
            raw.mkdir(exist_ok=True)
            os.replace(downloads / name, raw / name)
    try:
        tables = publisher.parse(raw)
    except (pl.exceptions.PolarsError, FileNotFoundError, UnicodeDecodeError) as error:
        raise DownloadError(
            f"What {publisher.base} sent is not the data set expected: {error}.",
            "The publisher may have changed it: bring an older copy by hand.",
        ) from None
    for name, table in tables.items():
        table.write_parquet(work / f"{name}.parquet", compression="zstd")
    (work / SOURCE).write_text(json.dumps([asdict(record) for record in records], indent=1))
    folder.mkdir(parents=True, exist_ok=True)
    # the folder counts as a data set only when all its tables are there, so one move at a time
    # is as good as one for all; the origin goes first
    for file in (SOURCE, *(f"{name}.parquet" for name in tables)):
        os.replace(work / file, folder / file)


# -------------------------------------------------------------------- the publishers' own formats


def parse_movielens_1m(raw: Path) -> dict[str, pl.DataFrame]:
    """`::` files in Latin-1. seq_pos is the place in the user's history by time, ties by row."""
    folder = raw / "ml-1m"
    ratings = _lines(folder / "ratings.dat", "::", _RATING_1M).with_row_index("row")
    order = ratings.sort("user_id", "timestamp", maintain_order=True).select(
        "row", seq_pos=pl.int_range(pl.len(), dtype=pl.Int16).over("user_id")
    )
    movies = _lines(
        folder / "movies.dat", "::", {"movie_id": pl.Int32, "title": pl.String, "genres": pl.String}
    )
    users = {"user_id": pl.Int32, "gender": pl.String, "age": pl.Int8, "occupation": pl.Int8}
    return {
        "ratings": ratings.join(order, on="row", how="left", maintain_order="left").select(
            "user_id",
            "movie_id",
            "rating",
            "seq_pos",
            "timestamp",
            timestamp_est=pl.col("timestamp"),
        ),
        "movies": movies.with_columns(pl.col("genres").str.split("|")),
        "users": _lines(folder / "users.dat", "::", {**users, "zip_code": pl.String}),
    }


_RATING_1M = {
    "user_id": pl.Int32,
    "movie_id": pl.Int32,
    "rating": pl.Int8,
    "timestamp": pl.Int64,
}
_RATING_100K = {"user_id": pl.Int32, "item_id": pl.Int32, "rating": pl.Int8, "timestamp": pl.Int64}
_SPLITS_100K = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")


def parse_movielens_100k(raw: Path) -> dict[str, pl.DataFrame]:
    """Tab- and bar-separated files in Latin-1; a flag for each of the seven official splits."""
    folder = raw / "ml-100k"
    ratings = _lines(folder / "u.data", "\t", _RATING_100K)
    for split in _SPLITS_100K:
        test = _lines(folder / f"{split}.test", "\t", _RATING_100K)
        flags = test.select("user_id", "item_id", pl.lit(True).alias(f"{split}_test"))
        ratings = ratings.join(
            flags, on=["user_id", "item_id"], how="left", maintain_order="left"
        ).with_columns(pl.col(f"{split}_test").fill_null(False))
    genres = _lines(folder / "u.genre", "|", {"genre": pl.String, "number": pl.Int32})
    names = genres.sort("number")["genre"].to_list()
    texts = ("title", "release_date", "video_release_date", "imdb_url")
    items = _lines(
        folder / "u.item",
        "|",
        {"item_id": pl.Int32, **dict.fromkeys(texts, pl.String), **dict.fromkeys(names, pl.Int8)},
    )
    flagged = [pl.when(pl.col(name) == 1).then(pl.lit(name)) for name in names]
    users = {"user_id": pl.Int32, "age": pl.Int16, "gender": pl.String}
    return {
        "ratings": ratings,
        "items": items.select(
            "item_id",
            "title",
            pl.col("release_date").replace("", None).str.to_date("%d-%b-%Y"),
            pl.col("imdb_url").replace("", None),
            genres=pl.concat_list(flagged).list.drop_nulls(),
        ),
        "users": _lines(
            folder / "u.user", "|", {**users, "occupation": pl.String, "zip_code": pl.String}
        ),
    }


def parse_movielens_latest(raw: Path) -> dict[str, pl.DataFrame]:
    """Four CSV files in UTF-8 with headers."""
    folder = raw / "ml-latest-small"
    who = {"userId": pl.Int32, "movieId": pl.Int32}
    movies = _csv(
        folder / "movies.csv", {"movieId": pl.Int32, "title": pl.String, "genres": pl.String}
    )
    split = pl.col("genres").str.split("|")
    return {
        "ratings": _csv(
            folder / "ratings.csv", {**who, "rating": pl.Float32, "timestamp": pl.Int64}
        ),
        "movies": movies.with_columns(
            genres=pl.when(pl.col("genres") == "(no genres listed)")
            .then(pl.lit([], dtype=pl.List(pl.String)))
            .otherwise(split)
        ),
        "links": _csv(
            folder / "links.csv", {"movieId": pl.Int32, "imdbId": pl.String, "tmdbId": pl.Int32}
        ),
        "tags": _csv(folder / "tags.csv", {**who, "tag": pl.String, "timestamp": pl.Int64}),
    }


def parse_gowalla(raw: Path) -> dict[str, pl.DataFrame]:
    """LightGCN's text files: a line is a user and all its items; lists map to original ids."""
    return {
        "train": _adjacency(raw / "train.txt"),
        "test": _adjacency(raw / "test.txt"),
        "items": _remap(raw / "item_list.txt", "item"),
        "users": _remap(raw / "user_list.txt", "user"),
    }


def _remap(path: Path, entity: str) -> pl.DataFrame:
    columns = {f"org_{entity}_id": pl.Int64, entity: pl.Int32}
    return _lines(path, " ", columns, skip=1).select(entity, f"org_{entity}_id")


def _adjacency(path: Path) -> pl.DataFrame:
    words = _text(path, "utf-8").str.strip_chars().str.split(" ")
    return (
        pl.DataFrame({"user": words.list.first(), "item": words.list.slice(1)})
        .explode("item")
        .drop_nulls()
        .cast(pl.Int32)
    )


def _lines(
    path: Path, separator: str, columns: Mapping[str, DataTypeClass], skip: int = 0
) -> pl.DataFrame:
    """A table in Latin-1 without quotes, whose separator may be several characters."""
    fields = _text(path, "latin-1").slice(skip).str.split_exact(separator, len(columns) - 1)
    named = fields.struct.rename_fields(list(columns)).struct.unnest()
    return named.select(pl.col(name).cast(kind) for name, kind in columns.items())


def _text(path: Path, encoding: str) -> pl.Series:
    text = path.read_bytes().decode(encoding).replace("\r\n", "\n").strip("\n")
    return pl.Series("line", [text]).str.split("\n").explode()


def _csv(path: Path, columns: Mapping[str, DataTypeClass]) -> pl.DataFrame:
    return pl.read_csv(path, schema=dict(columns))
