"""The command line: what each command prints and writes, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer.main
from typer.core import TyperGroup

import honeyguide as hg
from commands import films, log, typed, write
from honeyguide.cli.flags import Given, words
from honeyguide.cli.main import app
from honeyguide.data.columns import FLAGS
from honeyguide.train.progress import Bar

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with log.csv, films.csv and a bundle, made through the command line."""
    from honeyguide.cli.main import main

    folder = tmp_path_factory.mktemp("place")
    paths = write(folder, log=log(), films=films())
    words = ["train", paths["log"], "--items", paths["films"], "--model", "ease"]
    assert main([str(word) for word in [*words, "--out", folder / "bundle"]]) == 0
    return folder


def test_every_command_and_flag_is_documented():
    page = (ROOT / "docs" / "cli.md").read_text()
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    commands = group.commands
    assert set(commands) == {
        *("data", "train", "compare", "evaluate", "recommend", "score", "similar", "serve"),
        *("doctor", "demo", "tune", "explain", "report"),
    }
    parts = re.split(r"^## ", page, flags=re.MULTILINE)
    for name, command in commands.items():
        assert any(part.startswith(f"`{name}`") for part in parts), f"docs/cli.md lacks ## `{name}`"
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("-") and option != "--help":
                    assert f"`{option}" in page, f"docs/cli.md lacks {option} of {name}"


