"""Which column is which, and whether what stands in it can be used.

Special here: the guesses are one visible table of headers, every guess and every change of type
becomes a note (one readable sentence), and every refusal shows a count, an example and the first
rows. Nothing is trimmed, filled or dropped without a note. Times live in `data.times`.
"""

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from honeyguide.config import Config
from honeyguide.data.factorise import factorise
from honeyguide.data.kinds import KINDS
from honeyguide.errors import CallError, ColumnError, UnknownName, ValueInColumn


class Columns(Config):
    """The names of the columns; a name given here wins, the rest are guessed from HEADERS."""

    user: str | None = None
    """The column that says who."""
    item: str | None = None
    """The column that says what."""
    time: str | None = None
    """The column that says when: numbers since 1970 or ISO 8601 dates."""
    order: str | None = None
    """The column that says what came first, or "file" for the order of the rows."""
    rating: str | None = None
    """The column that says how much: a rating, a count, seconds watched."""
    kind: str | None = None
    """The column that says what happened: view, purchase, like and so on."""
    session: str | None = None
    """The column that names the visit."""
    position: str | None = None
    """The column with the place in the list that was shown, from 1."""
    propensity: str | None = None
    """The column with the probability with which the item was shown."""
    text: str | None = None
    """The column with the words of a search."""


# Headers are compared in lower case without "_", "-", "." and spaces; the first in a row wins.
HEADERS: dict[str, str] = {
    "user_id": "userid user uid visitorid visitor customerid customer clientid client reviewerid "
    "reviewer memberid member accountid profileid personid subscriberid userpseudoid",
    "item_id": "itemid item iid movieid movie productid product sku asin parentasin articleid "
    "clickarticleid article trackid songid track song bookid isbn book newsid videoid video gameid "
    "appid businessid poiid locationid venueid hotelid recipeid animeid courseid jobid adid postid "
    "artistid artist",
    "kind": "kind event eventtype eventname behavior behaviortype behaviour behaviourtype action "
    "actiontype interaction interactiontype",
    "value": "value rating score stars star overall ratingvalue userrating",
    "time": "time timestamp ts unixtime unixtimestamp epoch unixreviewtime eventtime "
    "eventtimestamp datetime date clicktimestamp clicktime createdat ratingtimestamp ratedat tdat "
    "eventdate purchasedate orderdate reviewdate",
    "order": "order ordernumber sequence seq",
    "session_id": "sessionid session usersession visitid",
    "position": "position slot",
    "propensity": "propensity propensityscore",
    "text": "text query searchquery searchterm keywords",
    "part": "part",
}
# canonical column -> (field of Columns, what to call it in an error)
FIELDS: dict[str, tuple[str, str]] = {
    "user_id": ("user", "user"),
    "item_id": ("item", "item"),
    "kind": ("kind", "kind of event"),
    "value": ("rating", "rating"),
    "time": ("time", "time"),
    "order": ("order", "order"),
    "session_id": ("session", "session"),
    "position": ("position", "position"),
    "propensity": ("propensity", "propensity"),
    "text": ("text", "text of searches"),
}
FLAGS = frozenset({"user", "item", "kind", "rating", "time", "order"})  # of the command line
# Spellings are compared in lower case with "_" for spaces and hyphens.
SYNONYMS: dict[str, str] = {name: name for name in KINDS} | {
    spelling: kind
    for kind, spellings in {
        "impression": "impressions shown show exposure expose display imp",
        "view": "pv views viewed page_view pageview product_view item_view view_item detail "
        "detail_view watch play listen stream read",
        "click": "clicks clicked clk click_item select_item open opened",
        "like": "likes liked fav favorite favourite upvote thumbs_up wishlist add_to_wishlist "
        "bookmark",
        "dislike": "dislikes disliked downvote thumbs_down",
        "hide": "hidden block blocked not_interested",
        "cart": "addtocart add_to_cart add_cart cart_add add_to_basket basket",
        "purchase": "buy bought order ordered transaction purchased purchases sale sold",
        "return": "returned refund refunded",
        "rating": "rate rated ratings review reviewed",
        "search": "searched query",
    }.items()
    for spelling in spellings.split()
}
WHOLE = r"^(0|-?[1-9]\d*)$"  # "007" is not a number: it would lose its zeros
WHOLE_FLOAT = r"^(0|-?[1-9]\d*)(\.0+)?$"
EXACT = 2.0**53  # above this, f64 no longer tells neighbouring integers apart


