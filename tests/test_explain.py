"""Explanations: what a model's own weights say, found by asking with and without."""

import json

import numpy as np
import polars as pl
import pytest
import torch

import honeyguide as hg
from commands import refused as refused_command
from commands import typed
from honeyguide.data.interactions import Interactions
from honeyguide.data.shop import simulate
from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.statistics import paired
from honeyguide.explain.effects import effects, ranks
from honeyguide.explain.fidelity import curve
from honeyguide.explain.histories import distinct
from honeyguide.models.ease import EASE
from honeyguide.models.item_knn import ItemKNN
from honeyguide.models.mf import MF
from honeyguide.models.sasrec import SASRec
from honeyguide.rank.topk import top_k_torch
from matrices import fitted
from tables import refused

SHOP = simulate(6_000, users=120, items=80, seed=3).table
LOG = Interactions.of(SHOP)
SPECS = [
    EASE(l2=20),
    ItemKNN(),
    MF(width=8, epochs=8, batch=32),
    SASRec(width=8, layers=1, history=12, batch=32, epochs=4),
]


@pytest.fixture(scope="module")
def models():
    return {spec.name: fitted(spec, LOG) for spec in SPECS}


def person(model, user: int) -> tuple[Interactions, np.ndarray]:
    """Their events that count, and what is not recommended to them."""
    own = LOG.of_users(np.array([user]))
    seen = np.unique(own.seen().item).astype(np.int64)
    return own.counting(model.spec.rule), seen


