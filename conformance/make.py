"""Writes cases.json and expected.json beside this file, from the plain loops of tests/oracles.

    PYTHONPATH=tests python conformance/make.py

Nothing but the standard library takes part, and every draw is seeded.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

from oracles import beyond, metrics, pointwise

HERE = Path(__file__).parent
CUTOFFS = (1, 5, 20)
WORLDS, USERS, ITEMS, UNKNOWN = 8, 15, 30, 3
TABLES, ROWS = 6, 40
GENRES, BRANDS = ("comedy", "drama", "noir", "war"), ("acme", "ajax")


def cases() -> dict[str, Any]:
    """What to measure."""
    draw = Random(0)
    return {
        "format": 1,
        "cutoffs": list(CUTOFFS),
        "worlds": [_world(draw) for _ in range(WORLDS)],
        "predictions": [_predictions(draw) for _ in range(TABLES)],
    }


def expected(told: dict[str, Any]) -> dict[str, Any]:
    """What must come out."""
    return {
        "format": 1,
        "worlds": [_measured(world, told["cutoffs"]) for world in told["worlds"]],
        "predictions": [
            {name: each(one["true"], one["said"]) for name, each in pointwise.POINTWISE.items()}
            for one in told["predictions"]
        ],
    }


def world_of(told: dict[str, Any]) -> beyond.World:
    """A world of the file as the oracles take it."""
    users = range(len(told["users"]))
    items = {item["item"]: item for item in told["items"]}
    histories = [user["history"] for user in told["users"]]
    return beyond.World(
        catalogue=list(items),
        histories={user: {i: histories[user].count(i) for i in histories[user]} for user in users},
        seen={user: set(histories[user]) for user in users},
        contents={i: {*item["genres"], *item["brand"]} for i, item in items.items()},
        categories={i: set(item["genres"]) for i, item in items.items()},
    )


def _world(draw: Random) -> dict[str, Any]:
    catalogue = list(range(1, ITEMS + 1))
    weight = [1 / place for place in catalogue]  # few are popular, the last three nobody takes
    items = [
        {
            "item": item,
            "genres": sorted(draw.sample(GENRES, draw.randint(0, 3))),
            "brand": draw.sample(BRANDS, draw.randint(0, 1)),
        }
        for item in catalogue
    ]
    users = []
    for _ in range(USERS):
        history = draw.choices(catalogue[:-3], weight[:-3], k=draw.randint(1, 14))
        new = [i for i in range(1, ITEMS + UNKNOWN + 1) if i not in history]
        # few different scores, so that many are equal
        scores = [draw.randint(0, 9) for _ in catalogue]
        ranked = sorted((i for i in catalogue if i not in history), key=lambda i: -scores[i - 1])
        users.append(
            {
                "history": history,
                "taken": sorted(draw.sample(new, draw.randint(1, 8))),
                "scores": scores,
                "list": ranked[: draw.choice((0, 1, 3, 20, 20, 20))],
            }
        )
    return {"items": items, "users": users}


def _predictions(draw: Random) -> dict[str, Any]:
    true = [0, 1, *(draw.randint(0, 1) for _ in range(ROWS))]
    return {"true": true, "said": [draw.choice((0.0, 0.2, 0.5, draw.random(), 1.0)) for _ in true]}


def _measured(told: dict[str, Any], cutoffs: list[int]) -> dict[str, Any]:
    world = world_of(told)
    lists = [user["list"] for user in told["users"]]
    taken = [set(user["taken"]) for user in told["users"]]
    scores = [dict(zip(world.catalogue, user["scores"], strict=True)) for user in told["users"]]
    per_user: dict[str, list[float]] = {
        "auc": [metrics.auc(scores[u], taken[u], world.seen[u]) for u in range(len(lists))]
    }
    overall: dict[str, float] = {}
    for k in cutoffs:
        for name, each in metrics.PER_USER.items():
            per_user[f"{name}@{k}"] = [each(lists[u], taken[u], k) for u in range(len(lists))]
        for name, of_list in beyond.OF_LISTS.items():
            per_user[f"{name}@{k}"] = [
                of_list(lists[u], u, taken[u], world, k) for u in range(len(lists))
            ]
        for name, whole in beyond.OVERALL.items():
            overall[f"{name}@{k}"] = whole(lists, world, k)
    return {"per_user": per_user, "overall": overall}


def main() -> None:
    """Both files, a line for each user, item and world."""
    told = cases()
    for name, content in (("cases", told), ("expected", expected(told))):
        text = json.dumps(content, separators=(",", ":")).replace("},{", "},\n{")
        (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
