"""A state that grows by one event is that of a whole reading, and an older one stays as it was."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from honeyguide.data.kinds import KINDS
from honeyguide.data.query import Query
from honeyguide.data.vocab import PAD
from honeyguide.data.words import MOST
from honeyguide.errors import CallError
from honeyguide.models.bert4rec import BERT4Rec
from honeyguide.models.bsarec import BSARec
from honeyguide.models.fmlp_rec import FMLPRec
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.hstu import HSTU
from honeyguide.models.lrurec import LRURec
from honeyguide.models.nextitnet import NextItNet
from honeyguide.models.sasrec import SASRec
from honeyguide.models.sequence import GAPS, Event, SequenceModel, gap_buckets
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import build
from matrices import random_log

HISTORY, ITEMS = 12, 40
READ: dict[str, Any] = {"kinds": True, "gaps": True, "words": True}
SIZES: dict[str, Any] = {"width": 8, "layers": 2, "history": HISTORY, **READ}
SPECS = [
    SASRec(**SIZES, heads=2),
    BSARec(**SIZES, heads=2),
    HSTU(**SIZES, heads=2),
    FMLPRec(**SIZES, similarity="projection"),
    LRURec(**SIZES),
    NextItNet(**SIZES),
    GRU4Rec(**SIZES, inner=6),
    GRU4Rec(**SIZES, inner=6, cell="lstm", similarity="cosine"),
]
WINDOWED = SPECS[:4]
BOTH_WAYS = BERT4Rec(**SIZES, heads=2, similarity="cosine")
draw = np.random.default_rng(0)
events = [
    Event(item, kind, time)
    for item, kind, time in zip(
        draw.integers(1, ITEMS, 60).tolist(),
        draw.choice([2, 8], 60).tolist(),
        np.cumsum(draw.exponential(3_000.0, 60)).tolist(),
        strict=True,
    )
]
events[3] = replace(events[3], item=PAD, kind=KINDS["search"].number, words=(5, 77))
events[20] = replace(events[3], words=(8,), time=events[20].time)


def model_of(spec) -> SequenceModel:
    model: Any = build(spec, Schema(users=1, items=ITEMS), 0).eval()
    return model


def whole(model, events):
    length = torch.tensor([len(events)])
    events = events or [Event(PAD, kind=0, time=0.0)]
    item, kind = (torch.tensor([[getattr(e, n) for e in events]]) for n in ("item", "kind"))
    time = torch.tensor([[e.time for e in events]], dtype=torch.float64)
    words = torch.tensor([[[*e.words, *[0] * (MOST - len(e.words))] for e in events]])
    known = {"time": time, "words": words}
    with torch.no_grad():
        return model.query_vectors(Query(item, kind, length, -length, length, **known))[0]


@pytest.mark.parametrize("spec", [*SPECS, BOTH_WAYS], ids=lambda spec: spec.name)
@pytest.mark.parametrize("first", [0, 1, 5, HISTORY])
def test_it_grows_like_a_whole_reading_until_the_window_is_full(spec, first):
    model = model_of(spec)
    state = model.start(events[:first])
    for count in range(first + 1, HISTORY + 1):
        state = model.advance(state, events[count - 1])
        torch.testing.assert_close(state.vector, whole(model, events[:count]), rtol=1e-4, atol=1e-5)
        assert state.events == tuple(events[:count])


@pytest.mark.parametrize("spec", WINDOWED, ids=lambda spec: spec.name)
def test_a_full_window_is_read_anew_from_its_half(spec):
    model, half = model_of(spec), HISTORY // 2
    state, sizes = model.start([]), []
    for count in range(1, len(events) + 1):
        state = model.advance(state, events[count - 1])
        sizes.append(len(state.events))
        wanted = whole(model, list(state.events))
        assert list(state.events) == events[count - len(state.events) : count]
        torch.testing.assert_close(state.vector, wanted, rtol=1e-4, atol=1e-5)
    assert max(sizes) == HISTORY
    assert sizes.count(half + 1) == 1 + (len(events) - HISTORY + half - 1) // half


@pytest.mark.parametrize("spec", SPECS[4:], ids=lambda spec: spec.name)
def test_a_reader_without_a_window_goes_on(spec):
    model = model_of(spec)
    state = model.start([])
    for event in events:
        state = model.advance(state, event)
    torch.testing.assert_close(state.vector, whole(model, events), rtol=1e-3, atol=1e-4)


def test_what_looks_both_ways_is_read_anew_with_each_event():
    model = model_of(BOTH_WAYS)
    state = model.start([])
    torch.testing.assert_close(state.vector, whole(model, []), rtol=1e-4, atol=1e-5)
    for count in range(1, len(events) + 1):
        state = model.advance(state, events[count - 1])
        assert list(state.events) == events[max(count - HISTORY, 0) : count]
        wanted = whole(model, list(state.events))
        torch.testing.assert_close(state.vector, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", [*SPECS, BOTH_WAYS], ids=lambda spec: spec.name)
def test_two_ways_on_from_one_state(spec):
    model = model_of(spec)
    # one step on, so that there is room behind what is held, which both ways could write into
    start = model.advance(model.start(events[:4]), events[4])
    one, other = (model.advance(start, events[n]) for n in (7, 9))
    further, again = model.advance(one, events[3]), model.advance(other, events[5])
    third = model.advance(start, events[8])
    longer = [model.advance(state, events[6]) for state in (one, other, further, again, third)]
    for state in (start, one, other, further, again, third, *longer):
        wanted = whole(model, list(state.events))
        torch.testing.assert_close(state.vector, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("history", [1, 2, 5])
@pytest.mark.parametrize("spec", [*SPECS, BOTH_WAYS], ids=lambda spec: spec.name)
def test_small_and_odd_windows(spec, history):
    model = model_of(spec.but(history=history))
    state = model.start([])
    for count in range(1, 12):
        state = model.advance(state, events[count - 1])
        assert len(state.events) <= history
        if getattr(model.reader, "window", history) is not None or count <= history:
            wanted = whole(model, list(state.events))
            torch.testing.assert_close(state.vector, wanted, rtol=1e-4, atol=1e-5)


def test_times_known_in_part():
    model = model_of(SPECS[0])
    some = [replace(event, time=None) if n == 2 else event for n, event in enumerate(events[:6])]
    state = model.start([])
    for event in some:
        state = model.advance(state, event)
    torch.testing.assert_close(state.vector, model.start(some).vector, rtol=1e-4, atol=1e-5)


def test_nothing_yet_looks_for_nothing():
    model = model_of(SPECS[0])
    assert bool((model.start([]).vector == 0).all())


def test_gaps_by_powers_of_two():
    time = torch.tensor([[0.0, 0.0, 1.0, 4.0, 1e15]], dtype=torch.float64)
    first = torch.full((1, 1), torch.nan, dtype=torch.float64)
    assert gap_buckets(time, first).tolist() == [[0, 1, 2, 3, GAPS - 1]]
    assert gap_buckets(time[:, 1:], time[:, :1]).tolist() == [[1, 2, 3, GAPS - 1]]


def test_kinds_gaps_and_words_change_what_is_looked_for():
    model = model_of(SPECS[0])
    plain = model.start(events[:5]).vector
    for change in ({"kind": 7}, {"time": events[4].time + 9e5}, {"words": (9,)}):
        other = replace(events[4], **change)
        assert not torch.allclose(model.start([*events[:4], other]).vector, plain)
    timeless = model.start([replace(event, time=None) for event in events[:5]]).vector
    assert bool(timeless.isfinite().all())


def test_gaps_need_times():
    log = random_log()
    with pytest.raises(CallError, match="sasrec with gaps needs time"):
        SASRec(gaps=True).refuse(replace(log, time=None, order="column"))
