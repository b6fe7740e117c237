"""The service: answers equal to Python's, every problem provoked, nothing of it in the logs."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

import honeyguide as hg
from commands import as_text, films, log, refused, typed
from honeyguide.bundle.bundle import describe
from honeyguide.errors import TrainingError
from honeyguide.serve import app as app_module
from honeyguide.serve.app import create_app
from honeyguide.serve.problems import KINDS, MEDIA_TYPE, PREFIX
from honeyguide.serve.wire import MOST_BODY

ROOT = Path(__file__).resolve().parent.parent
PATH = "/v1/recommendations"
VERSION = "0123456789ab"


@pytest.fixture(scope="module")
def rec():
    return hg.Recommender(hg.EASE()).fit(log(), items=films())


@pytest.fixture(scope="module")
def client(rec):
    with TestClient(create_app(rec, VERSION), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def by_text():
    """The same service with text for ids."""
    events, items = as_text(log(), user_id="u", item_id="i"), as_text(films(), item_id="i")
    rec = hg.Recommender(hg.EASE()).fit(events, items=items)
    with TestClient(create_app(rec, VERSION)) as client:
        yield client


def asked(client, **body):
    response = client.post(PATH, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer):
    return [item["item_id"] for item in answer["items"]]


def test_a_user_gets_what_python_answers(client, rec):
    told = asked(client, user_id=101, k=5)
    frame = rec.recommend([101], k=5)
    assert ids(told) == frame["item_id"].to_list()
    np.testing.assert_array_equal(
        np.array([i["score"] for i in told["items"]], np.float32), frame["score"].to_numpy()
    )
    assert [i["title"] for i in told["items"]] == [f"Film {i}" for i in ids(told)]
    assert (told["fallback"], told["answered_by"]) == (False, "history")
    assert told["model_version"] == VERSION


def test_ids_sent_as_text_reach_whole_numbers_and_the_reverse(client, by_text):
    assert ids(asked(client, user_id="101", k=3)) == ids(asked(client, user_id=101, k=3))
    told = asked(client, session=["1", "3"], candidates=["5", "2"])
    assert ids(told) == [5, 2]
    assert ids(asked(by_text, user_id="u101", k=1))[0].startswith("i")


def test_a_session_of_someone_never_met(client, rec):
    told = asked(client, session=[1, 3, "never heard of"], k=4)
    assert ids(told) == rec.recommend([[1, 3]], k=4)["item_id"].to_list()
    assert not {1, 3} & set(ids(told))


def test_seen_items_come_back_when_asked_for(client):
    assert set(ids(asked(client, session=[1, 3], k=20, exclude_seen=False))) == set(range(1, 21))
    assert set(ids(asked(client, session=[1, 3], k=20))) == set(range(1, 21)) - {1, 3}


def test_unknown_candidates_come_last_without_a_score(client, by_text):
    told = asked(client, session=[1, 3], candidates=["x", 2, 5, 999, "x"])
    assert ids(told) == [5, 2, "x", 999]
    assert [item["score"] is None for item in told["items"]] == [False, False, True, True]
    assert ids(asked(client, session=[1, 3], candidates=["x", 2, 5], k=1)) == [5]
    assert ids(asked(by_text, session=["i1"], candidates=["x", "i3"])) == ["i3", "x"]


@pytest.mark.parametrize("body", [{"user_id": "nobody"}, {"user_id": -7}, {"session": []}])
def test_who_is_unknown_gets_what_is_popular(client, rec, body):
    told = asked(client, **body, k=5)
    assert (told["fallback"], told["answered_by"]) == (True, "popular")
    counts = log()["item_id"].value_counts().sort(["count", "item_id"], descending=[True, False])
    assert ids(told) == counts["item_id"].head(5).to_list()


def test_livez(client):
    assert client.get("/livez").json() == {"status": "ok"}


# ---------------------------------------------------------------- problems

PROVOKED = [
    ("not-json", "POST", PATH, b"{'user_id': 1}"),
    ("not-json", "POST", PATH, b""),
    ("not-json", "POST", PATH, b"\xff\xfe"),
    ("not-found", "GET", "/v2/recommendations", b""),
    ("method-not-allowed", "GET", PATH, b""),
    ("body-too-large", "POST", PATH, b" " * (MOST_BODY + 1)),
    ("invalid-request", "POST", PATH, b"[]"),
    ("invalid-request", "POST", PATH, b"{}"),
    ("invalid-request", "POST", PATH, b'{"user_id": 1, "session": [1]}'),
    ("invalid-request", "POST", PATH, b'{"user_id": 1, "kk": 3}'),
    ("invalid-request", "POST", PATH, b'{"user_id": 1.5}'),
    ("invalid-request", "POST", PATH, b'{"user_id": true}'),
    ("invalid-request", "POST", PATH, b'{"user_id": ""}'),
    ("invalid-request", "POST", PATH, b'{"user_id": "' + b"x" * 257 + b'"}'),
    ("invalid-request", "POST", PATH, b'{"user_id": ' + b"9" * 40 + b"}"),
    ("invalid-request", "POST", PATH, b'{"user_id": 1, "k": 0}'),
    ("invalid-request", "POST", PATH, b'{"user_id": 1, "k": 201}'),
    ("invalid-request", "POST", PATH, b'{"user_id": 1, "k": "5"}'),
    ("invalid-request", "POST", PATH, b'{"session": [null]}'),
    ("invalid-request", "POST", PATH, b'{"user_id": 1, "candidates": []}'),
    ("k-too-large", "POST", PATH, b'{"user_id": 1, "k": 21}'),
    ("no-known-item", "POST", PATH, b'{"session": ["x", 999]}'),
]


@pytest.mark.parametrize(("name", "method", "path", "body"), PROVOKED)
def test_a_problem(client, name, method, path, body):
    response = client.request(method, path, content=body)
    told = response.json()
    assert response.headers["content-type"] == MEDIA_TYPE
    assert told["type"] == PREFIX + name
    assert told["status"] == response.status_code == KINDS[name].status
    assert told["title"] == KINDS[name].title
    assert told["detail"]
    assert "Traceback" not in response.text


def test_every_problem_is_provoked_and_documented():
    assert {name for name, *_ in PROVOKED} | {"internal"} == set(KINDS)
    page = (ROOT / "docs" / "serve.md").read_text()
    for kind in KINDS.values():
        assert re.search(rf"`{PREFIX}{kind.name}` *\| *{kind.status} ", page), kind.name


def test_the_field_at_fault_is_named(client):
    told = client.post(PATH, json={"user_id": 1, "kk": 3, "k": 0}).json()
    assert {one["field"] for one in told["errors"]} == {"kk", "k"}


def test_a_body_that_grows_without_being_announced(client):
    def parts():
        for _ in range(33):
            yield b" " * (MOST_BODY // 32)

    response = client.post(PATH, content=parts())
    assert response.json()["type"] == PREFIX + "body-too-large"


def test_an_unforeseen_error_tells_neither_the_caller_nor_the_log_who_asked(
    client, monkeypatch, caplog
):
    def broken(rec, question, version):
        raise KeyError(question.user_id)

    monkeypatch.setattr(app_module, "answer", broken)
    with caplog.at_level(logging.DEBUG):
        response = client.post(PATH, json={"user_id": "ann-of-green-gables"})
    assert response.status_code == 500
    assert response.json()["type"] == PREFIX + "internal"
    assert "KeyError" in caplog.text
    for text in (response.text, caplog.text):
        assert "ann-of-green-gables" not in text
    assert "Traceback" not in response.text


def test_scores_that_are_no_numbers_are_the_fault_of_the_service(client, rec, monkeypatch):
    def broken(query):
        raise TrainingError("There are scores that are not numbers.", "Train again.")

    monkeypatch.setattr(rec.state.model, "score", broken)
    response = client.post(PATH, json={"user_id": 101})
    assert response.status_code == 500
    assert response.json()["type"] == PREFIX + "internal"


def test_a_small_catalogue_with_new_items_starts():
    frame = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [5, 6, 5, 7]})
    small = hg.Recommender(hg.Popular()).fit(frame)
    small.add_items({"item_id": [8, 9]})
    with TestClient(create_app(small, VERSION)) as client:
        assert len(ids(asked(client, user_id="nobody", k=3))) == 3


# ---------------------------------------------------------------- around the answers


def test_the_work_leaves_livez_alone(rec, monkeypatch):
    working, release = threading.Event(), threading.Event()
    told = app_module.answer

    def slow(rec, question, version):
        working.set()
        assert release.wait(30)
        return told(rec, question, version)

    monkeypatch.setattr(app_module, "answer", slow)
    with TestClient(create_app(rec, VERSION)) as client:
        found = []
        asking = threading.Thread(target=lambda: found.append(asked(client, user_id=101)))
        asking.start()
        assert working.wait(30)
        assert client.get("/livez").status_code == 200
        assert not found
        release.set()
        asking.join(30)
    assert len(found) == 1


def test_many_at_once_get_each_their_own(client, rec):
    expected = {user: rec.recommend([user], k=5)["item_id"].to_list() for user in range(100, 140)}
    found = {}

    def ask(user):
        found[user] = ids(asked(client, user_id=user, k=5))

    threads = [threading.Thread(target=ask, args=(user,)) for user in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == expected


def test_the_service_describes_itself(client):
    told = client.get("/openapi.json").json()
    operation = told["paths"][PATH]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"user_id", "session", "candidates", "k", "exclude_seen"}
    assert MEDIA_TYPE in operation["responses"]["422"]["content"]
    assert client.get("/docs").status_code == 404


def test_a_bundle_behind_a_real_address(rec, tmp_path, capsys):
    bundle = rec.save(tmp_path / "b")
    command = [sys.executable, "-W", "error", "-m", "honeyguide", "serve", bundle, "--port", "0"]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        (url,) = re.findall(r"on (http://127\.0\.0\.1:\d+) ", line)
        request = urllib.request.Request(url + PATH, json.dumps({"user_id": 101, "k": 3}).encode())
        with urllib.request.urlopen(request, timeout=30) as response:
            told = json.load(response)
        assert ids(told) == rec.recommend([101], k=3)["item_id"].to_list()
        assert describe(bundle).sha256.startswith(told["model_version"])
        port = url.rsplit(":", 1)[1]
        refused(typed(capsys, "serve", bundle, "--port", port), 1, port, "--port")
    finally:
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert out + err == ""  # no request is logged, no traceback at the end
    assert child.returncode == 130
