"""Data sets by name: one visible table of what is known, and one function that loads any of it.

    load("movielens-1m")            -> DataSet(name, table, protocol)

A set is looked for in the data folder ($HONEYGUIDE_DATA, laid out <folder>/<table>.parquet), then
in the user's cache (same layout), and is downloaded into the cache only when the caller says so.
Special: each set carries the protocol it is measured by. Adding a set is one entry in SETS and one
reader that names its columns. Readers are in set_readers.py.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from honeyguide.data import publishers, set_readers
from honeyguide.data.download import OnProgress
from honeyguide.data.protocol import Protocol
from honeyguide.data.publishers import Publisher
from honeyguide.data.table import Table
from honeyguide.errors import DownloadError, InputError, UnknownName

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
LIGHTGCN = "https://raw.githubusercontent.com/gusye1234/LightGCN-PyTorch/master/data/gowalla/"
_GROUPLENS_TERMS = "research only; see the README in the publisher's archive"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Events, items and users by name, and the protocol by which results on them are compared.

    split_note: how the split was guessed, for whoever splits; None where nothing was guessed.
    """

    name: str
    table: Table
    protocol: Protocol
    split_note: str | None = None


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A set that is made on the spot and needs no file."""

    name: str
    make: Callable[[], Table]
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Kept:
    """A set that lies in a folder.

    folder is its short name (accepted as an alias) in a data folder or cache; tables are the
    Parquet files that must be there; read turns them into a Table. publisher is None where there
    is no automatic download.
    """

    name: str
    folder: str
    tables: tuple[str, ...]
    read: Callable[[Path], Table]
    protocol: Protocol
    publisher: Publisher | None = None


def _simulated_shop() -> Table:
    from honeyguide.data.shop import simulate

    return simulate().table


SETS: dict[str, Kept | BuiltIn] = {
    known.name: known
    for known in (
        BuiltIn("simulated-shop", _simulated_shop, Protocol(split="time")),
        Kept(
            "movielens-1m",
            "ml-1m",
            ("ratings", "movies", "users"),
            set_readers.movielens_1m,
            Protocol(split="leave-last-out", k_core=5),
            Publisher(
                GROUPLENS,
                {"ml-1m.zip": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"},
                publishers.parse_movielens_1m,
                _GROUPLENS_TERMS,
            ),
        ),
        Kept(
            "movielens-100k",
            "ml-100k",
            ("ratings", "items", "users"),
            set_readers.movielens_100k,
            Protocol(split="time"),
            Publisher(
                GROUPLENS,
                {"ml-100k.zip": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"},
                publishers.parse_movielens_100k,
                _GROUPLENS_TERMS,
            ),
        ),
        Kept(
            "movielens-100k-u1",
            "ml-100k",
            ("ratings", "items", "users"),
            set_readers.movielens_100k_u1,
            Protocol(split="ready-made"),
            Publisher(
                GROUPLENS,
                {"ml-100k.zip": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"},
                publishers.parse_movielens_100k,
                _GROUPLENS_TERMS,
            ),
        ),
        Kept(
            "movielens-latest-small",
            "ml-latest-small",
            ("ratings", "movies"),
            set_readers.movielens_latest_small,
            Protocol(split="time"),
            Publisher(
                GROUPLENS,
                {
                    "ml-latest-small.zip": (
                        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"
                    )
                },
                publishers.parse_movielens_latest,
                _GROUPLENS_TERMS,
            ),
        ),
        Kept(
            "gowalla",
            "gowalla",
            ("train", "test", "items", "users"),
            set_readers.gowalla,
            Protocol(split="ready-made"),
            Publisher(
                LIGHTGCN,
                dict.fromkeys(("train.txt", "test.txt", "item_list.txt", "user_list.txt")),
                publishers.parse_gowalla,
                "check-ins published for research; no explicit licence",
            ),
        ),
        Kept(
            "amazon-beauty",
            "amazon-beauty",
            ("sequences", "items"),
            set_readers.amazon_beauty,
            Protocol(split="leave-last-out", k_core=5),
        ),
        Kept(
            "taobao-cart-buy",
            "taobao-cart-buy",
            ("events",),
            set_readers.taobao_cart_buy,
            Protocol(split="ready-made"),
        ),
        Kept(
            "globo-news",
            "globo-news",
            ("clicks",),
            set_readers.globo_news,
            Protocol(split="time"),
        ),
        Kept(
            "lastfm-2k",
            "lastfm-2k",
            ("user_artists", "artists"),
            set_readers.lastfm_2k,
            Protocol(split="random"),
        ),
        Kept(
            "citeulike-a",
            "citeulike-a",
            ("interactions", "item_tags", "tags"),
            set_readers.citeulike_a,
            Protocol(split="random"),
        ),
        Kept("frappe", "frappe", ("usage", "apps"), set_readers.frappe, Protocol(split="random")),
    )
}


def load(
    name: str,
    *,
    download: bool = False,
    data_folder: Path | None = None,
    cache: Path | None = None,
    on_progress: OnProgress | None = None,
) -> DataSet:
    """The data set with this name or folder name.

    data_folder and cache stand in for $HONEYGUIDE_DATA and the user's cache. The network is
    touched only with download=True, and only when the set is in neither; on_progress(done, total)
    is then told the bytes of the file under way (total None: not announced).

    Raises UnknownName; InputError when the set is not on this machine or its files are not what
    they should be; DownloadError when it cannot be brought.
    """
    known = find(name)
    if isinstance(known, BuiltIn):
        return DataSet(known.name, known.make(), known.protocol)
    folder = located(name, data_folder=data_folder, cache=cache)
    if folder is None:
        folder = (cache or cache_folder()) / known.folder
        if not download:
            raise _absent(known, _places(known, data_folder, cache))
        if known.publisher is None:
            raise DownloadError(
                f"There is no automatic download for {known.name!r}.",
                f"Bring it by hand and {_layout(known)}.",
            )
        publishers.fetch(known.publisher, folder, on_progress)
    table = known.read(folder)
    notes = tuple(
        f"{url}: nobody could verify its checksum when it was downloaded."
        for url in publishers.unverified(folder)
    )
    return DataSet(known.name, replace(table, notes=table.notes + notes), known.protocol)


def find(name: str) -> Kept | BuiltIn:
    """The entry with this name or short folder name; UnknownName lists the known names."""
    for known in SETS.values():
        if name == known.name or (isinstance(known, Kept) and name == known.folder):
            return known
    raise UnknownName("data set", name, SETS)


def located(
    name: str, *, data_folder: Path | None = None, cache: Path | None = None
) -> Path | None:
    """The folder in which all tables of this set lie, or None; a built-in set has none."""
    known = find(name)
    if isinstance(known, BuiltIn):
        return None
    places = _places(known, data_folder, cache)
    return next((place for place in places if not _missing(known, place)), None)


def cache_folder() -> Path:
    """Where downloaded sets are kept: $XDG_CACHE_HOME/honeyguide or ~/.cache/honeyguide."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "honeyguide"