def naming(field: str) -> str:
    """How a column is named for a field of Columns: by a flag where the command line has one."""
    return f"--{field}" if field in FLAGS else f"Columns({field}=...) in Python"


def normal(header: str) -> str:
    """A header as HEADERS spells it."""
    return header.lower().translate(str.maketrans("", "", "_-. "))


def resolve(names: Sequence[str], columns: Columns) -> tuple[dict[str, str], list[str]]:
    """canonical name -> name in the source, and the notes of what was guessed or left out.

    ColumnError when a named column is not there or no user or item column can be guessed;
    CallError when one column is named for two purposes.
    """
    chosen: dict[str, str] = {}
    explicit: dict[str, str | None] = columns.model_dump()
    for canonical, (field, what) in FIELDS.items():
        given = explicit[field]
        if given is None or (canonical == "order" and given == "file"):
            continue
        if given not in names:
            raise ColumnError(what, given, names, naming(field))
        clash = next((other for other, name in chosen.items() if name == given), None)
        if clash is not None:
            raise CallError(
                f"Column {given!r} is named twice: {naming(FIELDS[clash][0])} and {naming(field)}.",
                f"Name another column with one of the two; there are {', '.join(names)}.",
            )
        chosen[canonical] = given
    notes: list[str] = []
    for canonical in HEADERS:
        if canonical in chosen or (canonical == "order" and columns.order == "file"):
            continue
        found = candidates(names, canonical, taken=chosen.values())
        if found:
            chosen[canonical] = found[0]
            notes += guessed(canonical, found)
    for canonical in ("user_id", "item_id"):
        if canonical not in chosen:
            field, what = FIELDS[canonical]
            raise ColumnError(what, canonical, names, naming(field))
    return chosen, notes


def candidates(names: Sequence[str], canonical: str, taken: Collection[str] = ()) -> list[str]:
    """The columns that may be `canonical`, best first; the canonical name itself wins."""
    rank = {header: place for place, header in enumerate(HEADERS[canonical].split())}
    free = [name for name in names if name not in taken and normal(name) in rank]
    return sorted(free, key=lambda name: (name != canonical, rank[normal(name)]))


def guessed(canonical: str, found: Sequence[str], option: str | None = None) -> list[str]:
    """The sentence for a guess; none when the column already has its canonical name."""
    if option is None and canonical in FIELDS:
        option = naming(FIELDS[canonical][0])
    how = f"; say {option} to change it" if option else ""
    others = ", ".join(f'"{name}"' for name in found[1:])
    also = f" ({others} would do too)" if others else ""
    if found[0] == canonical and not others:
        return []
    return [f'column "{found[0]}" read as {canonical}{also}{how}']


def where(bad: pl.Series) -> str:
    """The first rows at which `bad` (N,) is true, in words; the first row of data is row 1."""
    rows = [str(row + 1) for row in bad.arg_true().head(3).to_list()]
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(rows)}"


def examples(values: pl.Series, most: int = 3) -> str:
    """The first few different values, in words."""
    return ", ".join(repr(value) for value in values.unique(maintain_order=True).head(most))


def refuse_null(values: pl.Series, column: str, what: str, needed: pl.Series | None = None) -> None:
    """ValueInColumn when `values` is null where `needed` (N,) is true (everywhere if not given)."""
    missing = values.is_null() if needed is None else values.is_null() & needed
    if missing.any():
        raise ValueInColumn(
            f'Column "{column}": {missing.sum()} of {len(values)} rows have no {what} '
            f"(first: {where(missing)}).",
            f"Fill them in or drop these rows; every event needs a {what}"
            f"{' unless its kind is search' if needed is not None else ''}.",
        )


