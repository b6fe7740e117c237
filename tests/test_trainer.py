"""The loop: what it keeps, when it stops, what it says, and what it leaves alone."""

import json
import os
import signal
import threading
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from honeyguide.errors import HoneyguideError
from honeyguide.models.ease import EASE
from honeyguide.models.popular import Popular
from honeyguide.models.spec import Solved
from honeyguide.train import Training, build, checkpoint, fit, trainer
from runs import PLAIN, SPECS, Watch, fresh, lasting, same_weights, schema, shop, trained

MF_SPEC, SASREC_SPEC = SPECS["mf"], SPECS["sasrec"]
EPOCHS = MF_SPEC.epochs


class Scripted:
    """Stands in for `evaluate`: says these values in turn, and keeps the weights it saw."""

    def __init__(self, monkeypatch, *values: float) -> None:
        self.values = list(values)
        self.weights: list[dict[str, torch.Tensor]] = []
        monkeypatch.setattr(trainer, "evaluate", self)

    def __call__(self, ranker, holdout, **options):
        kept = {name: tensor.clone() for name, tensor in ranker.model.state_dict().items()}
        self.weights.append(kept)
        return {"ndcg@10": self.values[len(self.weights) - 1]}


# --- learning, and the same numbers again


@pytest.mark.parametrize("name", SPECS)
def test_the_loss_falls_and_the_model_is_ready(name):
    model, told = trained(SPECS[name])
    losses = [line["loss"] for line in told.journal]
    assert losses == sorted(losses, reverse=True)
    assert not model.training
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}


@pytest.mark.parametrize("name", SPECS)
def test_same_seed_same_weights_another_seed_others(name):
    one, told = trained(SPECS[name])
    again, told_again = trained(SPECS[name])
    other, _ = trained(SPECS[name], seed=4)
    assert same_weights(one.state_dict(), again.state_dict())
    assert lasting(told.journal) == lasting(told_again.journal)
    assert not same_weights(one.state_dict(), other.state_dict())


def test_the_seed_of_training_alone_changes_the_order():
    data, valid = shop()
    weights = []
    for seed in (3, 4):
        model = fresh(MF_SPEC, 3)
        fit(model, data, valid=valid, training=PLAIN.but(seed=seed))
        weights.append(model.state_dict())
    assert not same_weights(*weights)


def test_initial_values_come_from_the_seed_and_nothing_else():
    before = torch.get_rng_state()
    one = build(SASREC_SPEC, schema(), 1)
    torch.rand(3)
    again, other = build(SASREC_SPEC, schema(), 1), build(SASREC_SPEC, schema(), 2)
    assert same_weights(one.state_dict(), again.state_dict())
    assert not same_weights(one.state_dict(), other.state_dict())
    torch.set_rng_state(before)
    expected = torch.rand(3)
    torch.set_rng_state(before)
    build(SASREC_SPEC, schema(), 1)
    assert torch.equal(torch.rand(3), expected)


def numpy_words() -> np.ndarray:
    state: Any = np.random.get_state(legacy=False)
    words: np.ndarray = state["state"]["key"].copy()
    return words


@pytest.mark.parametrize("spec", [*SPECS.values(), EASE()])
def test_the_callers_random_state_is_left_alone(spec):
    data, valid = shop()
    torch_state, numpy_state = torch.get_rng_state(), numpy_words()
    fit(build(spec, schema(), 0), data, valid=valid, training=PLAIN)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(numpy_words(), numpy_state)


# --- the journal


@pytest.mark.parametrize("name", SPECS)
def test_the_journal_says_loss_speed_and_metric_of_every_epoch(tmp_path, name):
    _, told = trained(SPECS[name], tmp_path, checkpoint_seconds=60)
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert lines == told.journal
    assert [line["epoch"] for line in lines] == list(range(told.epochs))
    for line in lines:
        assert line["loss"] > 0
        assert line["seconds"] > 0
        assert line["targets_per_second"] > 0
        assert 0 <= line["valid"]["ndcg@10"] <= 1
        assert line["valid_seconds"] > 0
    assert told.epoch_seconds == np.median([line["seconds"] for line in lines])
    assert told.seconds >= sum(line["seconds"] + line["valid_seconds"] for line in lines)


