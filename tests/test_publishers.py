"""Bringing a named set from a (local) publisher, and reading what publishers send."""

import functools
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from honeyguide.data import publishers
from honeyguide.data.sets import SETS, Kept, cache_folder, find, load, located
from honeyguide.errors import DownloadError

RATINGS_1M = b"1::10::5::300\n1::20::4::100\n1::30::3::300\n2::10::1::50\n2::20::2::40\n"
MOVIES_1M = "10::Am\xe9lie (2001)::Comedy|Romance\n20::Jaws: Part 1::Horror\n30::Up::Comedy\n"
USERS_1M = b"1::F::1::10::48067\n2::M::56::16::70072-12\n"


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def archive_1m() -> bytes:
    return zipped(
        **{
            "ml-1m/README": b"terms",
            "ml-1m/ratings.dat": RATINGS_1M,
            "ml-1m/movies.dat": MOVIES_1M.encode("latin-1"),
            "ml-1m/users.dat": USERS_1M,
        }
    )


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HONEYGUIDE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


Serve = Callable[[dict[str, bytes]], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Puts files on a local server (one without Range) and gives back its address."""
    root = tmp_path / "served"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(root))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def put(files: dict[str, bytes]) -> str:
        for name, content in files.items():
            (root / name).write_bytes(content)
        return f"http://127.0.0.1:{server.server_port}/"

    yield put
    server.shutdown()
    server.server_close()
    thread.join()


def kept(name: str) -> Kept:
    known = find(name)
    assert isinstance(known, Kept)
    return known


def served_from(
    monkeypatch: pytest.MonkeyPatch, name: str, base: str, files: dict[str, str | None]
) -> None:
    """Let a known set have its publisher on the local server."""
    known = kept(name)
    assert known.publisher is not None
    local = replace(known.publisher, base=base, files=files)
    monkeypatch.setitem(SETS, name, replace(known, publisher=local))


# ------------------------------------------------------------------------------------- downloading


def test_movielens_1m_is_brought_converted_and_found_again(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, tmp_path: Path
) -> None:
    archive = archive_1m()
    checksum = hashlib.sha256(archive).hexdigest()
    served_from(monkeypatch, "movielens-1m", serve({"a.zip": archive}), {"a.zip": checksum})
    seen: list[tuple[int, int | None]] = []
    brought = load("ml-1m", download=True, on_progress=lambda *step: seen.append(step))
    assert seen[-1] == (len(archive), len(archive))
    assert brought.name == "movielens-1m"
    assert brought.table.notes == ()
    # user 1 saw 20 first, then 10 and 30 at the same second: the file's order decides
    assert brought.table.events.select("user_id", "item_id", "value", "order").rows() == [
        (1, 10, 5.0, 1),
        (1, 20, 4.0, 0),
        (1, 30, 3.0, 2),
        (2, 10, 1.0, 1),
        (2, 20, 2.0, 0),
    ]
    assert brought.table.items is not None
    assert brought.table.items.rows() == [
        (10, "Amélie (2001)", ["Comedy", "Romance"]),
        (20, "Jaws: Part 1", ["Horror"]),
        (30, "Up", ["Comedy"]),
    ]
    assert brought.table.users is not None
    assert brought.table.users.row(1) == (2, "M", 56, 16, "70072-12")
    assert located("ml-1m") == cache_folder() / "ml-1m"
    assert {path.name for path in (cache_folder() / "ml-1m").iterdir()} == {
        "ratings.parquet",
        "movies.parquet",
        "users.parquet",
        "source.json",
    }
    assert not (cache_folder() / ".downloads" / "ml-1m").exists()
    again = load("movielens-1m")
    assert_frame_equal(again.table.events, brought.table.events)


def test_a_wrong_checksum_leaves_no_set(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    base = serve({"a.zip": archive_1m()})
    served_from(monkeypatch, "movielens-1m", base, {"a.zip": "0" * 64})
    with pytest.raises(DownloadError, match="wrong checksum"):
        load("movielens-1m", download=True)
    assert located("movielens-1m") is None


@pytest.mark.parametrize(
    "files",
    [
        {"ml-1m/ratings.dat": RATINGS_1M},
        {"ml-1m/ratings.dat": b"1::2::x::4", "ml-1m/movies.dat": b"", "ml-1m/users.dat": b""},
    ],
    ids=["missing file", "not numbers"],
)
def test_an_archive_of_something_else_leaves_no_set_and_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, files: dict[str, bytes]
) -> None:
    served_from(monkeypatch, "movielens-1m", serve({"a.zip": zipped(**files)}), {"a.zip": None})
    with pytest.raises(DownloadError, match="not the data set expected"):
        load("movielens-1m", download=True)
    assert located("movielens-1m") is None
    serve({"a.zip": archive_1m()})
    assert load("movielens-1m", download=True).table.events.height == 5


def test_gowalla_is_brought_and_said_to_be_unverified(
    monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    files = {
        "train.txt": b"0 0 1 2 \n1 2\n",
        "test.txt": b"0 3\n1 \n",
        "item_list.txt": b"org_id remap_id\n900 0\n901 1\n902 2\n903 3\n",
        "user_list.txt": b"org_id remap_id\r\n55 0\r\n66 1\r\n",
    }
    served_from(monkeypatch, "gowalla", serve(files), dict.fromkeys(files))
    table = load("gowalla", download=True).table
    assert table.events.select("user_id", "item_id", "part").rows() == [
        (0, 0, "train"),
        (0, 1, "train"),
        (0, 2, "train"),
        (1, 2, "train"),
        (0, 3, "test"),
    ]
    assert table.users is not None
    assert table.users.rows() == [(0, 55), (1, 66)]
    assert len(table.notes) == 4
    assert all("nobody could verify" in note for note in table.notes)
    source = json.loads((cache_folder() / "gowalla" / "source.json").read_text())
    assert [record["verified"] for record in source] == [False] * 4
    assert source[0]["sha256"] == hashlib.sha256(files["train.txt"]).hexdigest()
    assert load("gowalla").table.notes == table.notes


def test_an_unreachable_publisher_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    served_from(monkeypatch, "movielens-1m", "http://127.0.0.1:9/", {"a.zip": None})
    with pytest.raises(DownloadError, match="cannot be reached"):
        load("movielens-1m", download=True)
    assert not (cache_folder() / "ml-1m").exists()


# --------------------------------------------------------------------- the publishers' own formats


def test_movielens_100k_format(tmp_path: Path) -> None:
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    flags = {1: "1" + "|0" * 18, 2: "0|1|0|0|0|1" + "|0" * 13}
    (folder / "u.data").write_bytes(b"9\t2\t4\t888\n8\t1\t3\t777\n")
    (folder / "u.genre").write_text(
        "\n".join(f"genre{number}|{number}" for number in range(19)) + "\n\n"
    )
    (folder / "u.item").write_bytes(
        f"1|unknown||||{flags[1]}\n2|Caf\xe9|01-Jan-1995||http://x|{flags[2]}\n".encode("latin-1")
    )
    (folder / "u.user").write_bytes(b"8|24|M|technician|85711\n9|53|F|other|T8H1N\n")
    for split in ("u1", "u2", "u3", "u4", "u5", "ua", "ub"):
        (folder / f"{split}.test").write_bytes(
            b"8\t1\t3\t777\n" if split == "u2" else b"9\t2\t4\t888"
        )
    tables = publishers.parse_movielens_100k(tmp_path)
    assert tables["ratings"]["u2_test"].to_list() == [False, True]
    assert tables["ratings"]["ub_test"].to_list() == [True, False]
    assert tables["items"]["genres"].to_list() == [["genre0"], ["genre1", "genre5"]]
    assert tables["items"]["title"].to_list() == ["unknown", "Café"]
    assert [str(date) for date in tables["items"]["release_date"]] == ["None", "1995-01-01"]
    assert tables["users"]["zip_code"].to_list() == ["85711", "T8H1N"]


def test_movielens_latest_format(tmp_path: Path) -> None:
    folder = tmp_path / "ml-latest-small"
    folder.mkdir()
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\r\n1,5,3.5,964982703\r\n")
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n5,"American President, The (1995)",Comedy|Drama\n'
        "6,Nothing (2000),(no genres listed)\n"
    )
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n5,0112346,9087\n6,0000001,\n")
    (folder / "tags.csv").write_text('userId,movieId,tag,timestamp\n1,5,"so ""funny""",1\n')
    tables = publishers.parse_movielens_latest(tmp_path)
    assert tables["movies"].rows() == [
        (5, "American President, The (1995)", ["Comedy", "Drama"]),
        (6, "Nothing (2000)", []),
    ]
    assert tables["ratings"].row(0) == (1, 5, 3.5, 964982703)
    assert tables["links"]["imdbId"].to_list() == ["0112346", "0000001"]
    assert tables["links"]["tmdbId"].to_list() == [9087, None]
    assert tables["tags"]["tag"].to_list() == ['so "funny"']


def test_parsing_the_publishers_format_gives_the_data_folders_tables(
    data_folder: Path, tmp_path: Path
) -> None:
    """Gowalla and MovieLens-100K written as their publishers write them, and parsed back."""
    raw, folder = tmp_path / "ml-100k", data_folder / "ml-100k"
    raw.mkdir()
    ratings = pl.read_parquet(folder / "ratings.parquet")
    columns = ratings.columns[:4]
    ratings.select(columns).write_csv(raw / "u.data", separator="\t", include_header=False)
    for flag in ratings.columns[4:]:
        ratings.filter(flag).select(columns).write_csv(
            raw / f"{flag.removesuffix('_test')}.test", separator="\t", include_header=False
        )
    items = pl.read_parquet(folder / "items.parquet")
    genres = sorted(set(items["genres"].explode()))
    (raw / "u.genre").write_text("".join(f"{name}|{n}\n" for n, name in enumerate(genres)))
    lines = items.select(
        pl.concat_str(
            pl.col("item_id").cast(pl.String),
            "title",
            pl.col("release_date").dt.strftime("%d-%b-%Y").fill_null(""),
            pl.lit(""),
            pl.col("imdb_url").fill_null(""),
            *[
                pl.col("genres").list.contains(name).cast(pl.Int8).cast(pl.String)
                for name in genres
            ],
            separator="|",
        )
    )
    (raw / "u.item").write_bytes("\n".join(lines.to_series()).encode("latin-1"))
    users = pl.read_parquet(folder / "users.parquet")
    users.write_csv(raw / "u.user", separator="|", include_header=False)
    tables = publishers.parse_movielens_100k(tmp_path)
    assert_frame_equal(tables["ratings"], ratings)
    assert_frame_equal(tables["users"], users)
    sorted_genres = items.with_columns(pl.col("genres").list.sort())
    assert_frame_equal(tables["items"], sorted_genres)

    source = data_folder / "gowalla"
    for part in ("train", "test"):
        grouped = (
            pl.read_parquet(source / f"{part}.parquet")
            .group_by("user", maintain_order=True)
            .agg(pl.col("item").cast(pl.String).str.join(" "))
        )
        grouped.write_csv(
            tmp_path / f"{part}.txt", separator=" ", include_header=False, quote_style="never"
        )
    for table, entity in (("items", "item"), ("users", "user")):
        pl.read_parquet(source / f"{table}.parquet").select(
            pl.col(f"org_{entity}_id").alias("org_id"), pl.col(entity).alias("remap_id")
        ).write_csv(tmp_path / f"{entity}_list.txt", separator=" ")
    for name, table_parsed in publishers.parse_gowalla(tmp_path).items():
        assert_frame_equal(table_parsed, pl.read_parquet(source / f"{name}.parquet"))
