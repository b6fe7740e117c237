"""A few users as they are: what they did, what they took next, what each model would have listed.

Numbers over thousands of users hide nonsense that one list shows. The users are those with a
middling history, so that it can be read, and are the same for every model.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from honeyguide.data.features import Features
from honeyguide.data.kinds import BY_NUMBER
from honeyguide.data.query import query
from honeyguide.data.sets import DataSet
from honeyguide.data.split import Holdout, Split
from honeyguide.evaluate.evaluator import padded_items
from honeyguide.explain.effects import effects
from honeyguide.models.spec import Model, Spec
from honeyguide.rank.rankers import Exhaustive

REASONS = 3
SHOWN = 10  # last events and items of a list
READABLE = 20  # events of a history


class Examples:
    """Collects the lists of one model after another for the users of the first fold."""

    def __init__(self, many: int) -> None:
        self.many = many
        self.told: list[dict[str, Any]] = []

    def open(self, opened: DataSet, parts: Split) -> None:
        """Choose the users. Later folds change nothing."""
        if self.told or not self.many:
            return
        self.holdout, self.titles = parts.test, _titles(opened, parts.test)
        self.users = _readable(parts.test, self.many)
        names = parts.test.history.users.of(self.users).to_list()
        self.told = [
            {
                "user": name,
                "history": self._history(user),
                "found": [self._item(i) for i in self._truth(user)],
                "lists": {},
                "reasons": {},
            }
            for name, user in zip(names, self.users.tolist(), strict=True)
        ]

    def add(self, spec: Spec, model: Model) -> None:
        """The lists of a model; of several seeds and folds the first."""
        if not self.told or spec.name in self.told[0]["lists"]:
            return
        history = self.holdout.history
        now = None if self.holdout.now is None else self.holdout.now[self.users]
        asked = query(history.counting(spec.rule), self.users, history=spec.past, now=now)
        exclude = padded_items(history.seen(), self.users)
        with torch.inference_mode():
            ranking = Exhaustive(model).rank(asked, SHOWN, exclude=exclude)
        rows = zip(
            self.told,
            self.users.tolist(),
            ranking.items.tolist(),
            ranking.scores.tolist(),
            strict=True,
        )
        for one, user, items, scores in rows:
            truth = set(self._truth(user))
            one["lists"][spec.name] = [
                self._item(item) | {"score": score, "hit": item in truth}
                for item, score in zip(items, scores, strict=True)
                if item
            ]
            if items[0]:
                one["reasons"][spec.name] = self._reasons(spec, model, user, items[0])

    def _reasons(self, spec: Spec, model: Model, user: int, item: int) -> dict[str, Any]:
        """What carries the first item of a list."""
        own = self.holdout.history.of_users(np.array([user]))
        seen = np.unique(own.seen().item).astype(np.int64)
        found = effects(model, own.counting(spec.rule), np.array([item]), seen)
        return self._item(item) | {
            "rank": int(found.rank[0]),
            "because": [
                self._item(int(found.items[place]))
                | {
                    "effect": float(found.loss[0, place]),
                    "rank_without": int(found.rank_without[0, place]) or None,
                }
                for place in found.carrying(0)[:REASONS].tolist()
            ],
        }

    def _history(self, user: int) -> list[dict[str, Any]]:
        events = self.holdout.history.of_users(np.array([user])).seen()
        kinds = [BY_NUMBER[kind].name for kind in events.kind[-SHOWN:].tolist()]
        return [
            self._item(item) | {"kind": kind}
            for item, kind in zip(events.item[-SHOWN:].tolist(), kinds, strict=True)
        ]

    def _truth(self, user: int) -> list[int]:
        truth = self.holdout.truth
        items: list[int] = truth.item[truth.offsets[user] : truth.offsets[user + 1]].tolist()
        return items

    def _item(self, number: int) -> dict[str, Any]:
        name = self.holdout.truth.items.of(np.array([number])).to_list()[0]
        return {"item": name, "title": None if self.titles is None else self.titles[number]}


def _titles(opened: DataSet, holdout: Holdout) -> list[str | None] | None:
    """By item number, of the training catalogue and behind."""
    if opened.table.items is None:
        return None
    titles = Features.of(holdout.truth.items, opened.table.items, "item_id").titles
    return None if titles is None else titles.to_list()


def _readable(holdout: Holdout, many: int) -> Int64[np.ndarray, " N"]:
    """Users whose history is closest to READABLE events; of equal ones the first."""
    apart = np.abs(holdout.history.seen().lengths[holdout.users] - READABLE)
    return np.sort(holdout.users[np.argsort(apart, kind="stable")[:many]])
