"""Metrics of lists beyond hits as loops over ranked lists and a small world of dicts and sets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import log, log2, sqrt

SMOOTHING = 0.01


@dataclass
class World:
    """What is known before the questions.

    catalogue: all items. histories: by user, how often each item was taken. seen: by user, what may
    not be listed. contents, categories: by item, the values of all its columns, of one of them.
    """

    catalogue: list[int]
    histories: dict[int, dict[int, int]]
    seen: dict[int, set[int]]
    contents: dict[int, set[str]] = field(default_factory=dict)
    categories: dict[int, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken: dict[int, set[int]] = {}
        for user, history in self.histories.items():
            for item in history:
                self.taken.setdefault(item, set()).add(user)

    def takers(self, item: int) -> set[int]:
        return self.taken.get(item, set())

    def share(self, item: int) -> float:
        users = 0
        for history in self.histories.values():
            if history:
                users += 1
        return max(len(self.takers(item)), 1) / users

    def events(self, item: int) -> int:
        total = 0
        for history in self.histories.values():
            total += history.get(item, 0)
        return total


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def novelty(ranked: list[int], user: int, taken: set[int], world: World, k: int) -> float:
    return mean([-log2(world.share(item)) for item in ranked[:k]])


def popularity(ranked: list[int], user: int, taken: set[int], world: World, k: int) -> float:
    return mean([world.share(item) for item in ranked[:k]])


def popularity_lift(ranked: list[int], user: int, taken: set[int], world: World, k: int) -> float:
    if not ranked[:k] or not world.histories[user]:
        return 0.0
    own = mean([world.share(item) for item in world.histories[user]])
    return mean([world.share(item) for item in ranked[:k]]) / own - 1


def cosine(one: set, other: set) -> float:
    if not one or not other:
        return 0.0
    return len(one & other) / sqrt(len(one) * len(other))


def apart(ranked: list[int], described: dict[int, set], k: int) -> float:
    listed = ranked[:k]
    distances = []
    for place, one in enumerate(listed):
        for other in listed[place + 1 :]:
            distances.append(1 - cosine(described.get(one, set()), described.get(other, set())))
    return mean(distances)


def diversity(ranked: list[int], user: int, taken: set[int], world: World, k: int) -> float:
    return apart(ranked, {item: world.takers(item) for item in ranked[:k]}, k)


def content_diversity(ranked: list[int], user: int, taken: set[int], world: World, k: int) -> float:
    return apart(ranked, world.contents, k)


def serendipity(ranked: list[int], user: int, taken: set[int], world: World, k: int) -> float:
    expected: list[int] = []
    for item in sorted(world.catalogue, key=lambda i: (-len(world.takers(i)), i)):
        if item not in world.seen[user] and len(expected) < k:
            expected.append(item)
    found = 0
    for item in ranked[:k]:
        if item in taken and item not in expected:
            found += 1
    return found / k


def categories_of(items: list[int], world: World) -> dict[str, float]:
    weights: dict[str, float] = {}
    for item in items:
        mine = world.categories.get(item, set())
        for name in mine:
            weights[name] = weights.get(name, 0.0) + 1 / len(mine)
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def calibration(ranked: list[int], user: int, taken: set[int], world: World, k: int) -> float:
    wanted = categories_of(list(world.histories[user]), world)
    given = categories_of(ranked[:k], world)
    total = 0.0
    for name, p in wanted.items():
        q = (1 - SMOOTHING) * given.get(name, 0.0) + SMOOTHING * p
        total += p * log(p / q)
    return total


def exposure(lists: list[list[int]], world: World, k: int) -> dict[int, int]:
    shown = dict.fromkeys(world.catalogue, 0)
    for ranked in lists:
        for item in ranked[:k]:
            if item in shown:
                shown[item] += 1
    return shown


def coverage(lists: list[list[int]], world: World, k: int) -> float:
    listed = [item for item, times in exposure(lists, world, k).items() if times]
    return len(listed) / len(world.catalogue)


def gini(lists: list[list[int]], world: World, k: int) -> float:
    shown = exposure(lists, world, k)
    total = sum(shown.values())
    if total == 0:
        return 0.0
    difference = 0.0
    for one in shown.values():
        for other in shown.values():
            difference += abs(one - other)
    return difference / (2 * len(shown) * total)


def thirds(world: World) -> dict[int, int]:
    """By item: 0 head, 1 middle, 2 tail."""
    total = sum(world.events(item) for item in world.catalogue)
    before, third = 0, {}
    for item in sorted(world.catalogue, key=lambda i: (-world.events(i), i)):
        if 3 * before < total:
            third[item] = 0
        elif 3 * before < 2 * total:
            third[item] = 1
        else:
            third[item] = 2
        before += world.events(item)
    return third


def item_gap(lists: list[list[int]], world: World, k: int) -> float:
    shown = exposure(lists, world, k)
    if sum(shown.values()) == 0:
        return 0.0
    third, widest = thirds(world), 0.0
    for part in (0, 1, 2):
        mine = [item for item in world.catalogue if third[item] == part]
        of_exposure = sum(shown[item] for item in mine) / sum(shown.values())
        done = sum(world.events(item) for item in world.catalogue)
        of_events = sum(world.events(item) for item in mine) / done
        widest = max(widest, abs(of_exposure - of_events))
    return widest


OF_LISTS: dict[str, Callable[[list[int], int, set[int], World, int], float]] = {
    "novelty": novelty,
    "popularity": popularity,
    "popularity_lift": popularity_lift,
    "diversity": diversity,
    "content_diversity": content_diversity,
    "serendipity": serendipity,
    "calibration": calibration,
}
OVERALL: dict[str, Callable[[list[list[int]], World, int], float]] = {
    "coverage": coverage,
    "gini": gini,
    "item_gap": item_gap,
}
