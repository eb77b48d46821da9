"""The running page for programs and for many people at once, over a tiny model."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from tests import tiny
from tests.ui.serving import hooks_on, served, until

EDIT = {"feature": 3, "strength": 4.0, "unit": "raw"}
SAMPLING = {"max_new_tokens": 12, "seed": 1}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    with served(lambda: tiny.session(chat=True), tmp_path_factory.mktemp("presets")) as page:
        assert page[1].wait(60)
        yield page


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token takes a while."""
    from steering.generation import Decoder

    step = Decoder.step

    def slow(self: Any, state: Any) -> Any:
        time.sleep(0.05)
        return step(self, state)

    monkeypatch.setattr(Decoder, "step", slow)


def client(address: str) -> Client:
    return Client(address, verbose=False)


def texts(record: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["text"] for row in record["rows"]}


def written_by(session: Any, prompt: str, seed: int = 1) -> dict[str, str]:
    from steering.interventions import Intervention, Sampling

    sampling = Sampling.model_validate({**SAMPLING, "seed": seed})
    made = session.compare(prompt, [Intervention.model_validate(EDIT)], sampling)
    return {row.name: row.text for row in made.rows}


def test_programs_find_three_endpoints_and_no_plumbing(running: tuple[str, Any]) -> None:
    named: Any = client(running[0]).view_api(return_format="dict", print_info=False)
    assert set(named["named_endpoints"]) == {"/compare", "/inspect", "/presets"}


def test_compare_streams_and_ends_with_the_record(running: tuple[str, Any]) -> None:
    address, host = running
    job = client(address).submit("the bridge", [EDIT], SAMPLING, api_name="/compare")
    *_, last = list[Any](job)
    assert texts(last) == written_by(host.session, "the bridge")
    assert last["rows"][1]["liveness"]["tokens_steered"] > 0


def test_inspect_and_presets_answer(running: tuple[str, Any]) -> None:
    asked = client(running[0])
    reading = asked.predict("the bridge of fog", [3, ["sae", 5]], api_name="/inspect")
    assert [trace["feature"] for trace in reading["traces"]] == [3, 5]
    assert len(reading["traces"][0]["acts"]) == len(reading["token_ids"])
    presets = asked.predict(api_name="/presets")
    assert "golden-gate" in [preset["name"] for preset in presets]


@pytest.mark.parametrize(
    ("edit", "prompt", "said"),
    [
        ({"feature": 999, "strength": 1.0}, "the bridge", "features 0 to 63"),
        ({"feature": 3, "strength": "lots"}, "the bridge", "strength"),
        (EDIT, "  ", "prompt is empty"),
        (EDIT, "the bridge " * 99, "Shorten it by at least"),
    ],
)
def test_what_cannot_be_done_is_an_error_in_words(
    running: tuple[str, Any], edit: dict[str, Any], prompt: str, said: str
) -> None:
    with pytest.raises(Exception, match=said):
        client(running[0]).predict(prompt, [edit], SAMPLING, api_name="/compare")


def test_eight_people_at_once_each_get_their_own_text(running: tuple[str, Any]) -> None:
    address, host = running
    prompts = [f"the {word} is" for word in tiny.WORDS[2:10]]
    jobs = [
        client(address).submit(prompt, [EDIT], {**SAMPLING, "seed": seed}, api_name="/compare")
        for seed, prompt in enumerate(prompts)
    ]
    got = [texts(job.result(timeout=60)) for job in jobs]
    assert got == [written_by(host.session, prompt, seed) for seed, prompt in enumerate(prompts)]
    assert len({json.dumps(each) for each in got}) > 4
    assert hooks_on(host.session) == 0


@pytest.mark.usefixtures("slowly")
def test_who_goes_away_ends_the_decode_and_leaves_the_model_clean(
    running: tuple[str, Any],
) -> None:
    address, host = running
    before = written_by(host.session, "the bridge")
    long = {**SAMPLING, "max_new_tokens": 50, "stop_at_eos": False}
    job = client(address).submit("the bridge", [EDIT], long, api_name="/compare")
    until(lambda: bool(job.outputs()))
    job.cancel()
    until(lambda: host.line.length == 0, seconds=2)
    assert hooks_on(host.session) == 0
    assert written_by(host.session, "the bridge") == before


