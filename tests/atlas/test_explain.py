"""Explanations by an endpoint, here a stand-in, and what their score means."""

import http.server
import json
import re
import socket
import threading
from itertools import pairwise

import pytest

from tests import tiny
from tests.atlas import made


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    return made.build(folder / "a.sqlite", made.text_file(folder), tiny.sae("topk"))


@pytest.fixture(autouse=True)
def dense_features_are_tested_too(monkeypatch):
    """Those of a tiny SAE fire in most texts of the tiny language."""
    monkeypatch.setattr("steering.atlas.explain._SILENT", 1.0)


class Oracle:
    """Explains by naming the marked tokens, and detects by the texts it is told to know."""

    model = "oracle"

    def __init__(self, fires):
        self.fires = fires
        self.asked = []

    def ask(self, system, user):
        self.asked.append((system, user))
        if "Say in at most" in system:
            return ' "texts about ' + " ".join(re.findall("«(.*?)»", user)[:3]) + '" '
        texts = re.findall(r"^\d+\. (.*)$", user, re.M)
        return f"Here: {json.dumps([int(self.fires(text)) for text in texts])}"


def firing_texts(atlas, feature):
    from steering.atlas.cards import examples, samples

    every = [*examples(atlas, feature), *samples(atlas, feature)]
    return {" ".join("".join(each.pieces).split()) for each in every}


def a_feature(atlas):
    (feature,) = atlas.one("SELECT feature FROM stats WHERE density < 0.2 ORDER BY fired DESC")
    return feature


@pytest.mark.parametrize(
    ("knows", "score"), [(lambda t, f: t in f, 1.0), (lambda t, f: t not in f, 0.0)]
)
def test_who_detects_every_firing_scores_1_and_who_errs_always_0(atlas, knows, score):
    from steering.atlas.explain import explain

    feature = a_feature(atlas)
    known = firing_texts(atlas, feature)
    oracle = Oracle(lambda text: knows(text, known))
    (told,) = explain(atlas, oracle, [feature])
    assert told.label is not None
    assert told.label.source == "explained by oracle"
    assert told.label.text.startswith("texts about ")
    assert told.label.score == score
    assert "«" in oracle.asked[0][1]
    assert "«" not in oracle.asked[1][1]
    assert told.label.text in oracle.asked[1][0]


def test_the_test_is_on_no_text_that_made_the_explanation(atlas):
    from steering.atlas.explain import explain

    features = [f for (f,) in atlas.rows("SELECT feature FROM stats WHERE fired > 20")]
    oracle = Oracle(lambda text: True)
    list(explain(atlas, oracle, features))
    tests = 0
    for (_, made_from), (asked, tested) in pairwise(oracle.asked):
        if "For each numbered text" not in asked:
            continue
        seen, again = (set(re.findall(r"^\d+\. (.*)$", t, re.M)) for t in (made_from, tested))
        both = {re.sub("[«»]", "", text) for text in seen} & again
        assert not [text for text in both if text.count(" ") > 2]  # a word alone is many texts
        tests += 1
    assert tests == len(features) > 1


def test_a_feature_that_fires_all_over_has_no_silent_texts_to_be_tested_on(atlas, monkeypatch):
    from steering.atlas import explain

    monkeypatch.setattr(explain, "_SILENT", 0.5)
    oracle = Oracle(lambda text: True)
    (told,) = explain.explain(atlas, oracle, [a_feature(atlas)])
    assert told.label is not None and told.label.text
    assert told.label.score is None
    assert len(oracle.asked) == 1


def test_constant_answers_score_as_chance_and_no_answer_scores_nothing(atlas):
    from steering.atlas.explain import explain

    (always,) = explain(atlas, Oracle(lambda text: True), [a_feature(atlas)])
    assert always.label is not None
    assert always.label.score == 0.5

    class Mute(Oracle):
        def ask(self, system, user):
            return "a thing" if "Say in at most" in system else "I cannot tell."

    (mute,) = explain(atlas, Mute(bool), [a_feature(atlas)])
    assert mute.label is not None
    assert mute.label.score is None


def test_features_that_are_explained_already_are_not_asked_again(atlas):
    from steering.atlas.explain import explain, source_of, waiting_features
    from steering.atlas.labels import add_labels

    oracle = Oracle(lambda text: True)
    features = waiting_features(atlas, source_of(oracle), 3)
    for told in explain(atlas, oracle, features):
        assert told.total == 3
        add_labels(atlas, [told.label] if told.label else [])
    assert list(explain(atlas, oracle, features)) == []
    following = waiting_features(atlas, source_of(oracle), 3)
    assert len(following) == 3 and not set(following) & set(features)