def test_without_validation_all_epochs_are_trained_and_the_last_is_kept(tmp_path):
    model, told = trained(MF_SPEC.but(patience=1), tmp_path, valid=False)
    assert (told.epochs, told.best_epoch, told.best) == (EPOCHS, None, None)
    assert [line["valid"] for line in told.journal] == [None] * EPOCHS
    last = load_file(tmp_path / checkpoint.FILE)
    assert torch.equal(last["model.items.weight"], model.state_dict()["items.weight"])
    assert not [name for name in last if name.startswith("best.")]


def test_another_metric():
    _, told = trained(MF_SPEC, metric="recall@5")
    assert [list(line["valid"]) for line in told.journal] == [["recall@5"]] * told.epochs


# --- early stopping


@pytest.mark.parametrize(
    ("patience", "values", "epochs", "best"),
    [
        (1, [0.1, 0.2, 0.2], 3, 1),  # as good is not better
        (1, [0.3, 0.2], 2, 0),
        (2, [0.1, 0.3, 0.2, 0.3], 4, 1),
        (2, [0.1, 0.0, 0.2, 0.1, 0.3, 0.0], 6, 4),
        (2, [0.0, 0.0, 0.0], 3, 0),
        (9, [0.1, 0.2, 0.3, 0.2, 0.1, 0.0], 6, 2),
    ],
)
def test_it_stops_after_so_many_epochs_without_a_better_one(
    monkeypatch, patience, values, epochs, best
):
    script = Scripted(monkeypatch, *values)
    model, told = trained(MF_SPEC.but(patience=patience, epochs=6))
    assert (told.epochs, told.best_epoch, told.best) == (epochs, best, values[best])
    weights = model.state_dict()
    assert torch.equal(weights["items.weight"], script.weights[best]["items.weight"])
    assert not torch.equal(weights["items.weight"], script.weights[best - 1]["items.weight"])


def test_whoever_is_told_of_each_epoch_may_end_the_training(monkeypatch):
    script = Scripted(monkeypatch, 0.3, 0.1, 0.2, 0.4)
    model, heard = fresh(MF_SPEC), []
    data, valid = shop()

    def on_epoch(line: dict[str, Any]) -> bool:
        heard.append((line["epoch"], line["valid"]["ndcg@10"]))
        return len(heard) == 3

    told = fit(model, data, valid=valid, training=PLAIN, on_epoch=on_epoch)
    assert heard == [(0, 0.3), (1, 0.1), (2, 0.2)]
    assert (told.epochs, told.best_epoch) == (3, 0)
    kept = model.state_dict()["items.weight"]
    assert torch.equal(kept, script.weights[0]["items.weight"])


def test_a_finished_run_stays_finished(tmp_path, monkeypatch):
    Scripted(monkeypatch, 0.1, 0.3, 0.2)
    spec = MF_SPEC.but(patience=1)
    model, told = trained(spec, tmp_path)
    watch = Watch()
    again, told_again = trained(spec, tmp_path, resume=True, reporter=watch)
    assert watch.seen == []
    assert told_again == told
    assert same_weights(again.state_dict(), model.state_dict())


# --- precision, models that solve


@pytest.mark.parametrize(
    # not MF by bpr, whose kernel is in f32 whatever the rest is
    "spec",
    [SASREC_SPEC, MF_SPEC.but(loss="softmax"), MF_SPEC.but(loss="sampled-softmax")],
)
def test_bf16_learns_nearly_the_same(spec):
    model, coarse = trained(spec, precision="bf16")
    plain, exact = trained(spec, precision="f32")
    assert [line["loss"] for line in coarse.journal] != [line["loss"] for line in exact.journal]
    for one, other in zip(coarse.journal, exact.journal, strict=False):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.01)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == plain.state_dict()[name].dtype, "weights stay in f32"


@pytest.mark.parametrize("spec", [EASE(), Popular()])
def test_a_model_that_solves_passes_through(tmp_path, spec):
    data, valid = shop()
    model, plain = build(spec, schema(), 0), build(spec, schema(), 0)
    told = fit(model, data, valid=valid, training=PLAIN, folder=tmp_path / "run")
    assert isinstance(plain, Solved)
    plain.solve(data, PLAIN.seed)
    assert same_weights(model.state_dict(), plain.state_dict())
    assert (told.epochs, told.best_epoch, told.best, told.journal) == (1, None, None, [])
    assert told.seconds > 0
    assert not model.training


