"""The truth behind the simulated shop: who likes what, what is popular when, and who comes often.

Special: the probability that a slot shows an item to a user at a moment is a closed formula, and
`pick` draws from exactly that formula. Users and items meet in a space of named directions: one per
category, some for style and product, one for price.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from honeyguide.data.shop_words import AISLES, BRANDS, PRODUCTS, STYLES, draw_words, write_items

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.intp]

OPENING = date(2024, 1, 1)
START = 1_704_067_200.0  # the opening in seconds since 1970 UTC
DAY = 86_400.0
DAYS = 180

COUNTRIES = ("DE", "FR", "GB", "US", "ES", "IT", "NL", "PL", "SE", "JP")
GENDERS = ("female", "male", "other")

FLAVOURS = 6  # latent directions of style and product, besides one for price and one per category
WIDTH = len(AISLES) + FLAVOURS + 1

# With these, at 100,000 events, item-kNN reaches about twice the nDCG@10 of popularity and the
# truth about seven times; half the spread leaves item-kNN below popularity.
SPREAD = (2.0, 0.6, 0.4)  # of personal taste for categories, flavours and price
TURN = np.pi / 4  # how far a personal taste turns from the first day to the last
POPULAR = 0.15  # part of the shown items that is picked by popularity alone

BLOCK = 1 << 18  # scores (sessions x items) held at once: 1 MB in f32 stays in cache


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything that decides what happens in the shop; W is the number of latent directions.

    steady (U, W): taste that age, gender and country give. early, late (U, W): personal taste at
    the start, and the one it turns towards. activity (U,): share of the sessions.
    items (I, W): what an item is. appeal (DAYS, I): popularity on each day, 0 before the release,
    each row sums to 1.
    """

    steady: Floats
    early: Floats
    late: Floats
    activity: Doubles
    items: Floats
    appeal: Floats

    def taste(self, users: Ints, times: Doubles) -> Floats:
        """Tastes (B, W) of users (B,) at times (B,); the personal part turns, its size stays."""
        angle = TURN * np.clip((times - START) / (DAYS * DAY), 0, 1)
        near = np.cos(angle).astype(np.float32)[:, None]
        far = np.sin(angle).astype(np.float32)[:, None]
        mixed: Floats = self.steady[users] + near * self.early[users] + far * self.late[users]
        return mixed

    def shown(self, taste: Floats, day: Ints) -> tuple[Floats, Floats]:
        """Probability (B, I) that a slot shows each item, and the liking (B, I) behind it."""
        liking: Floats = taste @ self.items.T
        appeal = self.appeal[day]
        chance: Floats = np.exp(liking)
        chance *= ((1 - POPULAR) / np.einsum("bi,bi->b", chance, appeal))[:, None]
        chance += np.float32(POPULAR)
        chance *= appeal
        return chance, liking

    def pick(self, taste: Floats, day: Ints, row: Ints, place: Doubles) -> Ints:
        """The items (N,) at these places (N,) in [0, 1) of the shelf, as each session sees it.

        taste (S, W) and day (S,) are of the sessions; row (N,), ascending, is the session of each
        place. An item lies on as much of the shelf as its probability of being shown.
        """
        items = len(self.items)
        block = max(1, BLOCK // items)
        picked = np.empty(len(row), np.intp)
        for first in range(0, len(taste), block):
            chance, _ = self.shown(taste[first : first + block], day[first : first + block])
            ends = np.cumsum(chance, dtype=np.float64)
            starts = np.concatenate([[0.0], ends[items - 1 :: items]])
            low, high = np.searchsorted(row, [first, first + len(chance)])
            mine = row[low:high] - first
            # the hair's breadth below 1 keeps rounding from leaving the session's own row
            target = starts[mine] + place[low:high] * (1 - 1e-9) * np.diff(starts)[mine]
            picked[low:high] = np.searchsorted(ends, target, side="right") - mine * items
        return picked


def draw_people(
    count: int, generator: np.random.Generator
) -> tuple[pl.DataFrame, Floats, Floats, Floats, Doubles]:
    """The users frame; steady, early and late tastes (U, W); activity (U,) sums to 1."""
    size = np.r_[np.full(len(AISLES), SPREAD[0]), np.full(FLAVOURS, SPREAD[1]), SPREAD[2]]
    gender = generator.choice(len(GENDERS), count, p=[0.49, 0.48, 0.03])
    shares = 1 / np.arange(1, len(COUNTRIES) + 1)
    country = generator.choice(len(COUNTRIES), count, p=shares / shares.sum())
    age = np.clip(16 + generator.gamma(3.2, 7.5, count), 16, 90).astype(np.int64)

    years = (age - 40) / 13.0
    by_age, by_gender, by_country = (
        generator.normal(size=(rows, WIDTH)) * size for rows in (1, len(GENDERS), len(COUNTRIES))
    )
    steady = 0.4 * years[:, None] * by_age + 0.35 * by_gender[gender] + 0.25 * by_country[country]
    early, late = generator.normal(size=(2, count, WIDTH)) * size
    activity = np.minimum(1.0 + generator.pareto(1.3, count), 300.0)

    digits = max(5, len(str(count - 1)))
    frame = pl.DataFrame(
        {
            "user_id": pl.Series(np.arange(count)).cast(pl.String).str.zfill(digits),
            "age": age,
            "gender": pl.Series(GENDERS).gather(gender),
            "country": pl.Series(COUNTRIES).gather(country),
        }
    ).with_columns(pl.concat_str(pl.lit("u"), "user_id").alias("user_id"))
    return (
        frame,
        steady.astype(np.float32),
        early.astype(np.float32),
        late.astype(np.float32),
        activity / activity.sum(),
    )


def draw_goods(count: int, generator: np.random.Generator) -> tuple[pl.DataFrame, Floats, Floats]:
    """The items frame, item vectors (I, W) and appeal (DAYS, I)."""
    kinds = len(AISLES) * PRODUCTS
    share = generator.uniform(0.7, 1.3, kinds)
    kind = np.sort(generator.choice(kinds, count, p=share / share.sum())).astype(np.intp)
    style, brand, make = draw_words(kind, generator)
    category = kind // PRODUCTS

    flavour = (
        0.7 * generator.normal(size=(kinds, FLAVOURS))[kind]
        + 0.7 * generator.normal(size=(len(STYLES), FLAVOURS))[style]
        + 0.3 * generator.normal(size=(count, FLAVOURS))
    )
    luxury = 0.5 * generator.normal(size=len(BRANDS))[brand] + generator.normal(0, 0.5, count)
    typical = np.array([aisle.price for aisle in AISLES.values()])[category]
    price = np.round(typical * np.exp(0.6 * luxury), 2)
    vectors = np.column_stack([np.eye(len(AISLES))[category], flavour, luxury])

    release = generator.integers(-730, 0, count)
    fresh = generator.permutation(count)[: int(0.35 * count)]
    release[fresh] = generator.integers(1, DAYS, len(fresh))
    rank = generator.permutation(count)
    age = np.arange(DAYS)[:, None] - release
    novelty = 1 + np.exp(-np.maximum(age, 0) / 14)
    appeal = np.where(age >= 0, novelty, 0.0) * (rank + 5.0) ** -0.9
    appeal /= appeal.sum(axis=1, keepdims=True)

    frame = write_items(kind, style, brand, make).with_columns(
        price=price,
        release_date=np.datetime64(OPENING, "D") + release.astype("timedelta64[D]"),
    )
    return frame, vectors.astype(np.float32), appeal.astype(np.float32)


def day_of(times: Doubles) -> Ints:
    """Day of the shop (B,), kept inside its first and last."""
    return np.clip((times - START) // DAY, 0, DAYS - 1).astype(np.intp)


def chance_of(odds: tuple[float, float], liking: Floats) -> Floats:
    """Probability of a step of the funnel."""
    steepness = np.float32(odds[1])
    chance: Floats = 1 / (1 + np.exp(-(np.float32(odds[0]) + steepness * liking)))
    return chance
