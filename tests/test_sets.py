"""Data sets by name: where they are looked for, how they are brought, and what they hold."""

from pathlib import Path

import polars as pl
import pytest

from honeyguide.data.kinds import KINDS
from honeyguide.data.protocol import Protocol
from honeyguide.data.sets import SETS, BuiltIn, Kept, cache_folder, find, load, located
from honeyguide.data.table import EVENT_COLUMNS
from honeyguide.errors import CallError, DownloadError, InputError, UnknownName


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HONEYGUIDE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def write_lastfm(parent: Path, artist: str) -> None:
    folder = parent / "lastfm-2k"
    folder.mkdir(parents=True)
    pl.DataFrame({"user_id": [1], "artist_id": [7], "weight": [12]}).write_parquet(
        folder / "user_artists.parquet"
    )
    pl.DataFrame({"artist_id": [7], "name": [artist]}).write_parquet(folder / "artists.parquet")


# --------------------------------------------------------------------------------------- the table


def test_names_are_unique_and_names_and_folders_find_the_set() -> None:
    first: dict[str, object] = {}  # u1 lies in the folder of the set that it is a split of
    for name, known in SETS.items():
        assert find(name) is known
        assert known.name == name
        if isinstance(known, Kept):
            assert find(known.folder) is first.setdefault(known.folder, known)
            assert known.tables


def test_publishers_have_public_encrypted_addresses_and_real_checksums() -> None:
    for known in SETS.values():
        if isinstance(known, Kept) and known.publisher is not None:
            assert known.publisher.base.startswith("https://")
            assert known.publisher.base.endswith("/")
            for checksum in known.publisher.files.values():
                assert checksum is None or len(bytes.fromhex(checksum)) == 32


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        load("movielens1m")
    assert "Did you mean 'movielens-1m'?" in caught.value.do
    assert all(name in caught.value.do for name in SETS)


def test_protocols_refuse_fractions_that_leave_nothing() -> None:
    assert Protocol(split="time").but(test_fraction=0.3).test_fraction == 0.3
    with pytest.raises(CallError, match="below 1"):
        Protocol(split="random", test_fraction=0.6, valid_fraction=0.4)
    with pytest.raises(CallError, match="split"):
        Protocol(split="rnd")  # type: ignore[arg-type]


def test_every_protocol_field_says_when_to_change_it() -> None:
    assert all(field.description for field in Protocol.model_fields.values())


# ------------------------------------------------------------------------------- where it is found


def test_the_data_folder_comes_before_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_lastfm(cache_folder(), "from the cache")
    assert titles() == ["from the cache"]
    write_lastfm(tmp_path / "data", "from the data folder")
    monkeypatch.setenv("HONEYGUIDE_DATA", str(tmp_path / "data"))
    assert titles() == ["from the data folder"]
    write_lastfm(tmp_path / "given", "from the folder given")
    assert titles(data_folder=tmp_path / "given") == ["from the folder given"]


def titles(data_folder: Path | None = None) -> list[str]:
    items = load("lastfm-2k", data_folder=data_folder).table.items
    assert items is not None
    return items["title"].to_list()


def test_the_cache_is_in_the_home_folder_unless_moved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_folder() == tmp_path / "cache" / "honeyguide"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "honeyguide"


def test_absent_says_where_it_looked_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data" / "ml-1m").mkdir(parents=True)
    (tmp_path / "data" / "ml-1m" / "ratings.parquet").touch()
    monkeypatch.setenv("HONEYGUIDE_DATA", str(tmp_path / "data"))
    with pytest.raises(InputError) as caught:
        load("ml-1m")
    assert f"{tmp_path}/data/ml-1m lacks movies.parquet, users.parquet" in caught.value.wrong
    assert f"no {tmp_path}/cache/honeyguide/ml-1m" in caught.value.wrong
    assert "HONEYGUIDE_DATA" in caught.value.do
    assert "--download" in caught.value.do
    assert located("movielens-1m") is None


def test_a_set_without_a_publisher_says_so() -> None:
    with pytest.raises(InputError) as absent:
        load("globo-news")
    assert "--download" not in absent.value.do
    with pytest.raises(DownloadError, match="no automatic download") as caught:
        load("globo-news", download=True)
    assert "globo-news/clicks.parquet" in caught.value.do


def test_files_that_are_not_the_tables_expected(tmp_path: Path) -> None:
    write_lastfm(tmp_path, "x")
    (tmp_path / "lastfm-2k" / "artists.parquet").write_bytes(b"random bytes, not Parquet")
    with pytest.raises(InputError, match=r"artists\.parquet cannot be read"):
        load("lastfm-2k", data_folder=tmp_path)
    pl.DataFrame({"artist_id": [7]}).write_parquet(tmp_path / "lastfm-2k" / "artists.parquet")
    with pytest.raises(InputError, match="name") as caught:
        load("lastfm-2k", data_folder=tmp_path)
    assert "artist_id, name" in caught.value.do