# --- reporting, Ctrl-C


def test_the_reporter_hears_of_every_step():
    watch = Watch()
    _, told = trained(MF_SPEC, reporter=watch)
    total = watch.seen[0].total
    assert [at.done for at in watch.seen] == list(range(1, total + 1))
    per_epoch = total // EPOCHS
    assert [at.epoch for at in watch.seen] == [n // per_epoch for n in range(total)]
    assert {at.epochs for at in watch.seen} == {EPOCHS}
    for number, line in enumerate(told.journal):
        last = watch.seen[(number + 1) * per_epoch - 1]
        assert last.loss == line["loss"]
        said = None if number == 0 else told.journal[number - 1]["valid"]["ndcg@10"]
        assert last.value == said


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_the_step_and_leaves_a_checkpoint(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    watch = Watch(7, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        trained(MF_SPEC, tmp_path, reporter=watch, checkpoint_seconds=60)
    assert len(watch.seen) == 7
    assert signal.getsignal(signal.SIGINT) is before
    rest = Watch()
    model, _ = trained(MF_SPEC, tmp_path, resume=True, reporter=rest)
    assert rest.seen[0].done == 8
    assert same_weights(model.state_dict(), trained(MF_SPEC)[0].state_dict())


def test_a_second_ctrl_c_cuts(tmp_path):
    def twice() -> None:
        press_ctrl_c()
        press_ctrl_c()
        pytest.fail("the second one was not heard")

    with pytest.raises(KeyboardInterrupt):
        trained(MF_SPEC, tmp_path, reporter=Watch(7, twice), checkpoint_seconds=60)
    assert not (tmp_path / checkpoint.FILE).exists()


def test_ctrl_c_without_a_folder():
    with pytest.raises(KeyboardInterrupt):
        trained(MF_SPEC, reporter=Watch(7, press_ctrl_c))


def test_where_ctrl_c_is_ignored_it_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _, told = trained(MF_SPEC, reporter=Watch(7, press_ctrl_c))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert told.epochs == EPOCHS


def test_another_thread_may_train():
    told: list[object] = []

    def act() -> None:
        try:
            told.append(trained(MF_SPEC)[1].epochs)
        except HoneyguideError as error:
            told.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    assert told == [EPOCHS]


def test_what_a_killed_run_left_is_tidied_up(tmp_path):
    (tmp_path / ".hg-0123456789abcdef.tmp").touch()
    (tmp_path / "notes.txt").touch()
    trained(MF_SPEC, tmp_path)
    assert sorted(os.listdir(tmp_path)) == [checkpoint.FILE, "journal.jsonl", "notes.txt"]


def test_plain_settings():
    assert Training() == Training(
        seed=0, device="auto", precision="auto", metric="ndcg@10", checkpoint_seconds=60.0
    )


# --- gradients of several batches


def test_accumulated_gradients_are_the_mean_of_those_of_the_batches(monkeypatch):
    seen: list[torch.Tensor] = []

    def still(self: Any, closure: Any = None) -> None:
        items = self.param_groups[0]["params"][1]
        seen.append(items.grad.clone())

    monkeypatch.setattr(trainer.RowAdamW, "step", still)
    spec = MF_SPEC.but(loss="softmax", batch=16, epochs=1)
    trained(spec)
    alone, seen = seen, []
    trained(spec.but(accumulate=3))
    assert len(seen) == -(-len(alone) // 3)
    torch.testing.assert_close(seen[0], sum(alone[:3]) / 3)
    torch.testing.assert_close(seen[-1], sum(alone[3 * (len(seen) - 1) :]) / 3)


def test_no_checkpoint_stands_between_batches_of_one_step(monkeypatch, tmp_path):
    steps: list[int] = []
    real = checkpoint.write
    monkeypatch.setattr(
        checkpoint, "write", lambda folder, state: (steps.append(state.step), real(folder, state))
    )
    spec = MF_SPEC.but(accumulate=3, batch=16, epochs=2)
    trained(spec, folder=tmp_path)
    assert steps
    assert all(step % 3 == 0 or step == max(steps) for step in steps)  # or the last of an epoch
