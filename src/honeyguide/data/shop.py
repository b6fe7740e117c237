"""The simulated shop: a log of events drawn from known tastes, so that the truth can be asked.

Special: the probability with which an item is shown to and viewed by a user at a moment is a closed
formula, and the events are drawn from exactly that formula. `Shop.preference` returns its
logarithm, so ranking by it is the best any static ranking can do, and a learned model can be
compared with it. Sessions walk along the shelf (items are numbered shelf by shelf): the place of
the next shown item is the place of the last one plus a small step, in units of the user's own
probability. Such a walk on a circle leaves every place equally likely, so what comes next can be
learned from what came before, while the formula stays exact.

Left out: stock, seasons, price changes, repeat purchases out of need, and prices of single orders.
An item comes once in a session, which takes a little from the most probable items.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
import polars as pl

from honeyguide.data.kinds import KINDS
from honeyguide.data.shop_friends import draw_friendships
from honeyguide.data.shop_truth import (
    DAY,
    DAYS,
    START,
    Doubles,
    Floats,
    Ints,
    Truth,
    chance_of,
    day_of,
    draw_goods,
    draw_people,
)
from honeyguide.data.table import Table
from honeyguide.errors import CallError

FEWEST_EVENTS, MOST_EVENTS = 1_000, 50_000_000
MOST_ITEMS = 50_000

SLOTS = 7.0  # mean number of items shown in a session, before repeats are dropped
WALK = 0.5  # probability that the next shown item continues the walk along the shelf
STEP = 0.03  # mean step of the walk, as a part of the user's whole probability

# log-odds of each step of the funnel: a + b * liking, which is about 4 for a shown item
VIEW = (-2.0, 0.5)
CART = (-3.5, 0.4)
PURCHASE = (-2.4, 0.4)
RATED = 0.6  # part of the purchases that is rated
STARS = (0.9, 0.4, 0.6)  # of a rating: a + b * liking, and the spread of the noise

BATCH = 4_096  # sessions drawn at once; part of the meaning of a seed


@dataclass(frozen=True, slots=True)
class Shop:
    """A simulated shop: what was seen of it, and what is true of it.

    table: events, items and users by name, as any reader would hand them in.
    truth: the hidden tastes and appeals that the events were drawn from.
    """

    table: Table
    truth: Truth

    def preference(self, user_ids: Sequence[str], now: float | None = None) -> Floats:
        """What these users truly like: the log-probability of an item's being shown and viewed.

        now: seconds since 1970 UTC; None is the time of the last event. Tastes before the first
        day are those of the first day, and after the last day those of the last.
        Returns (B, I) in the order of `table.items`; -inf for items not yet released at `now`.
        In a shuffled shop this is still the truth about the users, which the log no longer tells.
        CallError for a user the shop does not have or a `now` that is no number.
        """
        users = self._numbers(user_ids)
        if now is None:
            now = float(self.table.events.get_column("time").to_numpy()[-1])
        if not np.isfinite(now):
            raise CallError(f"now = {now} is no time.", "Give seconds since 1970 UTC, or None.")
        times = np.full(len(users), now)
        taste = self.truth.taste(users, times)
        shown, liking = self.truth.shown(taste, day_of(times))
        viewed = shown * chance_of(VIEW, liking)
        preference = np.full_like(viewed, -np.inf)
        np.log(viewed, out=preference, where=viewed > 0)
        return preference

    def friendships(self, mean: float = 8.0, seed: int = 0) -> pl.DataFrame:
        """Who is whose friend: user_id and friend_id, each pair once, the lower name first.

        People befriend those whose taste, half-way through the log, is near theirs. mean: friends
        of a person on average. CallError where `mean` is not above 0 or more than a tenth of all.
        """
        assert self.table.users is not None
        names = self.table.users.get_column("user_id")
        if not 0 < mean <= len(names) / 10:
            raise CallError(
                f"{mean:g} friends on average are out of range for {len(names):,} people.",
                f"Give a mean above 0 and up to {len(names) / 10:g}.",
            )
        everyone = np.arange(len(names))
        taste = self.truth.taste(everyone, np.full(len(names), START + DAYS * DAY / 2))
        pairs = draw_friendships(taste, mean, np.random.default_rng((seed, 5)))
        return pl.DataFrame(
            {"user_id": names.gather(pairs[:, 0]), "friend_id": names.gather(pairs[:, 1])}
        )

    def _numbers(self, user_ids: Sequence[str]) -> Ints:
        """Row of each user in `table.users`; users are named in ascending order."""
        assert self.table.users is not None
        known = self.table.users.get_column("user_id")
        asked = pl.Series(user_ids, dtype=pl.String)
        found = known.search_sorted(asked).to_numpy()
        rows: Ints = np.minimum(found, len(known) - 1).astype(np.intp)
        wrong = known.gather(rows).ne_missing(asked)
        if wrong.any():
            raise CallError(
                f"This shop has no user named {asked.filter(wrong)[0]!r}.",
                f"Its users are {known[0]} to {known[-1]}; take them from table.users.",
            )
        return rows


def simulate(
    events: int = 100_000,
    *,
    users: int | None = None,
    items: int | None = None,
    seed: int = 0,
    shuffled: bool = False,
) -> Shop:
    """A shop with exactly `events` events over 180 days; the same arguments give the same shop.

    events: 1,000 to 50,000,000. users: 2 to `events`, default events / 50; those who got no session
    have no event. items: 2 to 50,000, default the root of 10 * events. shuffled: the log has gone
    through `shuffle_users`, so that nothing is left to learn but popularity and time.
    The same bytes are promised on the same kind of processor with the same library versions.
    CallError where an argument is out of range.
    """
    _check("events", events, FEWEST_EVENTS, MOST_EVENTS)
    user_count = max(20, events // 50) if users is None else users
    item_count = isqrt(10 * events) if items is None else items
    _check("users", user_count, 2, events)
    _check("items", item_count, 2, MOST_ITEMS)
    _check("seed", seed, 0, 2**63 - 1)
    rng_users, rng_items, rng_events, rng_shuffle = (
        np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(4)
    )
    people, steady, early, late, activity = draw_people(user_count, rng_users)
    goods, vectors, appeal = draw_goods(item_count, rng_items)
    truth = Truth(steady, early, late, activity, vectors, appeal)
    log = _log(truth, events, rng_events)
    names = (people.get_column("user_id"), goods.get_column("item_id"))
    table = Table(_frame(log, *names), goods, people)
    if shuffled:
        table = shuffle_users(table, int(rng_shuffle.integers(2**31)))
    return Shop(table, truth)


def shuffle_users(table: Table, seed: int) -> Table:
    """The same events, each given to the user of another one, drawn without replacement.

    Every user keeps the number of events and every item its kinds and times, but who did what is
    lost. session_id, where there is one, goes with the user, so that a session stays one user's.
    """
    order = np.random.default_rng(seed).permutation(table.events.height)
    who = [name for name in ("user_id", "session_id") if name in table.events.columns]
    mixed = table.events.with_columns(table.events.select(who)[order])
    return replace(
        table, events=mixed, notes=(*table.notes, "the users of the events were shuffled")
    )


def _check(name: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise CallError(f"{name} = {value!r} is no whole number.", f"Give {name} as an int.")
    if not least <= value <= most:
        raise CallError(
            f"{name} = {value} is out of range for the simulated shop.",
            f"Give {name} between {least:,} and {most:,}.",
        )


def _log(truth: Truth, events: int, generator: np.random.Generator) -> pl.DataFrame:
    """Exactly `events` rows of `_sessions` in order of time, sessions numbered by their start."""
    users = len(truth.activity)
    first_visits = generator.permutation(users)
    reach = np.cumsum(truth.activity)
    parts: list[pl.DataFrame] = []
    missing, sessions = events, 0
    while missing > 0:
        # given their number, the arrivals of a Poisson process are independent draws;
        # everyone comes once before anyone comes by activity
        drawn = np.minimum(np.searchsorted(reach, generator.random(BATCH)), users - 1)
        visits = first_visits[sessions : sessions + BATCH]
        drawn[: len(visits)] = visits
        part = _sessions(truth, drawn, sessions, generator)
        if part.height > missing:
            part = part.sort("session", "time", maintain_order=True).head(missing)
        parts.append(part)
        missing -= part.height
        sessions += BATCH
    log = pl.concat(parts).sort("time", "kind", maintain_order=True)

    # every session is there with its first event, and the log is in order of time
    session = log.get_column("session").to_numpy()
    drawn_number, begins = np.unique(session, return_index=True)
    number = np.empty(sessions, np.int64)
    number[drawn_number[np.argsort(begins)]] = np.arange(1, len(begins) + 1)
    return log.with_columns(session=number[session])


def _openings(count: int, generator: np.random.Generator) -> Doubles:
    """When sessions begin (S,): more at the weekend and in the evening."""
    day = np.arange(DAYS)
    by_day = np.where(day % 7 >= 5, 1.4, 1.0)
    hour = np.arange(24)
    by_hour = 0.1 + np.exp(-(((hour - 20) / 3) ** 2)) + 0.6 * np.exp(-(((hour - 12) / 3) ** 2))
    days = generator.choice(DAYS, count, p=by_day / by_day.sum())
    hours = generator.choice(24, count, p=by_hour / by_hour.sum())
    seconds: Doubles = START + days * DAY + (hours + generator.random(count)) * 3600
    return seconds


def _sessions(
    truth: Truth, users: Ints, first: int, generator: np.random.Generator
) -> pl.DataFrame:
    """All events, in no order, of one session of each of these users (S,), numbered from `first`.

    Columns: user, item and kind as numbers, value (NaN for none), time, session, position (0 for
    none).
    """
    start = _openings(len(users), generator)
    length = 1 + generator.poisson(SLOTS - 1, len(users))
    row = np.repeat(np.arange(len(users)), length)
    opens = np.cumsum(length) - length
    taste, day = truth.taste(users, start), day_of(start)

    fresh = generator.random(len(row)) >= WALK
    fresh[opens] = True
    origin = np.maximum.accumulate(np.where(fresh, np.arange(len(row)), 0))
    walked = np.cumsum(generator.exponential(STEP, len(row)))
    place = (generator.random(len(row))[origin] + walked - walked[origin]) % 1.0
    item = truth.pick(taste, day, row, place)

    gap = np.cumsum(20 + generator.exponential(25, len(row)))
    time = start[row] + gap - gap[opens][row]
    _, once = np.unique(row * len(truth.items) + item, return_index=True)
    once.sort()
    row, item, time = row[once], item[once], time[once]
    slots = np.bincount(row, minlength=len(users))
    position = 1 + np.arange(len(row)) - (np.cumsum(slots) - slots)[row]

    liking = np.einsum("nw,nw->n", taste[row], truth.items[item])
    shown = np.arange(len(row))
    view = shown[generator.random(len(shown)) < chance_of(VIEW, liking)]
    cart = view[generator.random(len(view)) < chance_of(CART, liking[view])]
    purchase = cart[generator.random(len(cart)) < chance_of(PURCHASE, liking[cart])]
    rating = purchase[generator.random(len(purchase)) < RATED]
    stars = STARS[0] + STARS[1] * liking[rating] + generator.normal(0, STARS[2], len(rating))

    # a view and a cart come before the next slot (20 s or more), a checkout after the last one
    view_at, cart_at = time + generator.uniform(1, 8, len(row)), time + 8.0
    cart_at += generator.uniform(0, 11, len(row))
    close = time[np.cumsum(slots) - 1] + 30 + generator.uniform(0, 90, len(users))
    bought_at = close[row]
    rated_at = bought_at + 60 + generator.exponential(300, len(row))

    which = np.concatenate([shown, view, cart, purchase, rating])
    names = ("impression", "view", "cart", "purchase", "rating")
    sizes = [len(shown), len(view), len(cart), len(purchase), len(rating)]
    value = np.full(len(which), np.nan, np.float32)
    value[len(which) - len(rating) :] = np.clip(np.round(stars), 1, 5)
    place_shown = np.zeros(len(which), np.int16)
    place_shown[: len(shown)] = position
    times = [time, view_at[view], cart_at[cart], bought_at[purchase], rated_at[rating]]
    return pl.DataFrame(
        {
            "user": users[row[which]].astype(np.int32),
            "item": item[which].astype(np.int32),
            "kind": np.repeat(np.array([KINDS[name].number for name in names], np.uint8), sizes),
            "value": value,
            "time": np.round(np.concatenate(times), 3),
            "session": (first + row[which]).astype(np.int32),
            "position": place_shown,
        }
    )


def _frame(log: pl.DataFrame, user_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
    """The canonical event columns; value is null but for ratings, position but for impressions."""
    names = {kind.number: kind.name for kind in KINDS.values()}
    return log.select(
        user_id=user_ids.gather(log.get_column("user")),
        item_id=item_ids.gather(log.get_column("item")),
        kind=pl.col("kind").replace_strict(names, return_dtype=pl.String),
        value=pl.col("value").fill_nan(None),
        time="time",
        session_id="session",
        position=pl.col("position").cast(pl.Int64).replace(0, None),
    )