def test_the_simulated_shop_needs_nothing() -> None:
    shop = load("simulated-shop")
    assert shop.protocol.split == "time"
    assert shop.table.events.height > 0
    assert set(shop.table.events.columns) <= set(EVENT_COLUMNS)
    assert located("simulated-shop") is None


# ------------------------------------------------------------------------------ with the real data

COUNTS = {
    # events, users with events, items with events
    "movielens-1m": (999_611, 6_040, 3_416),
    "movielens-100k": (100_000, 943, 1_682),
    "movielens-100k-u1": (100_000, 943, 1_682),
    "movielens-latest-small": (100_836, 610, 9_724),
    "gowalla": (1_027_370, 29_858, 40_981),
    "amazon-beauty": (198_502, 22_363, 12_101),
    "taobao-cart-buy": (453_518, 48_749, 39_493),
    "globo-news": (2_430_485, 293_743, 37_392),
    "lastfm-2k": (92_834, 1_892, 17_632),
    "citeulike-a": (204_986, 5_551, 16_980),
    "frappe": (18_842, 957, 4_082),
}


def test_every_set_with_files_has_its_published_counts_held() -> None:
    assert set(COUNTS) == {name for name, known in SETS.items() if not isinstance(known, BuiltIn)}


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts_and_canonical_columns(name: str, data_folder: Path) -> None:
    table = load(name, data_folder=data_folder).table
    events = table.events
    assert (events.height, events["user_id"].n_unique(), events["item_id"].n_unique()) == (
        COUNTS[name]
    )
    assert {"user_id", "item_id", "kind"} <= set(events.columns) <= set(EVENT_COLUMNS)
    assert set(events["kind"].unique()) <= set(KINDS)
    assert events.null_count().sum_horizontal().item() == 0
    dtypes = {"value": pl.Float32, "time": pl.Float64, "order": pl.Int64}
    assert all(dtypes.get(column, dtype) == dtype for column, dtype in events.schema.items())
    for rows, key in ((table.items, "item_id"), (table.users, "user_id")):
        if rows is not None:
            assert rows[key].is_unique().all()
            assert events[key].is_in(rows[key].implode()).all()


def test_movielens_1m_has_order_and_no_time(data_folder: Path) -> None:
    known = load("ml-1m", data_folder=data_folder)
    events = known.table.events
    assert known.protocol == Protocol(split="leave-last-out", k_core=5)
    assert "time" not in events.columns
    assert "598 ratings" in known.table.notes[0]
    assert not events.select("user_id", "order").is_duplicated().any()
    # the 5-core is already there
    assert events.group_by("item_id").len()["len"].min() == 5
    assert events.group_by("user_id").len()["len"].min() == 18
    assert known.table.users is not None
    assert known.table.users.height == 6_040


def test_gowalla_and_taobao_come_split(data_folder: Path) -> None:
    gowalla = load("gowalla", data_folder=data_folder).table.events
    assert dict(gowalla["part"].value_counts().iter_rows()) == {"train": 810_128, "test": 217_242}
    taobao = load("taobao-cart-buy", data_folder=data_folder).table.events
    counts = taobao.group_by("kind", "part").len().rows()
    assert set(counts) == {
        ("purchase", "train", 211_022),
        ("cart", "train", 193_747),
        ("purchase", "test", 48_749),
    }


def test_globo_news_times_are_seconds_of_october_2017(data_folder: Path) -> None:
    events = load("globo-news", data_folder=data_folder).table.events
    assert events["time"].min() == 1506826800.026
    assert events["session_id"].n_unique() == 850_496


def test_amazon_beauty_keeps_the_order_of_each_sequence(data_folder: Path) -> None:
    events = load("amazon-beauty", data_folder=data_folder).table.events
    sequences = pl.read_parquet(data_folder / "amazon-beauty" / "sequences.parquet")
    assert events["item_id"].to_list() == sequences["item_ids"].explode().to_list()
    per_user = events.group_by("user_id").agg(
        first=pl.col("order").min(), last=pl.col("order").max(), events=pl.len()
    )
    assert (per_user["first"] == 0).all()
    assert (per_user["last"] + 1 == per_user["events"]).all()


def test_titles_can_be_read(data_folder: Path) -> None:
    def title(name: str, item: int) -> str:
        items = load(name, data_folder=data_folder).table.items
        assert items is not None
        return str(items.filter(pl.col("item_id") == item)["title"].item())

    assert title("movielens-1m", 1) == "Toy Story (1995)"
    assert title("movielens-100k", 50) == "Star Wars (1977)"
    assert title("lastfm-2k", 51) == "Duran Duran"
    assert title("frappe", 0) == "Any.DO To-do & Tasks List"


def test_the_page_of_data_sets_names_every_set() -> None:
    page = (Path(__file__).parent.parent / "docs" / "data_sets.md").read_text()
    assert [name for name in SETS if f"| `{name}` |" not in page] == []
