"""One list by name, with titles: what the service sends and the command line shows."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from honeyguide.data.vocab import PAD
from honeyguide.recommender import Answer, Recommender
from honeyguide.serve.wire import Item, Reply


def reply(
    rec: Recommender, answer: Answer, version: str, candidates: Sequence[Any] | None = None
) -> Reply:
    """The first list of an answer. candidates: those that were asked with, if any."""
    vocab, k = rec.state.items.vocab, answer.ranking.items.shape[1]
    numbers = answer.ranking.items[0]
    real = numbers != PAD
    names = [*vocab.of(numbers[real].numpy()), *_unknown(rec, candidates or ())][:k]
    scores = [*answer.ranking.scores[0][real].tolist(), *[None] * k]
    items = [
        Item(item_id=name, title=title, score=score)
        for name, title, score in zip(names, titled(rec, names), scores, strict=False)
    ]
    fallback = bool(answer.fallback[0])
    rests_on = "popular" if fallback else answer.answered_by[0]
    return Reply(items=items, fallback=fallback, answered_by=rests_on, model_version=version)


def titled(rec: Recommender, names: Sequence[Any]) -> list[str | None]:
    """The title of each item, None where there is none."""
    known = rec.state.items
    if known.titles is None:
        return [None] * len(names)
    numbers = known.vocab.numbers(list(names))
    return known.titles.gather(numbers).cast(pl.String).to_list()


def _unknown(rec: Recommender, candidates: Sequence[Any]) -> list[Any]:
    """The candidates that have no score, once each, in their order."""
    if not candidates:
        return []
    numbers = rec.state.items.vocab.numbers(list(candidates))
    scored = (numbers != PAD) & (numbers < rec.state.scorable)
    return list(dict.fromkeys(n for n, ok in zip(candidates, scored, strict=True) if not ok))
