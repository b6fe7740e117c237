"""A state that grows by one event is that of a whole reading, and an older one stays as it was."""

from typing import Any

import numpy as np
import pytest
import torch

from honeyguide.models.bsarec import BSARec
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.lrurec import LRURec
from honeyguide.models.nextitnet import NextItNet
from honeyguide.models.sasrec import SASRec
from honeyguide.models.sequence import SequenceModel
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import build

HISTORY, ITEMS = 12, 40
SIZES: dict[str, Any] = {"width": 8, "layers": 2, "history": HISTORY}
SPECS = [
    SASRec(**SIZES, heads=2),
    BSARec(**SIZES, heads=2),
    LRURec(**SIZES),
    NextItNet(**SIZES),
    GRU4Rec(**SIZES, inner=6),
    GRU4Rec(**SIZES, inner=6, cell="lstm"),
]
WINDOWED = SPECS[:2]
events = np.random.default_rng(0).integers(1, ITEMS, 60).tolist()


def model_of(spec) -> SequenceModel:
    model: Any = build(spec, Schema(users=1, items=ITEMS), 0).eval()
    return model


def whole(model, items):
    with torch.no_grad():
        states = model.reader(model._inputs(torch.tensor([items])))
    return states[0, -1]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("first", [0, 1, 5, HISTORY])
def test_it_grows_like_a_whole_reading_until_the_window_is_full(spec, first):
    model = model_of(spec)
    state = model.start(events[:first])
    for count in range(first + 1, HISTORY + 1):
        state = model.advance(state, events[count - 1])
        torch.testing.assert_close(state.vector, whole(model, events[:count]), rtol=1e-4, atol=1e-5)
        assert state.items == tuple(events[:count])


@pytest.mark.parametrize("spec", WINDOWED, ids=lambda spec: spec.name)
def test_a_full_window_is_read_anew_from_its_half(spec):
    model, half = model_of(spec), HISTORY // 2
    state, sizes = model.start([]), []
    for count in range(1, len(events) + 1):
        state = model.advance(state, events[count - 1])
        sizes.append(len(state.items))
        wanted = whole(model, list(state.items))
        assert list(state.items) == events[count - len(state.items) : count]
        torch.testing.assert_close(state.vector, wanted, rtol=1e-4, atol=1e-5)
    assert max(sizes) == HISTORY
    assert sizes.count(half + 1) == 1 + (len(events) - HISTORY + half - 1) // half


@pytest.mark.parametrize("spec", SPECS[2:], ids=lambda spec: spec.name)
def test_a_reader_without_a_window_goes_on(spec):
    model = model_of(spec)
    state = model.start([])
    for item in events:
        state = model.advance(state, item)
    torch.testing.assert_close(state.vector, whole(model, events), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_two_ways_on_from_one_state(spec):
    model = model_of(spec)
    start = model.start(events[:4])
    one, other = model.advance(start, 7), model.advance(start, 9)
    further = model.advance(one, 3)
    again = model.advance(other, 3)
    for state in (start, one, other, further, again):
        wanted = whole(model, list(state.items))
        torch.testing.assert_close(state.vector, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.advance(start, 7).vector, one.vector)


def test_nothing_yet_looks_for_nothing():
    model = model_of(SPECS[0])
    assert bool((model.start([]).vector == 0).all())
