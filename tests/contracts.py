"""The contracts of models, as a library: a new model writes a declaration, not tests.

A contract takes a `Declared` and asserts; it returns nothing and never skips. Where it depends on
what a spec declares (`causal`, `needs`, `past`), it follows the declaration and also asserts that
the opposite is not the truth. The data is a checkerboard whose answer the eye can see.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from checkerboard import (
    BLOCK,
    ITEMS,
    UNTAKEN,
    USERS,
    block_of,
    checkerboard,
    history_of,
    ring_of,
    taken,
)
from declared import CLOSE, Declared, ask, log_for, picked, same, scores, train, trained
from honeyguide.bundle import Contents, load, save
from honeyguide.data.query import Query, query
from honeyguide.data.vocab import PAD, UNKNOWN_USER
from honeyguide.errors import CallError, UnknownName
from honeyguide.models.spec import (
    AnsweredBy,
    Learned,
    LearnedSpec,
    Model,
    Schema,
    Solved,
    Vectors,
)
from honeyguide.rank.rankers import Exhaustive
from honeyguide.types import NEVER, Ranking

# --- what a model learns


def learns_a_checkerboard(declared: Declared) -> None:
    """Unseen items of the own block stand above all of the other; impersonal models say so."""
    model, asked = trained(declared.spec), ask(declared.spec)
    if not declared.personal:
        assert_impersonal(model, asked)
        return
    assert_own_block_first(scores(model, asked), np.arange(USERS))


def unseen_user_is_served(declared: Declared) -> None:
    """A stranger with some history is answered from that history."""
    model = trained(declared.spec)
    users = np.array([1, 6, 27, 32])
    strangers = ask(declared.spec, users, known=False)
    assert bool((strangers.user == UNKNOWN_USER).all())
    answer = scores(model, strangers)
    assert_finite(answer)
    if declared.personal:
        assert_own_block_first(answer, users)
        short = history_of([[3, 4, 5], [13, 14, 15]])
        assert_own_block_first(scores(model, short), np.array([0, USERS - 1]), seen=short)
    labels = model.answered_by(strangers)
    assert len(labels) == len(strangers)
    assert set(labels) <= set(get_args(AnsweredBy)) - {"trained-row"}, "a stranger has no row"


def assert_own_block_first(answer: Tensor, users: np.ndarray, seen: Query | None = None) -> None:
    for row, user in enumerate(users):
        own = np.arange(1, BLOCK + 1) + BLOCK * block_of(users)[row]
        known = taken(int(user)) if seen is None else seen.item[row].numpy()
        new = np.setdiff1d(own, known)
        other = np.setdiff1d(np.arange(1, 2 * BLOCK + 1), own)
        lowest, highest = float(answer[row, new].min()), float(answer[row, other].max())
        assert lowest > highest, f"user {user}: own block {lowest:.4f}, other {highest:.4f}"


def assert_impersonal(model: Model, asked: Query) -> None:
    """Everyone gets the same, and what was taken stands above what nobody took."""
    answer = scores(model, asked)
    assert torch.equal(answer, answer[:1].expand_as(answer)), "declared impersonal, but is not"
    assert bool((answer[:, 1:UNTAKEN] > answer[:, UNTAKEN:]).all())


def learns_one_way(declared: Declared) -> None:
    """Solved or Learned and not both; by descent exactly where the spec has the words for it."""
    model = trained(declared.spec)
    solved, learned = isinstance(model, Solved), isinstance(model, Learned)
    assert solved != learned, "a model learns one way"
    assert learned == isinstance(declared.spec, LearnedSpec)
    assert model.spec == declared.spec
    if isinstance(declared.spec, LearnedSpec):
        untrained = declared.spec.build(model.schema)
        moved = {n for n, p in model.named_parameters() if not same_bits(p, untrained, n)}
        assert moved == {n for n, _ in model.named_parameters()}, "a parameter was never trained"


def same_bits(parameter: Tensor, untrained: Model, name: str) -> bool:
    return torch.equal(parameter, untrained.get_parameter(name))


def pad_stays_empty(declared: Declared) -> None:
    """The vector of PAD is 0 after training, as `item_vectors` promises."""
    model = trained(declared.spec)
    if isinstance(model, Vectors):
        vectors = model.item_vectors()
        assert vectors.shape[0] == ITEMS
        assert bool((vectors[PAD] == 0).all()), "training moved the row of PAD"
    assert bool((scores(model, ask(declared.spec))[:, PAD] == NEVER).all())


# --- what an answer is


def scores_are_finite(declared: Declared) -> None:
    """A finite score for every item and -inf for PAD, as f32."""
    answer = scores(trained(declared.spec), ask(declared.spec))
    assert answer.shape == (USERS, ITEMS)
    assert answer.dtype == torch.float32
    assert_finite(answer)


def assert_finite(answer: Tensor) -> None:
    assert bool(answer[:, 1:].isfinite().all()), "a score is not finite"
    assert bool((answer[:, PAD] == NEVER).all()), "PAD has a score"


def an_item_nobody_took_is_scored(declared: Declared) -> None:
    """It stands in the catalogue, so it can be ranked, and nobody is pushed to it."""
    answer = scores(trained(declared.spec), ask(declared.spec))
    assert bool(answer[:, UNTAKEN].isfinite().all())
    best = answer.argmax(1)
    assert not bool((best == UNTAKEN).any()), "the item nobody took stands first"


def empty_history_is_answered(declared: Declared) -> None:
    """Finite scores where nothing is known, beside someone of whom something is."""
    model = trained(declared.spec)
    asked = history_of([[], [3, 4], []])
    answer = scores(model, asked)
    assert_finite(answer)
    same(answer[:1], answer[2:], "two strangers without history")
    same(answer[:1], scores(model, picked(asked, slice(0, 1))), "asked alone")
    if declared.personal:
        assert not torch.allclose(answer[0, 1:], answer[1, 1:]), "a history changes nothing"


def any_history_is_answered(declared: Declared) -> None:
    """Histories longer than all in training: the last `past` events, or all of them."""
    spec = declared.spec
    log = ring_of(300)
    asked = query(log.counting(spec.rule), np.array([0]), history=spec.past, known=False)
    assert asked.item.shape[1] == (300 if spec.past is None else spec.past)
    assert_finite(scores(trained(spec), asked))


def a_batch_equals_one_by_one(declared: Declared) -> None:
    """Who else asks changes nothing."""
    model, asked = trained(declared.spec), ask(declared.spec)
    mixed = picked(history_of([[1, 2, 3, 4, 5, 6, 7], [], [12], [9, 19, 5]]), slice(None))
    for name, batch in (("known", asked), ("strangers", mixed)):
        single = [scores(model, picked(batch, slice(b, b + 1))) for b in range(len(batch))]
        same(scores(model, batch), torch.cat(single), f"{name}: batch and one by one")


def padding_changes_nothing(declared: Declared) -> None:
    """More PAD behind the events, up to the width that the spec allows."""
    spec = declared.spec
    model, asked = trained(spec), ask(spec, np.array([0, 21]), known=False)
    room = 9 if spec.past is None else spec.past - asked.item.shape[1]
    assert room > 0, "declare a history longer than 7 for this contract"
    for more in (1, room):
        wider = replace(
            asked,
            **{
                name: torch.nn.functional.pad(column, (0, more))
                for name in ("item", "kind", "value", "time")
                if (column := getattr(asked, name)) is not None
            },
        )
        same(scores(model, asked), scores(model, wider), f"{more} more PAD")


def asking_changes_nothing(declared: Declared) -> None:
    """Scores belong to the caller, who may write into them; model and question stay as they are."""
    model, asked = trained(declared.spec), ask(declared.spec)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    question = [c.clone() for n in Query.__slots__ if (c := getattr(asked, n)) is not None]
    with torch.inference_mode():
        first = model.score(asked)
        copy = first.clone()
        first.fill_(NEVER)
        again = model.score(asked)
    assert torch.equal(copy, again), "writing into the scores changed the next answer"
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), f"asking changed {name}"
    left = [c for n in Query.__slots__ if (c := getattr(asked, n)) is not None]
    assert all(map(torch.equal, question, left)), "asking changed the question"


def score_few_equals_score(declared: Declared) -> None:
    """Some items as the whole catalogue would score them, PAD included."""
    model, asked = trained(declared.spec), ask(declared.spec)
    draw = np.random.default_rng(0).integers(0, ITEMS, (USERS, 6))
    items = torch.from_numpy(draw)
    items[:, 0] = PAD
    with torch.inference_mode():
        few = model.score_few(asked, items)
    same(few, scores(model, asked).gather(1, items), "few and all")


def candidates_rank_like_the_whole_list(declared: Declared) -> None:
    """One list for all or one for each, in any order, with doubles, PAD and the unknown."""
    model, asked = trained(declared.spec), ask(declared.spec)
    whole = Exhaustive(model).rank(asked, ITEMS)
    draw = np.random.default_rng(1)
    shared = torch.tensor([17, 3, UNTAKEN, 3, PAD, 12, 5])
    own = torch.from_numpy(np.stack([draw.permutation(ITEMS)[:8] for _ in range(USERS)]))
    for candidates in (shared, own):
        few = Exhaustive(model).rank(asked, 10, candidates=candidates)
        wanted = candidates if candidates.ndim == 2 else candidates.expand(USERS, -1)
        for row in range(USERS):
            assert_restricted(whole, few, row, set(wanted[row].tolist()) - {PAD})


def assert_restricted(whole: Ranking, few: Ranking, row: int, wanted: set[int]) -> None:
    """Equal lists, up to neighbours whose scores are equal but for rounding."""
    kept = [place for place, i in enumerate(whole.items[row].tolist()) if i in wanted]
    items, values = whole.items[row, kept], whole.scores[row, kept]
    count = len(kept)
    assert count == len(wanted)
    assert few.items[row, count:].eq(PAD).all()
    assert few.scores[row, count:].eq(NEVER).all()
    same(few.scores[row, :count], values, f"scores of row {row}")
    assert set(few.items[row, :count].tolist()) == wanted
    swapped = (few.items[row, :count] != items).nonzero()[:, 0].tolist()
    whole_score = dict(zip(items.tolist(), values.tolist(), strict=True))
    for place in swapped:
        apart = whole_score[int(few.items[row, place])] - float(values[place])
        assert abs(apart) <= CLOSE * (1 + abs(float(values[place]))), f"row {row}, place {place}"


# --- what a spec declares


def causality_is_as_declared(declared: Declared) -> None:
    """If causal, states stand at every place and no later event changes an earlier one."""
    model: Any = trained(declared.spec)
    states = getattr(model, "states", None)
    assert (states is not None) == declared.spec.causal, "states stand where causal says so"
    if states is None:
        return
    asked, cut = ask(declared.spec, np.array([0, 21, 6])), 4
    other = asked.item.clone()
    other[:, cut:] = asked.item[:, cut:].flip(0)
    assert not torch.equal(other, asked.item)
    early = asked.item.clone()
    early[:, 0] = UNTAKEN
    short = replace(
        asked,
        item=asked.item[:, :cut],
        kind=asked.kind[:, :cut],
        time=None if asked.time is None else asked.time[:, :cut],
        length=torch.full_like(asked.length, cut),
    )
    with torch.inference_mode():
        all_states = states(asked)
        same(states(replace(asked, item=other))[:, :cut], all_states[:, :cut], "later events")
        same(model.query_vectors(short), all_states[:, cut - 1], "the answer at a cut")
        changed = states(replace(asked, item=early))
    moved = (changed - all_states).abs().amax(2)
    assert bool((moved > 1e-4).all()), "a state forgot the first event"


def needs_are_as_declared(declared: Declared) -> None:
    """What needs an order refuses data without one and looks at it; what does not, does neither."""
    spec = declared.spec
    loose = log_for(spec, ordered=False)
    assert loose.order is None
    assert loose.time is None
    asked = ask(spec, known=False)
    if "value" in spec.needs:
        with pytest.raises(CallError, match=f"{spec.name} needs"):
            train(spec, checkerboard())
    turned = {"item": asked.item.flip(1)}  # all have equally many events
    if asked.value is not None:
        turned["value"] = asked.value.flip(1)
    backwards = replace(asked, **turned)
    there, back = scores(trained(spec), asked), scores(trained(spec), backwards)
    if spec.needs & {"order", "time"}:
        with pytest.raises(CallError, match=f"{spec.name} needs"):
            train(spec, loose)
        assert not torch.allclose(there[:, 1:], back[:, 1:]), "an order is asked for, not used"
    else:
        assert_finite(scores(train(spec, loose), ask(spec)))
        same(there, back, "an order that the spec does not ask for")


def unknown_key_is_refused(declared: Declared) -> None:
    """A misspelt setting is an error that lists the known ones and suggests the nearest."""
    cls = type(declared.spec)
    fields = list(cls.model_fields)
    key = fields[0] + "s"
    with pytest.raises(UnknownName) as caught:
        cls(**{key: 1})
    assert repr(key) in caught.value.wrong
    assert all(field in caught.value.do for field in fields)
    assert f"Did you mean {fields[0]!r}?" in caught.value.do


def every_setting_is_described(declared: Declared) -> None:
    """A sentence under each field says when to change it."""
    for name, field in type(declared.spec).model_fields.items():
        assert field.description, f"{name} has no description"
        assert field.description.rstrip().endswith("."), f"{name}: {field.description}"


# --- what can be repeated


def same_seed_same_scores(declared: Declared) -> None:
    """Bit for bit."""
    asked = ask(declared.spec)
    again = train(declared.spec, log_for(declared.spec))
    assert torch.equal(scores(trained(declared.spec), asked), scores(again, asked))


def bundle_round_trip(declared: Declared) -> None:
    """Settings, sizes and tensors are all there is: what comes back scores bit for bit the same."""
    model, asked = trained(declared.spec), ask(declared.spec)
    contents = Contents(
        model=declared.spec.name,
        settings=declared.spec.model_dump(mode="json"),
        schema=model.schema.model_dump(mode="json"),
        tensors=dict(model.state_dict()),
        tables={},
        documents={},
    )
    with TemporaryDirectory() as folder:
        save(contents, Path(folder) / "bundle")
        back = load(Path(folder) / "bundle")
    spec = type(declared.spec)(**back.settings)
    assert spec == declared.spec
    built = spec.build(Schema(**back.schema))
    built.load_state_dict(back.tensors)
    built.eval()
    assert torch.equal(scores(model, asked), scores(built, asked))
    assert model.answered_by(asked) == built.answered_by(asked)


CONTRACTS: dict[str, Callable[[Declared], None]] = {
    contract.__name__: contract
    for contract in (
        learns_a_checkerboard,
        unseen_user_is_served,
        learns_one_way,
        pad_stays_empty,
        scores_are_finite,
        an_item_nobody_took_is_scored,
        empty_history_is_answered,
        any_history_is_answered,
        a_batch_equals_one_by_one,
        padding_changes_nothing,
        asking_changes_nothing,
        score_few_equals_score,
        candidates_rank_like_the_whole_list,
        causality_is_as_declared,
        needs_are_as_declared,
        unknown_key_is_refused,
        every_setting_is_described,
        same_seed_same_scores,
        bundle_round_trip,
    )
}
