"""Bad input through the command line: two lines that say what is wrong and what to do."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import films, log, refused, typed, write
from honeyguide.cli.main import main

HEADER = "user_id,item_id,time\n"
ROWS = [f"u{n % 4},i{n % 5},{1_600_000_000 + n}" for n in range(20)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    paths = write(folder, log=log(), films=films())
    words = ["train", str(paths["log"]), "--model", "popular", "--out", str(folder / "b")]
    assert main(words) == 0
    return folder / "b"


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.csv"
    path.write_text(HEADER + "\n".join(ROWS) + "\n")
    return path


def row(text: str) -> str:
    """Good rows with one bad one behind."""
    return HEADER + "\n".join([*ROWS, text]) + "\n"


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("userid,when\na,1\nb,2\n", [], ["No column named 'item_id'", "userid, when", "--item"]),
        (HEADER + "a,x,1\nb,y,2\n", ["--item", "item_ids"], ["Did you mean 'item_id'?", "--item"]),
        (HEADER + "a,x,1\nb,y,2\n", ["--time", "tiem"], ["'tiem'", "Did you mean 'time'?"]),
        ("", [], ["log.csv", "empty"]),
        (HEADER, [], ["no rows"]),
        (row(",i1,1600000000"), [], ["user id", "1 of 21", "row 21"]),
        (row("u1,,1600000000"), [], ["item id", "1 of 21", "row 21"]),
        (row("u1,i1,yesterday"), [], ["1 of 21 times cannot be read", "'yesterday'"]),
        (row("u1,i1,32503680000"), [], ["row 21", "in the future"]),
        ("user_id,item_id,rating\na,x,4\nb,y,nan\n", [], ["rating", "row 2"]),
        ("user_id,item_id,rating\na,x,4\nb,y,inf\n", [], ["rating", "row 2"]),
        (HEADER + "a,x,1\na,y,2\n", [], ["only one user", "--user"]),
        (HEADER + "a,x,1\nb,x,2\n", [], ["only one item", "--item"]),
        (HEADER + "a,x,1\nb,y,2\n", [], ["The split leaves"]),
        (HEADER + "a,x,1\nb,y,2\n", ["--split", "leave-last-out"], ["The split leaves"]),
        (HEADER + "a,x,1\nb,y,2\n", ["--k-core", "5"], ["--k-core"]),
        (row("u1,i1,1600000000"), ["--k-core", "-1"], ["k_core"]),
        (row("u1,i1,1600000000"), ["--split", "sideways"], ["split", "sideways"]),
        (row("u1,i1,1600000000"), ["--min-rating", "3"], ["no ratings", "--rating"]),
        (row("u1,i1,1600000000"), ["--test", "t.csv"], ["ready-made parts"]),
    ],
)
def test_a_table_that_cannot_be_used(capsys, tmp_path, text, flags, said):
    path = tmp_path / "log.csv"
    path.write_text(text)
    result = typed(capsys, "data", path, *flags)
    assert result.status in (1, 2)
    refused(result, result.status, *said)


def test_ids_of_mixed_types_are_refused(capsys, tmp_path):
    path = tmp_path / "log.ndjson"
    path.write_text('{"user_id": 1, "item_id": "x"}\n{"user_id": "b", "item_id": "y"}\n')
    refused(typed(capsys, "data", path), 1, "user_id")


def test_the_same_event_on_both_sides_is_refused(capsys, tmp_path):
    whole = log().sort("time")
    paths = write(tmp_path, train=whole.head(300), test=whole.tail(61))
    said = typed(capsys, "data", "--train", paths["train"], "--test", paths["test"])
    refused(said, 1, "1 ")


@pytest.mark.parametrize(
    ("status", "words", "said"),
    [
        (2, ["data"], ["No data was given", "--train"]),
        (2, ["data", "movielens-2m"], ["movielens-2m", "Did you mean 'movielens-"]),
        (1, ["data", "gone.csv"], ["gone.csv"]),
        (2, ["compare", "LOG", "--models", "populr"], ["'populr'", "Did you mean 'popular'?"]),
        (2, ["compare", "LOG", "--metrics", "ndgc@10"], ["'ndgc@10'", "Did you mean 'ndcg@k'?"]),
        (2, ["compare", "LOG", "--metrics", "ndcg"], ["cut-off", "ndcg@10"]),
        (2, ["compare", "LOG", "--models", "ease", "--set", "ease.l3=1"], ["'l3'", "'l2'"]),
        (2, ["compare", "LOG", "--models", "ease", "--set", "l2=1"], ["model.setting=value"]),
        (2, ["compare", "LOG", "--models", "ease", "--set", "mf.width=1"], ["'mf'", "ease"]),
        (2, ["compare", "LOG", "--models", "ease", "--set", "ease.l2=many"], ["l2", "'many'"]),
        (2, ["compare", "LOG", "--seeds", "0,x"], ["--seeds", "'x'"]),
        (1, ["compare", "LOG", "--config", "gone.toml"], ["gone.toml"]),
        (2, ["compare", "LOG", "--json", "gone/o.json"], ["gone"]),
        (2, ["train", "LOG", "--out", "b"], ["No model was named", "sasrec"]),
        (2, ["train", "LOG", "--model", "eas", "--out", "b"], ["'eas'", "Did you mean 'ease'?"]),
        (2, ["train", "LOG", "--model", "ease", "--epochs", "3", "--out", "b"], ["'epochs'"]),
        (2, ["train", "LOG", "--model", "ease", "--out", "LOG"], ["is a file"]),
        (2, ["train", "LOG", "--model", "ease", "--out", "."], ["other things", "small.csv"]),
        (2, ["train", "LOG", "--model", "ease"], ["--out", "--help"]),
        (1, ["recommend", "nowhere", "--user", "1"], ["no folder nowhere"]),
        (2, ["recommend", "BUNDLE"], ["--user", "--history"]),
        (2, ["recommend", "BUNDLE", "--user", "1", "--history", "2"], ["--user", "--history"]),
        (2, ["recommend", "BUNDLE", "--user", "100", "-k", "21"], ["k = 21", "20 items"]),
        (2, ["recommend", "BUNDLE", "--user", "100", "-k", "0"], ["k = 0"]),
        (1, ["recommend", "BUNDLE", "--history", "x,y"], ["No item of history", "'x'"]),
        (2, ["recommend", "BUNDLE", "--user", "1", "--candidates", ","], ["candidates is empty"]),
        (1, ["similar", "BUNDLE", "--item", "x"], ["unknown", "'x'"]),
        (2, ["similar", "BUNDLE", "--item", "1", "-k", "20"], ["k = 20", "19 other items"]),
        (2, ["score", "BUNDLE", "--user", "1", "--items", ","], ["No item was given"]),
        (2, ["evaluate", "BUNDLE"], ["No later events"]),
        (1, ["evaluate", "BUNDLE", "LOG"], ["'u0' cannot join names that are whole numbers"]),
        (2, ["serve", "BUNDLE", "--host", "no.such.host.invalid"], ["no.such.host.invalid"]),
        (2, ["serve", "BUNDLE", "--port", "99999"], ["--port"]),
        (2, ["sreve", "BUNDLE"], ["sreve", "--help"]),
        (2, ["data", "LOG", "--usr", "x"], ["--usr", "--help"]),
    ],
)
def test_a_call_that_cannot_be(capsys, monkeypatch, small, bundle, status, words, said):
    monkeypatch.chdir(small.parent)
    monkeypatch.delenv("HONEYGUIDE_DATA", raising=False)
    places = {"LOG": small, "BUNDLE": bundle}
    result = typed(capsys, *(places.get(word, word) for word in words))
    refused(result, status, *said)


def test_a_cut_off_beyond_the_catalogue_is_refused(capsys, bundle, small):
    said = typed(capsys, "compare", small, "--models", "popular", "--metrics", "recall@1000")
    refused(said, 2, "1000", "5")


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.ndjson", "log.csv.gz"])
def test_random_bytes_are_no_table(capsys, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 64)
    refused(typed(capsys, "data", path), 1, name)


def test_random_bytes_are_no_bundle(capsys, tmp_path):
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(bytes(range(256)) * 64)
    for words in (["recommend", folder, "--user", "1"], ["serve", folder]):
        refused(typed(capsys, *words), 1, "manifest")


def test_a_damaged_bundle_is_refused_and_left_alone(capsys, bundle, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    tensors = next(copy.glob("tensors-*"))
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(data)
    refused(typed(capsys, "recommend", copy, "--user", "1"), 1, "checksum")
    assert tensors.read_bytes() == bytes(data)


def test_a_missing_data_set_says_how_to_get_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HONEYGUIDE_DATA", raising=False)
    said = typed(capsys, "data", "movielens-1m")
    refused(said, 1, "movielens-1m", "HONEYGUIDE_DATA", "--download")


def test_a_place_that_cannot_be_written_is_refused_before_the_work(capsys, small, tmp_path):
    started = time.monotonic()
    said = typed(capsys, "compare", small, "--models", "mf", "--json", tmp_path)
    refused(said, 2, "is a folder")
    assert time.monotonic() - started < 10


def test_an_error_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n")
    result = subprocess.run(
        [Path(sys.executable).with_name("honeyguide"), "train", path, "--model", "ease"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 2