def test_features_that_detection_can_test_are_explained_first(atlas, monkeypatch):
    from steering.atlas import explain

    known = atlas.rows("SELECT feature, density FROM stats WHERE fired > 0")
    distinct = sorted({density for _, density in known})
    middle = sum(distinct[len(distinct) // 2 :][:2]) / 2
    monkeypatch.setattr(explain, "_SILENT", 1 - (1 - middle) ** explain.WIDTH)
    features = explain.waiting_features(atlas, "nobody", None)
    dense = {feature for feature, density in known if density > middle}
    assert dense and set(features[-len(dense) :]) == dense


@pytest.fixture
def endpoint():
    """A local stand-in for an OpenAI-compatible server; what it was asked, and how it answers."""
    seen: list = []
    told = {"choices": [{"message": {"content": "fog [1, 0]"}}]}
    answer = {"status": 200, "body": told, "busy": 0, "wait": "0"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            seen.append((self.path, self.headers, json.loads(self.rfile.read(length))))
            body = json.dumps(answer["body"]).encode()
            busy = len(seen) <= answer["busy"]
            self.send_response(429 if busy else answer["status"])
            if busy:
                self.send_header("Retry-After", answer["wait"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", seen, answer
        server.shutdown()
        thread.join()


def test_an_endpoint_is_asked_as_openai_is(endpoint):
    from steering.atlas.endpoint import Endpoint

    address, seen, _ = endpoint
    assert Endpoint(f"{address}/", "some-model", "secret").ask("be brief", "what?") == "fog [1, 0]"
    ((path, headers, body),) = seen
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert body["model"] == "some-model"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert Endpoint(address, "m").ask("a", "b")
    assert seen[1][1]["Authorization"] is None


def answered(content, reason="stop"):
    return {"choices": [{"message": {"content": content}, "finish_reason": reason}]}


def test_what_a_model_thinks_aloud_is_no_part_of_its_answer(endpoint):
    from steering.atlas.endpoint import Endpoint

    address, _, answer = endpoint
    answer["body"] = answered("<think>a sea?\nno</think>\nfog")
    assert Endpoint(address, "m").ask("a", "b") == "fog"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": "no key"}, r"refused \(401\).*no key"),
        (200, {"choices": []}, "does not answer as an OpenAI-compatible"),
        (200, [], "does not answer as an OpenAI-compatible"),
        (200, answered("", "length"), "used up 2,000 tokens before it answered"),
        (200, answered("<think>a sea?", "length"), "used up 2,000 tokens before it answered"),
    ],
)
def test_an_endpoint_that_fails_says_how(endpoint, status, body, words):
    from steering.atlas.endpoint import Endpoint
    from steering.errors import AtlasError

    address, _, answer = endpoint
    answer.update(status=status, body=body)
    with pytest.raises(AtlasError, match=words):
        Endpoint(address, "m").ask("a", "b")
    with pytest.raises(AtlasError, match="cannot be reached"):
        Endpoint("http://127.0.0.1:9/v1", "m").ask("a", "b")


def test_a_busy_endpoint_is_asked_again_when_it_says(endpoint, monkeypatch):
    from steering.atlas.endpoint import Endpoint
    from steering.errors import AtlasError

    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    address, seen, answer = endpoint
    answer.update(busy=2, wait="7")
    assert Endpoint(address, "m").ask("a", "b") == "fog [1, 0]"
    assert (len(seen), waited) == (3, [7.0, 7.0])
    answer.update(busy=99, wait="soon")
    with pytest.raises(AtlasError, match=r"refused \(429\)"):
        Endpoint(address, "m").ask("a", "b")
    assert waited[2:] == [1.0, 4.0, 16.0, 64.0]
    answer.update(wait="86400")
    with pytest.raises(AtlasError, match=r"refused \(429\)"):
        Endpoint(address, "m").ask("a", "b")
    assert len(waited) == 6


def test_an_answer_that_ends_early_is_no_traceback():
    from steering.atlas.endpoint import Endpoint
    from steering.errors import AtlasError

    with socket.create_server(("127.0.0.1", 0)) as server:

        def half():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")

        thread = threading.Thread(target=half)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(AtlasError, match="cannot be reached"):
            Endpoint(address, "m").ask("a", "b")
        thread.join()


def test_a_key_is_sent_to_no_other_machine_in_the_open():
    from steering.atlas.endpoint import Endpoint
    from steering.errors import AtlasError

    with pytest.raises(AtlasError, match=r"key.*https"):
        Endpoint("http://models.example.org/v1", "m", "secret").ask("a", "b")


def test_the_command_keeps_what_the_endpoint_tells(endpoint, atlas):
    from typer.testing import CliRunner

    from steering.atlas.labels import labels
    from steering.cli import app

    address, _, _ = endpoint
    flags = ["atlas", "label", "--atlas", str(atlas.path), "--endpoint", address]
    done = CliRunner().invoke(app, [*flags, "--explainer", "fogger", "--limit", "2"])
    assert done.exit_code == 0, done.output
    assert "explained by fogger: 2 labels kept" in done.stdout
    (first,) = atlas.one("SELECT feature FROM stats ORDER BY fired DESC, feature")
    assert "explained by fogger" in [each.source for each in labels(atlas, first)]
    wrong = CliRunner().invoke(app, flags)
    assert wrong.exit_code == 2
    assert "go together" in wrong.stderr


def test_balanced_accuracy_weighs_both_kinds_alike():
    from steering.atlas.explain import balanced_accuracy

    assert balanced_accuracy([1, 0, 0, 0], [1, 0, 0, 1]) == pytest.approx((1 + 2 / 3) / 2)
