"""The columns of each named data set, translated into the columns of a Table.

Special: a reader only names and casts; it filters or sums nothing without a note in Table.notes.
Ids stay those of the source, items and users that have no event stay in their tables. Each reader
takes the folder of its set and raises InputError when a file there is not what it should be.
"""

from dataclasses import replace
from pathlib import Path

import polars as pl

from honeyguide.data.table import Table
from honeyguide.errors import InputError

_VALUE = pl.col("value").cast(pl.Float32)
_SECONDS = pl.col("time").cast(pl.Float64)


def movielens_1m(folder: Path) -> Table:
    """Ratings in the order of the file's seq_pos.

    No time column: the times in a data folder are partly estimated, and the protocol needs order
    only.
    """
    rows = _read(
        folder, "ratings", user_id="user_id", movie_id="item_id", rating="value", seq_pos="order"
    )
    events = rows.drop_nulls("order").with_columns(_VALUE, pl.col("order").cast(pl.Int64))
    left_out = rows.height - events.height
    note = (
        f"{left_out:,} ratings whose place in their user's order is not known "
        "(movies rated fewer than 5 times) are left out."
    )
    return Table(
        _all_are(events, "rating"),
        _read(folder, "movies", movie_id="item_id", title="title", genres="genres"),
        _people(folder),
        (note,) if left_out else (),
    )


def movielens_100k(folder: Path) -> Table:
    """Ratings with true times."""
    events = _read(
        folder, "ratings", user_id="user_id", item_id="item_id", rating="value", timestamp="time"
    )
    columns = ("item_id", "title", "release_date", "genres")
    return Table(
        _all_are(events.with_columns(_VALUE, _SECONDS), "rating"),
        _read(folder, "items", **{column: column for column in columns}),
        _people(folder),
    )


def movielens_100k_u1(folder: Path) -> Table:
    """The same ratings in the ready-made split u1, which pays no heed to times: they are left out,
    lest the future be learned from."""
    rows = _read(
        folder, "ratings", user_id="user_id", item_id="item_id", rating="value", u1_test="part"
    )
    part = pl.when(pl.col("part")).then(pl.lit("test")).otherwise(pl.lit("train"))
    whole = movielens_100k(folder)
    events = rows.with_columns(_VALUE, part=part)
    return replace(whole, events=_all_are(events, "rating"))


def movielens_latest_small(folder: Path) -> Table:
    """Half-star ratings with true times; nothing is known about the users."""
    events = _read(
        folder, "ratings", userId="user_id", movieId="item_id", rating="value", timestamp="time"
    )
    return Table(
        _all_are(events.with_columns(_VALUE, _SECONDS), "rating"),
        _read(folder, "movies", movieId="item_id", title="title", genres="genres"),
    )


def gowalla(folder: Path) -> Table:
    """Check-ins in the ready-made split of the NGCF and LightGCN papers; no order, no titles."""
    parts = [
        _read(folder, part, user="user_id", item="item_id").with_columns(part=pl.lit(part))
        for part in ("train", "test")
    ]
    return Table(
        _all_are(pl.concat(parts), "view"),
        _read(folder, "items", item="item_id", org_item_id="original_id"),
        _read(folder, "users", user="user_id", org_user_id="original_id"),
    )


def amazon_beauty(folder: Path) -> Table:
    """Reviews in order of time, one row each. Titles are phrases generated from the raw titles."""
    sequences = _read(folder, "sequences", user_id="user_id", item_ids="item_id")
    places = pl.int_ranges(pl.col("item_id").list.len(), dtype=pl.Int64).alias("order")
    return Table(
        _all_are(sequences.with_columns(places).explode("item_id", "order"), "purchase"),
        _read(
            folder,
            "items",
            item_id="item_id",
            text_id="title",
            asin="asin",
            attribute_ids="attribute_ids",
        ),
    )


def taobao_cart_buy(folder: Path) -> Table:
    """Carts and purchases in the ready-made split of EHCF: one purchase of each user is test."""
    events = _read(
        folder, "events", user_id="user_id", item_id="item_id", behavior="kind", split="part"
    )
    return Table(
        events.with_columns(pl.col("kind").replace_strict({"buy": "purchase", "cart": "cart"}))
    )


def globo_news(folder: Path) -> Table:
    """Clicks with times and sessions; nothing is known about the articles."""
    events = _read(
        folder,
        "clicks",
        user_id="user_id",
        article_id="item_id",
        click_timestamp="time",
        session_id="session_id",
    )
    return Table(_all_are(events.with_columns(_SECONDS / 1000), "click"))


def lastfm_2k(folder: Path) -> Table:
    """Listening counts of artists; no times."""
    events = _read(folder, "user_artists", user_id="user_id", artist_id="item_id", weight="value")
    return Table(
        _all_are(events.with_columns(_VALUE), "view"),
        _read(folder, "artists", artist_id="item_id", name="title"),
    )


def citeulike_a(folder: Path) -> Table:
    """Articles in people's libraries, with their tags as words; no times, no titles."""
    names = _read(folder, "tags", tag_id="tag_id", tag="tag")
    tagged = _read(folder, "item_tags", item_id="item_id", tag_ids="tag_id")
    words = (
        tagged.explode("tag_id")
        .join(names, on="tag_id", maintain_order="left")
        .group_by("item_id", maintain_order=True)
        .agg(tags="tag")
    )
    # from the items again: one without a tag, or with an unknown one only, stays an item
    items = tagged.select("item_id").join(words, on="item_id", how="left", maintain_order="left")
    events = _read(folder, "interactions", user_id="user_id", item_id="item_id")
    return Table(
        _all_are(events, "like"),
        items.with_columns(pl.col("tags").fill_null([])),
    )


def frappe(folder: Path) -> Table:
    """Uses of apps, summed over the contexts in which they were counted."""
    rows = _read(folder, "usage", user="user_id", item="item_id", cnt="value")
    events = rows.group_by("user_id", "item_id", maintain_order=True).agg(pl.col("value").sum())
    note = (
        f"{rows.height:,} counts by context were summed to {events.height:,} pairs of user and "
        "item; the context itself is left out."
    )
    texts = ("category", "developer", "language", "price", "description")
    return Table(
        _all_are(events.with_columns(_VALUE), "view"),
        _read(folder, "apps", item="item_id", name="title", **{text: text for text in texts}),
        notes=(note,),
    )


def _people(folder: Path) -> pl.DataFrame:
    columns = ("user_id", "gender", "age", "occupation", "zip_code")
    return _read(folder, "users", **{column: column for column in columns})


def _all_are(events: pl.DataFrame, kind: str) -> pl.DataFrame:
    return events.with_columns(kind=pl.lit(kind))


def _read(folder: Path, table: str, **columns: str) -> pl.DataFrame:
    """The named columns of a table, renamed: source=ours."""
    path = folder / f"{table}.parquet"
    try:
        return pl.read_parquet(path, columns=list(columns)).select(
            pl.col(source).alias(ours) for source, ours in columns.items()
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as this data set's table: {error}.",
            f"It should be a Parquet file with the columns {', '.join(columns)}: "
            "bring it anew, or remove the folder.",
        ) from None