def _places(known: Kept, data_folder: Path | None, cache: Path | None) -> list[Path]:
    named = os.environ.get("HONEYGUIDE_DATA")
    if data_folder is None and named:
        data_folder = Path(named).expanduser()
    parents = ([data_folder] if data_folder else []) + [cache or cache_folder()]
    return [parent / known.folder for parent in parents]


def _missing(known: Kept, folder: Path) -> list[str]:
    files = [f"{table}.parquet" for table in known.tables]
    return [file for file in files if not (folder / file).is_file()]


def _absent(known: Kept, places: list[Path]) -> InputError:
    seen = [
        f"{place} lacks {', '.join(_missing(known, place))}" if place.is_dir() else f"no {place}"
        for place in places
    ]
    ways = _layout(known)
    if known.publisher is not None:
        ways += (
            f", or download it from its publisher with --download (in Python: "
            f"load({known.name!r}, download=True))"
        )
    return InputError(
        f"The data set {known.name!r} is not on this machine ({'; '.join(seen)}).",
        f"{ways[0].upper()}{ways[1:]}.",
    )


def _layout(known: Kept) -> str:
    files = ", ".join(f"{known.folder}/{table}.parquet" for table in known.tables)
    return f"point HONEYGUIDE_DATA at a folder that holds {files}"