def test_help_and_version_need_nothing_heavy(tmp_path):
    script = (
        "import sys; from honeyguide.cli.main import main; status = main(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'polars', 'pydantic', 'fastapi'} & set(sys.modules); "
        "print(sorted(heavy), status)"
    )
    for argument, said in (("--help", "recommend"), ("--version", f"honeyguide {hg.__version__}")):
        result = subprocess.run(
            [sys.executable, "-c", script, argument],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said in result.stdout
        assert result.stdout.endswith("[] 0\n")


def test_python_m_is_the_command_and_the_status_is_the_exit_status(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "honeyguide", "data", str(tmp_path / "no.csv")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 2
    assert "no.csv" in result.stderr


def test_a_reader_that_leaves_is_no_error(tmp_path):
    paths = write(tmp_path, log=log())
    child = subprocess.Popen(
        [sys.executable, "-m", "honeyguide", "data", str(paths["log"])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.close()
    _, err = child.communicate(timeout=120)
    assert err == b""
    assert child.returncode == 1


def test_unforeseen_errors_keep_their_traceback(capsys, monkeypatch):
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("honeyguide.cli.doctor.examine", broken)
    with pytest.raises(ZeroDivisionError):
        typed(capsys, "doctor")


# ---------------------------------------------------------------- flags


def test_flags_win_over_the_file():
    base: dict[str, Any] = {
        "data": "a.csv",
        "inputs": {"split": "time", "k_core": 5, "columns": {"user": "u", "item": "i"}},
        "metrics": ["recall@5"],
    }
    given = Given("b.csv", {"split": "random", "columns": {"user": "who"}})
    assert given.fields(base) == {
        "data": "b.csv",
        "inputs": {"split": "random", "k_core": 5, "columns": {"user": "who", "item": "i"}},
        "metrics": ["recall@5"],
    }
    assert base["inputs"]["split"] == "time"
    assert "data" not in Given(None, {"train": "t.csv"}).fields(base)
    parts = {"inputs": {"train": "t.csv", "test": "e.csv", "k_core": 2}}
    assert Given("b.csv", {}).fields(parts)["inputs"] == {"k_core": 2, "columns": {}}


def test_words():
    assert words("a, b,,c") == ["a", "b", "c"]
    assert words(None) == words("") == []


# ---------------------------------------------------------------- data


def test_data_tells_and_writes(capsys, tmp_path, place):
    said = typed(capsys, "data", place / "log.csv", "--json", tmp_path / "d.json")
    assert said.status == 0
    assert re.search(r"^events +360$", said.out, re.MULTILINE)
    assert "note: " in said.out
    assert "\x1b" not in said.out  # no colour in a pipe
    told = json.loads((tmp_path / "d.json").read_text())
    assert (told["events"], told["users"], told["items"]) == (360, 40, 20)
    assert told["split"]["how"] == "time"
    assert str(tmp_path) not in (tmp_path / "d.json").read_text()


def test_data_takes_ready_made_parts(capsys, tmp_path):
    whole = log().sort("time")
    paths = write(tmp_path, train=whole.head(300), test=whole.tail(60))
    said = typed(capsys, "data", "--train", paths["train"], "--test", paths["test"])
    assert said.status == 0
    assert "ready-made: 300 events to learn from" in said.out


def test_columns_are_named_by_flags(capsys, tmp_path):
    odd = log().rename({"user_id": "a", "item_id": "b", "time": "c"})
    paths = write(tmp_path, odd=odd)
    said = typed(capsys, "data", paths["odd"], "--user", "a", "--item", "b", "--time", "c")
    assert said.status == 0
    assert "time: 288 events to learn from" in said.out


# ---------------------------------------------------------------- train and ask


def test_train_saves_what_python_reads(place):
    rec = hg.load(place / "bundle")
    assert rec.spec == hg.EASE()
    frame = rec.recommend([100], k=1)
    assert frame["item_id"][0] % 2 == 1  # user 100 is even and watches items 1, 3, 5 ...


def test_train_says_how_to_ask(capsys, tmp_path, place):
    out = tmp_path / "b"
    said = typed(
        *(capsys, "train", place / "log.csv", "--model", "mf", "--out", out),
        *("--epochs", 2, "--set", "mf.width=4", "--seed", 3),
    )
    assert said.status == 0
    assert f"honeyguide recommend {out} --user 100 -k 10" in said.out
    assert "20 items" in said.out
    assert said.err == ""  # no bar in a pipe
    rec = hg.load(out)
    assert rec.spec == hg.MF(epochs=2, width=4)
    assert rec.state.resolved["training"]["seed"] == 3
    left = [path.name for path in (tmp_path / "b.run").iterdir()]
    assert left == ["journal.jsonl"]  # the checkpoint has rows of users
    assert "split by" not in said.out


@pytest.mark.parametrize(
    ("model", "why"), [("ease", "ease is solved in one step"), ("mf", "holds no checkpoint")]
)
def test_resume_says_where_there_is_nothing_to_go_on_from(capsys, tmp_path, place, model, why):
    command = ["train", place / "log.csv", "--model", model, "--out", tmp_path / "b", "--resume"]
    command += ["--epochs", 1] if model == "mf" else []
    said = typed(capsys, *command)
    assert said.status == 0
    assert "Nothing to resume: " in said.err
    assert why in said.err


def test_every_flag_that_a_message_names_exists():
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    real = {
        option
        for command in (group, *group.commands.values())
        for parameter in command.params
        for option in parameter.opts
    } | {"--help", "--upgrade", "--force-reinstall", "--no-deps"}  # the last ones are pip's
    real |= {"--logdir", "--backend-store-uri"}  # of TensorBoard and MLflow
    said = {
        flag
        for path in (ROOT / "src").rglob("*.py")
        for flag in re.findall(r"(?<![-\w])--[a-z][a-z-]*", path.read_text())
    }
    assert said <= real
    assert {f"--{field}" for field in FLAGS} <= real


def test_train_takes_a_file_with_a_run(capsys, tmp_path, place):
    run = tmp_path / "run.toml"
    run.write_text(
        f'data = "{place / "log.csv"}"\nmodels = ["ease"]\n'
        '[settings.ease]\nl2 = 7.0\n[inputs.columns]\ntime = "time"\n'
    )
    assert typed(capsys, "train", "--config", run, "--out", tmp_path / "b").status == 0
    assert hg.load(tmp_path / "b").spec == hg.EASE(l2=7.0)
    other = ["--set", "ease.l2=8", "--out", tmp_path / "c"]
    assert typed(capsys, "train", "--config", run, *other).status == 0
    assert hg.load(tmp_path / "c").spec == hg.EASE(l2=8.0)


def test_ctrl_c_says_how_to_resume_and_resume_goes_on(tmp_path, place):
    out = tmp_path / "b"
    command = [sys.executable, "-m", "honeyguide", "train", str(place / "log.csv"), "--out", out]
    command += ["--model", "mf", "--epochs", "100000", "--set", "mf.patience=100000"]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    journal = tmp_path / "b.run" / "journal.jsonl"
    deadline = time.monotonic() + 100
    while not (journal.exists() and journal.read_text().count("\n") >= 2):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "--resume" in err
    assert "Traceback" not in err
    assert not out.exists()
    before = journal.read_text().splitlines()
    resumed = subprocess.Popen([*command, "--resume"], stderr=subprocess.PIPE)
    while len(journal.read_text().splitlines()) <= len(before):
        assert time.monotonic() < deadline + 100
        assert resumed.poll() is None
        time.sleep(0.05)
    resumed.send_signal(signal.SIGINT)
    resumed.communicate(timeout=60)
    assert journal.read_text().splitlines()[: len(before)] == before


def test_recommend_shows_titles(capsys, place):
    said = typed(capsys, "recommend", place / "bundle", "--user", 100, "-k", 1)
    assert said.status == 0
    expected = hg.load(place / "bundle").recommend([100], k=1)["item_id"][0]
    assert f"Film {expected}" in said.out
    assert "answered by history" in said.out


def test_recommend_for_a_history_as_json(capsys, place):
    said = typed(
        *(capsys, "recommend", place / "bundle", "--history", "1,3,unheard-of", "-k", 3, "--json")
    )
    told = json.loads(said.out)
    assert [item["item_id"] % 2 for item in told["items"]] == [1, 1, 1]
    assert not {1, 3} & {item["item_id"] for item in told["items"]}
    assert told["items"][0]["title"].startswith("Film ")
    assert told["fallback"] is False


def test_recommend_says_when_a_fallback_answers(capsys, place):
    said = typed(capsys, "recommend", place / "bundle", "--user", "nobody", "-k", 2)
    assert said.status == 0
    assert "fallback: nothing is known of user nobody" in said.out


def test_recommend_among_candidates(capsys, place):
    said = typed(
        *(capsys, "recommend", place / "bundle", "--history", "1,3"),
        *("--candidates", "2,zzz,5", "--json"),
    )
    items = json.loads(said.out)["items"]
    assert [item["item_id"] for item in items] == [5, 2, "zzz"]
    assert items[2]["score"] is None


def test_score_and_similar(capsys, place):
    said = typed(
        *(capsys, "score", place / "bundle", "--user", 101, "--items", "2,1,zzz", "--json")
    )
    scores = {one["item_id"]: one["score"] for one in json.loads(said.out)}
    assert scores["2"] > scores["1"]
    assert scores["zzz"] is None
    said = typed(capsys, "score", place / "bundle", "--user", "nobody", "--items", "1")
    assert "user nobody is unknown" in said.out
    said = typed(capsys, "similar", place / "bundle", "--item", 4, "-k", 3, "--json")
    assert [one["item_id"] % 2 for one in json.loads(said.out)] == [0, 0, 0]
    assert "Film " in typed(capsys, "similar", place / "bundle", "--item", 4, "-k", 3).out


def test_evaluate_measures_later_events(capsys, tmp_path):
    whole = log().sort("time")
    paths = write(tmp_path, train=whole.head(240), later=whole.tail(120))
    assert typed(capsys, *_train(paths["train"], tmp_path / "b")).status == 0
    said = typed(
        *(capsys, "evaluate", tmp_path / "b", paths["later"], "--metrics", "recall@10", "--json")
    )
    told = json.loads(said.out)
    assert told["users"] == 40
    recall = told["metrics"]["recall@10"]
    # ten films each, seen ones left out; forty users who are all alike prove no more than this
    assert recall == {"mean": 1.0, "low": pytest.approx(0.025 ** (1 / 40)), "high": 1.0}
    again = typed(capsys, "evaluate", tmp_path / "b", paths["later"], "--metrics", "recall@10")
    assert "recall@10  1.0000 ±0.0440" in again.out


def _train(log_file: Path, out: Path) -> list[object]:
    return ["train", log_file, "--model", "ease", "--out", out]


# ---------------------------------------------------------------- compare


def test_compare_prints_a_table_and_writes_a_document(capsys, tmp_path, place):
    out = tmp_path / "out.json"
    said = typed(
        *(capsys, "compare", place / "log.csv", "--models", "popular,ease", "--seeds", "0,1"),
        *("--metrics", "ndcg@5,coverage@5", "--json", out),
    )
    assert said.status == 0
    (row,) = re.findall(r"^ease +(\S+) ±(\S+) +(\S+) +\S+ +\S+ +\S+$", said.out, re.MULTILINE)
    told = json.loads(out.read_text())
    ease = next(one for one in told["aggregate"] if one["model"] == "ease")
    assert float(row[0]) == pytest.approx(ease["metrics"]["ndcg@5"]["mean"], abs=5e-5)
    assert told["verdict"] in said.out
    assert len(told["results"]) == 4
    for result in told["results"]:
        values = pl.read_parquet(tmp_path / result["per_user"])
        assert values["ndcg@5"].mean() == pytest.approx(result["metrics"]["ndcg@5"]["mean"])
        assert values["user_id"].is_in(range(100, 140)).all()
        assert values["user_id"].n_unique() == len(values) == told["data"]["test_users"]
    text = out.read_text()
    assert str(place) not in text
    assert told["run"]["data"] == "log.csv"


def test_a_model_that_fails_is_skipped_with_its_reason(capsys, tmp_path):
    paths = write(tmp_path, log=log().drop("time"))
    said = typed(capsys, "compare", paths["log"], "--models", "popular,sasrec")
    assert said.status == 0
    assert "skipped: sasrec (seed 0): sasrec needs order" in said.out
    only = typed(capsys, "compare", paths["log"], "--models", "sasrec")
    assert only.status == 1
    assert "No model could be measured" in only.out


def test_compare_takes_settings_and_a_file(capsys, tmp_path, place):
    run = tmp_path / "run.toml"
    run.write_text('models = ["ease", "popular"]\nmetrics = ["mrr@3"]\n[settings.ease]\nl2 = 7.0\n')
    out = tmp_path / "o.json"
    said = typed(
        *(capsys, "compare", place / "log.csv", "--config", run, "--set", "popular.half_life=2"),
        *("--json", out),
    )
    assert said.status == 0
    configs = {one["model"]: one["config"] for one in json.loads(out.read_text())["results"]}
    assert configs["ease"]["l2"] == 7.0
    assert configs["popular"]["half_life"] == 2
    # a model that this call leaves out takes its settings with it
    few = typed(capsys, "compare", place / "log.csv", "--config", run, "--models", "popular")
    assert few.status == 0


def test_a_bar_is_shown_for_each_model(capsys, monkeypatch, place):
    seen = []

    def watched(title):
        seen.append(title)
        return Bar(title)

    monkeypatch.setattr("honeyguide.cli.show.Bar", watched)
    typed(capsys, "compare", place / "log.csv", "--models", "popular,ease", "--seeds", "0,1")
    assert seen == [f"{m} (seed {s})" for m in ("popular", "ease") for s in (0, 1)]