def ids(raw: pl.Series, column: str, notes: list[str], *, as_text: bool) -> pl.Series:
    """Ids (N,) as Int64 if they are whole numbers, else String; "" and NaN become null.

    `as_text` says that the source has no types (CSV), so that digits mean numbers. Text columns
    of typed sources stay text. ValueInColumn for any other type, fractions, or floats too large
    to tell neighbours apart.
    """
    if isinstance(raw.dtype, (pl.Categorical, pl.Enum)) or raw.dtype == pl.Null:
        raw = raw.cast(pl.String)
    if isinstance(raw.dtype, pl.Decimal) and raw.dtype.scale == 0:
        raw = raw.cast(pl.Int128)
    if raw.dtype.is_integer():
        return _whole(raw, column, notes)
    if raw.dtype.is_float():
        return _whole_floats(raw, column, notes)
    if raw.dtype != pl.String:
        raise ValueInColumn(
            f'Column "{column}" is of type {raw.dtype}, which cannot be an id{_shown(raw)}.',
            "Ids are whole numbers or text; turn the column into one of the two first.",
        )
    text = raw.set(raw == "", None)
    if not as_text or text.null_count() == len(text):
        return text
    if text.str.contains(WHOLE).all():
        return _whole(text, column, notes)
    if text.str.contains(WHOLE_FLOAT).all():
        notes.append(f'column "{column}": ids such as {text.drop_nulls()[0]!r} read as integers')
        return _whole(text.str.replace(r"\.0+$", ""), column, notes)
    return text


def _whole(raw: pl.Series, column: str, notes: list[str]) -> pl.Series:
    number = raw.cast(pl.Int64, strict=False)
    if number.null_count() == raw.null_count():
        return number
    notes.append(f'column "{column}": integers beyond 64 bits, kept as text')
    return raw.cast(pl.String)


def _whole_floats(raw: pl.Series, column: str, notes: list[str]) -> pl.Series:
    number = raw.cast(pl.Float64).fill_nan(None)
    broken = ((number != number.floor()) | number.is_infinite()).fill_null(False)
    if broken.any():
        raise ValueInColumn(
            f'Column "{column}": {broken.sum()} ids are fractions or infinite, such as '
            f"{examples(number.filter(broken))} ({where(broken)}).",
            "Ids are whole numbers or text; is this the right column? Name it with --user or "
            "--item, or write the ids as text.",
        )
    vague = (number.abs() >= EXACT).fill_null(False)
    if vague.any():
        raise ValueInColumn(
            f'Column "{column}": {vague.sum()} ids are floats above 2**53 ({where(vague)}), '
            "where neighbouring ids can no longer be told apart.",
            "Write the ids as integers or as text; digits already lost cannot be found here.",
        )
    notes.append(f'column "{column}": floats that are all whole, read as integers')
    return number.cast(pl.Int64)


def _shown(raw: pl.Series) -> str:
    plain = not raw.dtype.is_nested() and raw.dtype not in (pl.Object, pl.Binary)
    return f" (such as {examples(raw.drop_nulls(), 1)})" if plain and raw.count() else ""


def kinds(raw: pl.Series, column: str, notes: list[str]) -> pl.Series:
    """Kinds of event (N,) by the names of data.kinds, as String; synonyms are noted.

    UnknownName for a kind nobody knows, ValueInColumn for nulls or a type with no words.
    """
    if raw.dtype.is_nested() or raw.dtype in (pl.Object, pl.Binary):
        raise ValueInColumn(
            f'Column "{column}" is of type {raw.dtype}, which cannot be a kind of event.',
            f"Name another column with --kind; the kinds are {', '.join(KINDS)}.",
        )
    said = raw.cast(pl.String)
    if said.null_count() or (said == "").any():
        refuse_null(said.set(said == "", None), column, "kind")
    words, places = factorise(said)  # a few words instead of every row
    spelt = words.str.strip_chars().str.to_lowercase().str.replace_all(r"[ -]+", "_")
    kind = spelt.replace_strict(SYNONYMS, default=None, return_dtype=pl.String)
    in_order = np.unique(places, return_index=True)[1].argsort()  # of first appearance
    pairs = pl.DataFrame({"said": words, "kind": kind})[in_order]
    if kind.null_count():
        raise UnknownName("event kind", pairs.filter(pl.col("kind").is_null())["said"][0], KINDS)
    notes += [
        f'kind "{pair[0]}" read as {pair[1]}'
        for pair in pairs.filter(pl.col("said") != pl.col("kind")).iter_rows()
    ]
    return kind.gather(places)