def test_of_a_linear_model_the_effect_is_the_weight(models):
    model = models["ease"]
    past, seen = person(model, 3)
    targets = np.setdiff1d(np.arange(1, LOG.n_items), seen)[:4]
    told = effects(model, past, targets, seen)
    wanted = model.weight[torch.from_numpy(told.items)][:, torch.from_numpy(targets)].T
    np.testing.assert_allclose(told.loss, wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", [spec.name for spec in SPECS])
def test_equals_a_loop_that_rebuilds_each_history(models, name):
    model = models[name]
    for user in (0, 7, 19):
        past, seen = person(model, user)
        targets = np.setdiff1d(np.arange(1, LOG.n_items), seen)[:3]
        told = effects(model, past, targets, seen)
        assert told.items.tolist() == distinct(past, 0, model.spec.past).tolist()
        whole = scored(model, past)
        for place, item in enumerate(told.items.tolist()):
            without = scored(model, past.only(past.item != item))
            for t, target in enumerate(targets.tolist()):
                lost = whole[target] - without[target]
                assert told.loss[t, place] == pytest.approx(lost, abs=2e-4)
                if (past.item != item).any():
                    assert told.rank_without[t, place] == rank(without, target, seen)
        for t, target in enumerate(targets.tolist()):
            assert told.rank[t] == rank(whole, target, seen)


def scored(model, past: Interactions) -> np.ndarray:
    from honeyguide.data.query import query

    with torch.inference_mode():
        asked = query(past, np.arange(1), history=model.spec.past, known=False)
        return model.score(asked)[0].numpy()


def rank(scores: np.ndarray, target: int, seen: np.ndarray) -> int:
    left = [i for i in range(1, len(scores)) if i not in set(seen.tolist())]
    return 1 + sorted(left, key=lambda i: (-scores[i], i)).index(target)


def test_ranks_are_those_of_a_list():
    scores = torch.tensor([[float("-inf"), 0.5, 0.9, 0.5, 0.1, float("-inf")]])
    listed = top_k_torch(scores, 4).items[0].tolist()
    for place, item in enumerate(listed, start=1):
        target = torch.tensor([[item]])
        assert ranks(scores, scores.gather(1, target), target).item() == place


def test_taking_the_reasons_away_tells_more_than_taking_others(models):
    draw = np.random.default_rng(0)
    for name in ("ease", "mf", "sasrec"):
        model, users = models[name], np.arange(60)
        past = LOG.of_users(users).counting(model.spec.rule)
        targets, order, other = [], [], []
        for user in users.tolist():
            own, seen = person(model, user)
            scores = scored(model, own)
            scores[seen] = -np.inf
            targets.append(int(scores.argmax()))
            told = effects(model, own, np.array(targets[-1:]), seen)
            by_lead = told.items[np.argsort(-told.lead_loss[0], kind="stable")]
            order.append(by_lead[:5].tolist() + [0] * (5 - len(by_lead[:5])))
            shuffled = draw.permutation(told.items)[:5].tolist()
            other.append(shuffled + [0] * (5 - len(shuffled)))
        curves = [
            curve(model, past, np.array(targets), np.array(o), way="deletion", steps=3)
            for o in (order, other)
        ]
        areas = [c.area for c in curves]
        both = ~np.isnan(areas[0]) & ~np.isnan(areas[1])
        told = paired(areas[1][both], areas[0][both])
        assert told.low > 0, name


# --- by name


@pytest.fixture(scope="module")
def rec() -> hg.Recommender:
    return hg.Recommender(hg.EASE(l2=20)).fit(SHOP)


def test_a_frame_of_reasons_and_words(rec):
    frame = rec.explain(["u00001"], k=2, most=3)
    assert frame.columns[:3] == ["user_id", "item_id", "because_id"]
    assert frame["item_id"].n_unique() == 2
    first = rec.recommend(["u00001"], k=2)["item_id"].to_list()
    assert frame["item_id"].unique(maintain_order=True).to_list() == first
    assert (frame.filter(item_id=first[0])["rank"] == 1).all()
    one = rec.explanations(["u00001"], k=1)[0]
    because = one.because[0]
    assert because.effect > 0
    assert sum(reason.share for reason in one.because) <= 1 + 1e-9
    sentence = one.sentences[0]
    assert sentence.startswith("Without ")
    assert str(because.rank_without) in sentence
    assert because.title in sentence
    assert one.features[0].share >= one.features[-1].share
    assert {reason.item for reason in one.because} <= set(
        SHOP.events.filter(user_id="u00001")["item_id"]
    )


def test_histories_of_strangers_and_given_items(rec):
    items = SHOP.items["item_id"].to_list()
    (one,) = rec.explanations([items[:3]], [items[10]])
    assert one.item == items[10]
    assert {like.item for like in one.nearest} == set(items[:3])
    seen = rec.explanations([items[:3]], [items[0]])[0]
    assert any("in the history already" in note for note in seen.notes)
    refused(InputError, lambda: rec.explain([items[:3]], ["never made"]), "never made")
    refused(CallError, lambda: rec.explain([items[:3]], most=0), "most = 0")


def test_an_empty_history_says_nothing(rec):
    (one,) = rec.explanations([[]])
    assert one.because == ()
    assert one.rank is None
    assert "popular" in one.sentences[0]
    frame = rec.explain([[]])
    assert frame["because_id"].null_count() == len(frame) == 1


def test_a_trained_row_is_said():
    rec = hg.Recommender(MF(width=8, epochs=3, batch=32)).fit(SHOP)
    answered = rec.answer(["u00001", "u00002", "u00003"]).answered_by
    told = rec.explanations(["u00001", "u00002", "u00003"])
    for by, one in zip(answered, told, strict=True):
        assert any("trained row" in note for note in one.notes) == (by == "trained-row")


def test_the_command(rec, tmp_path, capsys):
    rec.save(tmp_path / "rec")
    said = typed(capsys, "explain", tmp_path / "rec", "--user", "u00001")
    assert said.status == 0, said.err
    assert "Without" in said.out
    assert "most like it" in said.out
    item = SHOP.items["item_id"][7]
    asked = ("--history", ",".join(SHOP.items["item_id"][:3]), "--item", item, "--json")
    document = json.loads(typed(capsys, "explain", tmp_path / "rec", *asked).out)
    assert document["item"] == item
    assert set(document) >= {"rank", "because", "nearest", "features", "sentences"}
    refused_command(typed(capsys, "explain", tmp_path / "rec"), 2, "--user")


def test_a_pandas_caller_gets_pandas(rec):
    import pandas as pd

    told = rec.explain(pd.DataFrame({"user_id": ["u00001"]}))
    assert isinstance(told, pd.DataFrame)
    assert isinstance(rec.explain(["u00001"]), pl.DataFrame)