@pytest.mark.usefixtures("slowly")
def test_a_lost_connection_ends_the_decode(running: tuple[str, Any]) -> None:
    address, host = running
    long = {**SAMPLING, "max_new_tokens": 50, "stop_at_eos": False}
    body = json.dumps({"data": ["the bridge", [EDIT], long]}).encode()
    headers = {"Content-Type": "application/json"}
    call = f"{address}gradio_api/call/compare"
    with urllib.request.urlopen(urllib.request.Request(call, body, headers)) as answer:
        event = json.loads(answer.read())["event_id"]
    name, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((name, int(port))) as line:
        line.sendall(f"GET /gradio_api/call/compare/{event} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until(lambda: host.line.length == 1)
        assert b"generating" in line.recv(65536) + line.recv(65536)
    until(lambda: host.line.length == 0, seconds=2)
    assert hooks_on(host.session) == 0


def test_the_address_answers_while_the_model_loads_and_when_it_cannot(tmp_path: Path) -> None:
    from steering.errors import LoadError

    go_on = threading.Event()

    def load() -> Any:
        go_on.wait(30)
        raise LoadError("There is no such model here.")

    with served(load, tmp_path) as (address, host):
        assert host.status.phase == "loading"
        with urllib.request.urlopen(address) as answer:
            assert b"gradio" in answer.read()
        with pytest.raises(Exception, match="still loading"):
            client(address).predict("the", [EDIT], SAMPLING, api_name="/compare")
        go_on.set()
        assert host.wait(10)
        assert "no such model" in host.status.note
        with pytest.raises(Exception, match="no such model"):
            client(address).predict("the", [EDIT], SAMPLING, api_name="/compare")


def test_a_password_guards_everything_and_a_shared_page_writes_nothing(tmp_path: Path) -> None:
    from ui import shelf

    with served(tiny.session, tmp_path, auth=("name", "word")) as (address, host):
        assert host.trusted
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{address}config")
    with served(tiny.session, tmp_path, host_name="0.0.0.0") as (_, host):
        assert not host.trusted
        with pytest.raises(Exception, match="shared address"):
            shelf.remove("anything", host)


def test_the_server_asks_no_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def note_name(host: Any, *rest: Any, **named: Any) -> Any:
        asked.append(str(host))
        return look_up(host, *rest, **named)

    def note_address(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple):
            asked.append(str(address[0]))
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", note_name)
    monkeypatch.setattr(socket.socket, "connect", note_address)
    with served(tiny.session, tmp_path) as (address, host):
        assert host.wait(60)
        client(address).predict("the bridge", [EDIT], SAMPLING, api_name="/compare")
    assert asked
    assert set(asked) <= {"127.0.0.1", "localhost", "None", "::1"}


def test_files_outside_are_out_of_reach(running: tuple[str, Any]) -> None:
    address, _ = running
    for path in ("/etc/passwd", "../../etc/passwd", str(Path(__file__).parent.parent / "tiny.py")):
        with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
            urllib.request.urlopen(f"{address}gradio_api/file={path}")


def test_the_exported_curl_writes_the_record(running: tuple[str, Any]) -> None:
    if shutil.which("curl") is None and not os.environ.get("CI"):
        pytest.skip("There is no curl here.")
    from ui.exports import as_curl
    from ui.rack import read_intervention
    from ui.state import PageState
    from ui.tabs.steer import made_on

    address, host = running
    from steering.interventions import Sampling

    state = PageState(
        **made_on(host),
        interventions=(read_intervention(EDIT),),
        prompt='the bridge\'s "fog"',
        sampling=Sampling.model_validate(SAMPLING),
    )
    command = as_curl(state, address)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    *_, data = [line for line in done.stdout.splitlines() if line.startswith("data: ")]
    (record,) = json.loads(data.removeprefix("data: "))
    assert texts(record) == written_by(host.session, state.prompt)