def numbers(raw: pl.Series, column: str, option: str) -> pl.Series:
    """Numbers (N,) as Float64; "" becomes null. ValueInColumn for what is not a finite number."""
    if raw.dtype == pl.Null:
        return raw.cast(pl.Float64)
    if raw.dtype == pl.String:
        text = raw.set(raw.str.strip_chars() == "", None)
        number = text.str.strip_chars().cast(pl.Float64, strict=False)
        broken = number.is_null() & text.is_not_null()
        if broken.any():
            raise ValueInColumn(
                f'Column "{column}": {broken.sum()} of {len(raw)} values are not numbers, such as '
                f"{examples(text.filter(broken))} ({where(broken)}).",
                f"Correct these rows, or name another column with {option}.",
            )
    elif raw.dtype.is_numeric():
        number = raw.cast(pl.Float64)
    else:
        raise ValueInColumn(
            f'Column "{column}" is of type {raw.dtype}, not numbers{_shown(raw)}.',
            f"Turn it into numbers, or name another column with {option}.",
        )
    broken = ~number.is_finite().fill_null(True)
    if broken.any():
        raise ValueInColumn(
            f'Column "{column}": {broken.sum()} of {len(raw)} values are NaN or infinite '
            f"({where(broken)}).",
            "Fill them in or drop these rows; a value is a finite number.",
        )
    return number


def values(raw: pl.Series, column: str, rated: pl.Series) -> pl.Series:
    """Values (N,) as Float32, none missing where `rated` (N,), i.e. where the kind is rating."""
    number = numbers(raw, column, "--rating")
    missing = number.is_null() & rated
    if missing.any():
        raise ValueInColumn(
            f'Column "{column}": {missing.sum()} of {len(raw)} ratings are missing, empty or NaN '
            f"({where(missing)}).",
            "Fill them in or drop these rows; a rating is a finite number.",
        )
    small = number.cast(pl.Float32)
    if small.is_infinite().any():
        huge = small.is_infinite().fill_null(False)
        raise ValueInColumn(
            f'Column "{column}": {huge.sum()} of {len(raw)} values are beyond 32-bit floats, such '
            f"as {examples(number.filter(huge), 1)} ({where(huge)}).",
            "Scale the column down, or name another one with --rating.",
        )
    return small


def integers(raw: pl.Series, column: str, option: str, least: int | None = None) -> pl.Series:
    """Whole numbers (N,) as Int64, none below `least`; nulls stay. ValueInColumn otherwise."""
    if raw.dtype.is_integer():
        whole = raw.cast(pl.Int64, strict=False)
        broken = whole.is_null() & raw.is_not_null()
    else:
        number = numbers(raw, column, option)
        broken = ((number != number.floor()) | (number.abs() >= EXACT)).fill_null(False)
        whole = number.set(broken, None).cast(pl.Int64)
    if least is not None:
        broken = broken | (whole < least).fill_null(False)
    if broken.any():
        floor = "" if least is None else f" from {least}"
        raise ValueInColumn(
            f'Column "{column}": {broken.sum()} of {len(raw)} values are not whole numbers{floor}, '
            f"such as {examples(raw.filter(broken))} ({where(broken)}).",
            f"Correct these rows, or name another column with {option}.",
        )
    return whole


def propensities(raw: pl.Series, column: str) -> pl.Series:
    """Probabilities (N,) as Float32 in (0, 1]; nulls stay. ValueInColumn otherwise."""
    number = numbers(raw, column, naming("propensity"))
    broken = ((number <= 0) | (number > 1)).fill_null(False)
    if broken.any():
        raise ValueInColumn(
            f'Column "{column}": {broken.sum()} of {len(raw)} probabilities are not above 0 and at '
            f"most 1, such as {examples(number.filter(broken))} ({where(broken)}).",
            f"Correct these rows, or name another column with {naming('propensity')}.",
        )
    return number.cast(pl.Float32)
