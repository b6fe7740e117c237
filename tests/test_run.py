"""A run as one value: fields, flags and a TOML file say the same."""

from functools import partial

import pytest

from honeyguide.data.columns import Columns
from honeyguide.data.opening import Inputs
from honeyguide.errors import CallError, InputError, UnknownName
from honeyguide.experiment.run import Run, parse_settings, run_file
from honeyguide.models.mf import MF
from honeyguide.train import Training
from tables import refused


def test_a_file_and_fields_make_the_same_run(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        'data = "gowalla"\nmodels = ["ease", "mf"]\nseeds = [0, 1]\nmetrics = ["ndcg@5"]\n'
        "[settings.mf]\nwidth = 8\n[inputs]\nk_core = 2\n[inputs.columns]\nuser = 'who'\n"
        "[training]\ndevice = 'cpu'\n"
    )
    run = Run(**run_file(path))
    assert run == Run(
        data="gowalla",
        models=("ease", "mf"),
        seeds=(0, 1),
        metrics=("ndcg@5",),
        settings={"mf": {"width": 8}},
        inputs=Inputs(k_core=2, columns=Columns(user="who")),
        training=Training(device="cpu"),
    )
    assert [spec.name for spec in run.specs()] == ["ease", "mf"]
    assert run.specs()[1] == MF(width=8)
    assert Run(**run.model_dump(mode="json")) == run


def test_files_that_are_none(tmp_path):
    refused(InputError, lambda: run_file(tmp_path / "no.toml"), "cannot be read: No such file")
    (tmp_path / "bad.toml").write_text("data = [")
    refused(InputError, lambda: run_file(tmp_path / "bad.toml"), "is not TOML")
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe")
    refused(InputError, lambda: run_file(tmp_path / "raw.toml"), "is not TOML")


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"model": ["ease"]}, UnknownName, "Did you mean 'models'?"),
        ({"models": []}, CallError, "models"),
        ({"seeds": []}, CallError, "seeds"),
        ({"metrics": []}, CallError, "metrics"),
        ({"models": ["ease", "ease"]}, CallError, "twice"),
        ({"seeds": [1, 1]}, CallError, "twice"),
        ({"training": {"device": 3}}, CallError, "device"),
    ],
)
def test_fields_that_cannot_be(fields, kind, said):
    refused(kind, lambda: Run(**fields), said)


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"models": ["easy"]}, UnknownName, "Did you mean 'ease'?"),
        ({"models": ["ease"], "settings": {"mf": {}}}, CallError, "'mf', which is not compared"),
        ({"models": ["ease"], "settings": {"easy": {}}}, UnknownName, "'easy'"),
        ({"models": ["ease"], "settings": {"ease": {"l3": 1}}}, UnknownName, "'l3'"),
        ({"models": ["ease"], "settings": {"ease": {"l2": "a"}}}, CallError, "l2"),
    ],
)
def test_models_that_cannot_be(fields, kind, said):
    refused(kind, lambda: Run(**fields).specs(), said)


def test_settings_as_flags():
    told = parse_settings(["mf.width=8", "mf.loss=bpr", "item-knn.weigh_users=true", "ease.l2=2.5"])
    assert told == {
        "mf": {"width": 8, "loss": "bpr"},
        "item-knn": {"weigh_users": True},
        "ease": {"l2": 2.5},
    }
    for wrong in ("mf", "mf=3", "mf.=3", "width=8"):
        refused(CallError, partial(parse_settings, [wrong]), "is no setting")
    refused(UnknownName, lambda: parse_settings(["mff.width=8"]), "model")
    refused(UnknownName, lambda: parse_settings(["mf.widht=8"]), "Did you mean 'width'?")
