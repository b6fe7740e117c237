"""What the loop refuses, what it says then, and what it leaves on disk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError, InputError, TrainingError, UnknownName
from honeyguide.models.mf import MF, MFModel
from honeyguide.models.spec import Schema
from honeyguide.train import checkpoint, fit, trainer, validation
from runs import PLAIN, SPECS, Watch, fresh, same_weights, shop, trained

MF_SPEC, SASREC_SPEC = SPECS["mf"], SPECS["sasrec"]
EPOCHS = MF_SPEC.epochs


def broken(call) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        call()
    return caught.value


# --- resuming, refusing (tests of kills are in test_resume.py)


class Stop(Exception):
    pass


def stop() -> None:
    raise Stop


def stopped_at(step: int, folder, spec=MF_SPEC, **changes) -> None:
    with pytest.raises(Stop):
        trained(spec, folder, reporter=Watch(step, stop), **changes)


def test_resume_without_a_checkpoint_starts_from_the_start(tmp_path):
    watch = Watch()
    model, _ = trained(MF_SPEC, tmp_path / "new", resume=True, reporter=watch)
    assert watch.seen[0].done == 1
    assert same_weights(model.state_dict(), trained(MF_SPEC)[0].state_dict())


def test_without_resume_an_earlier_run_is_replaced(tmp_path):
    trained(MF_SPEC, tmp_path)
    # stopped before its first checkpoint: nothing of the earlier run may be left to go on from
    stopped_at(1, tmp_path, checkpoint_seconds=60)
    assert (tmp_path / "journal.jsonl").read_text() == ""
    watch = Watch()
    trained(MF_SPEC, tmp_path, resume=True, reporter=watch)
    assert watch.seen[0].done == 1


def test_seconds_and_speed_count_all_sittings(tmp_path, monkeypatch):
    clock = iter(range(1_000_000))
    monkeypatch.setattr(trainer, "perf_counter", lambda: float(next(clock)))
    whole_watch, watch = Watch(), Watch()
    trained(MF_SPEC, tmp_path / "whole", valid=False, reporter=whole_watch)
    stopped_at(3, tmp_path / "two", valid=False)
    trained(MF_SPEC, tmp_path / "two", valid=False, resume=True, reporter=watch)
    rest = whole_watch.seen[2:]
    assert [at.targets_per_second for at in watch.seen] == [at.targets_per_second for at in rest]


def test_resume_needs_a_folder():
    with pytest.raises(CallError, match="no folder"):
        trained(MF_SPEC, None, resume=True)


@pytest.mark.parametrize(
    ("spec", "changes", "said"),
    [
        (MF_SPEC.but(learning_rate=0.02), {}, "spec.learning_rate was 0.01 and is 0.02"),
        (MF_SPEC.but(epochs=9), {}, f"spec.epochs was {EPOCHS} and is 9"),
        (MF_SPEC, {"seed": 9}, "seed was 3 and is 9"),
        (MF_SPEC, {"precision": "bf16"}, 'precision was "f32" and is "bf16"'),
        (MF_SPEC, {"metric": "mrr@10"}, 'metric was "ndcg@10" and is "mrr@10"'),
        (MF_SPEC, {"valid": False}, "validation was"),
        (SASREC_SPEC, {}, 'model was "mf" and is "sasrec"'),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_and_kept(tmp_path, spec, changes, said):
    stopped_at(5, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    error = broken(lambda: trained(spec, tmp_path, resume=True, **changes))
    assert said in error.wrong
    assert "without resume" in error.do
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    stopped_at(5, tmp_path)
    data, valid = shop()
    rows = np.ones(len(data.interactions), dtype=bool)
    rows[7] = False
    less = TrainingData(data.interactions.only(rows))
    model = fresh(MF_SPEC)
    error = broken(
        lambda: fit(model, less, valid=valid, training=PLAIN, folder=tmp_path, resume=True)
    )
    assert "data was" in error.wrong
    assert "validation" not in error.wrong


def test_how_often_checkpoints_are_written_may_change(tmp_path):
    stopped_at(5, tmp_path)
    watch = Watch()
    trained(MF_SPEC, tmp_path, resume=True, checkpoint_seconds=60, reporter=watch)
    assert watch.seen[0].done == 5


def test_a_corrupt_checkpoint_is_refused_before_anything_changes(tmp_path):
    stopped_at(5, tmp_path)
    path = tmp_path / checkpoint.FILE
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    journal = (tmp_path / "journal.jsonl").read_bytes()
    error = broken(lambda: trained(MF_SPEC, tmp_path, resume=True))
    assert "cannot be read: its checksum" in error.wrong
    assert "from the start" in error.do
    assert (tmp_path / "journal.jsonl").read_bytes() == journal
    assert path.read_bytes() == bytes(data)


def test_a_folder_that_cannot_be_is_said_in_our_words(tmp_path):
    (tmp_path / "file").touch()
    error = broken(lambda: trained(MF_SPEC, tmp_path / "file" / "run"))
    assert "cannot be written" in error.wrong


# --- numbers that are none


def test_a_loss_that_is_no_number_names_epoch_and_step(tmp_path):
    error = broken(lambda: trained(MF_SPEC.but(learning_rate=1e30), tmp_path))
    assert "loss is not a finite number" in error.wrong
    assert "epoch 0, step 1" in error.wrong
    assert "Lower learning_rate (1e+30)" in error.do
    assert_finite(tmp_path)


class Spoiling(MFModel):
    """At the fifth step the loss is finite and its gradient is not."""

    steps = 0

    def loss(self, batch):
        self.steps += 1
        plain = super().loss(batch)
        if self.steps == 5:
            plain = plain + (self.items.weight * 0).abs().sum().sqrt()
        return plain


class SpoilingSpec(MF):
    def build(self, schema: Schema) -> Spoiling:
        return Spoiling(self, schema)


def assert_finite(folder) -> None:
    for tensor in load_file(folder / checkpoint.FILE).values():
        assert tensor.isfinite().all()


@pytest.mark.parametrize("checkpoint_seconds", [0, 60])
def test_weights_that_are_no_numbers_never_reach_the_disk(tmp_path, checkpoint_seconds):
    spec = SpoilingSpec(**MF_SPEC.model_dump())
    watch = Watch()
    error = broken(
        lambda: trained(spec, tmp_path, reporter=watch, checkpoint_seconds=checkpoint_seconds)
    )
    assert all(np.isfinite(at.loss) for at in watch.seen)
    if checkpoint_seconds == 0:
        assert len(watch.seen) == 5
        assert "result of an update" in error.wrong
        assert "epoch 0, step 4" in error.wrong
        assert "is kept" in error.wrong
        assert_finite(tmp_path)
        read = load_file(tmp_path / checkpoint.FILE)
        assert read["optimiser.0.step"].max() == 4
    else:
        assert not (tmp_path / checkpoint.FILE).exists()
        assert "is kept" not in error.wrong


def test_the_last_update_is_looked_at_too():
    pairs = shop()[0].interactions.pairs(MF_SPEC.rule).nnz
    spec = SpoilingSpec(**MF_SPEC.but(epochs=1, batch=-(-pairs // 5)).model_dump())
    watch = Watch()
    error = broken(lambda: trained(spec, reporter=watch, valid=False))
    assert (watch.seen[-1].done, watch.seen[-1].total) == (5, 5)
    assert "result of an update" in error.wrong


def test_a_sum_that_overflows_is_no_alarm(tmp_path):
    class Large(MFModel):
        def __init__(self, spec, sizes):
            super().__init__(spec, sizes)
            self.large = torch.nn.Parameter(torch.full((4,), 3e38))

        def loss(self, batch):
            return super().loss(batch) + (self.large * 0).sum()

    class LargeSpec(MF):
        def build(self, schema: Schema) -> Large:
            return Large(self, schema)

    model, _ = trained(LargeSpec(**MF_SPEC.model_dump()), tmp_path)
    assert model.get_parameter("large").sum().isinf()


def no_memory_on_the_device() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    "ask", [lambda: torch.empty(1 << 60), lambda: np.empty(1 << 50), no_memory_on_the_device]
)
def test_too_little_memory_says_so(monkeypatch, ask):
    monkeypatch.setattr(MFModel, "loss", lambda self, batch: ask())
    error = broken(lambda: trained(MF_SPEC))
    assert "not enough memory for a step (epoch 0, step 0" in error.wrong
    assert "Lower batch (64)" in error.do


def test_other_errors_of_a_model_pass_through(monkeypatch):
    def loss(self, batch):
        raise RuntimeError("shapes")

    monkeypatch.setattr(MFModel, "loss", loss)
    with pytest.raises(RuntimeError, match="shapes"):
        trained(MF_SPEC)


# --- what cannot be asked


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"device": "gpu"}, CallError, "no device 'gpu'"),
        ({"metric": "ndgc@10"}, UnknownName, "Did you mean 'ndcg@k'"),
        ({"metric": "ndcg"}, CallError, "no cut-off"),
        ({"seed": -1}, CallError, "seed"),
        ({"checkpoint_seconds": -1}, CallError, "checkpoint_seconds"),
        ({"precision": "f16"}, CallError, "precision"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_training(changes, kind, said):
    watch = Watch()
    with pytest.raises(kind, match=said):
        trained(MF_SPEC, reporter=watch, **changes)
    assert watch.seen == []


def test_an_order_that_is_missing_is_refused():
    data, valid = shop()
    unordered = TrainingData(replace(data.interactions, order=None))
    with pytest.raises(CallError, match="sasrec needs order"):
        fit(fresh(SASREC_SPEC), unordered, valid=valid, training=PLAIN)


def test_nothing_to_learn_from_and_nobody_to_ask():
    data, valid = shop()
    nothing = TrainingData(data.interactions.only(np.zeros(len(data.interactions), dtype=bool)))
    for spec in (SASREC_SPEC, MF_SPEC.but(loss="softmax")):
        with pytest.raises(InputError, match="nothing to learn from"):
            fit(fresh(spec), nothing, training=PLAIN)
    nobody = replace(valid, users=valid.users[:0])
    with pytest.raises(InputError, match="validation part"):
        fit(fresh(MF_SPEC), data, valid=nobody, training=PLAIN)


def test_validation_asks_a_fixed_draw_of_many_users(monkeypatch):
    asked = []

    def evaluate(ranker, holdout, **options):
        asked.append(holdout.users)
        return {"ndcg@10": 0.1}

    monkeypatch.setattr(validation, "VALIDATION_USERS", 20)
    monkeypatch.setattr(trainer, "evaluate", evaluate)
    trained(MF_SPEC)
    everyone = shop()[1].users
    assert all(np.array_equal(users, asked[0]) for users in asked)
    assert len(np.unique(asked[0])) == 20 < len(everyone)
    assert set(asked[0]) <= set(everyone)
