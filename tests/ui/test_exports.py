"""A command, a program and a request that write what the page wrote."""

import json
import shlex
import subprocess
import sys

import pytest

from tests import tiny
from tests.bundled import FEATURE
from tests.tiny import intervention
from tests.ui.pages import host, last, record, state, texts, turns


@pytest.fixture(scope="module")
def bundled():
    """A host with the bundled model."""
    from steering.session import Session

    return host(Session.demo())


def golden(page, **fields):
    """The page with the golden-gate preset on it."""
    from steering.presets import load_preset
    from ui.gallery import state_with

    return state_with(load_preset("golden-gate"), page.session, state(page)).model_copy(
        update=fields
    )


def asked_of(command):
    """What the command line reads in a command: its words by flag, and the rest."""
    program, verb, *words = shlex.split(command)
    assert (program, verb) == ("steer", "compare")
    return words


def read_features(command):
    from steering.cli.run import _read_feature

    words = asked_of(command)
    flags = [words[at + 1] for at, word in enumerate(words) if word == "-f"]
    return tuple(_read_feature(flag, None)[0] for flag in flags), flags


def run(command):
    """The record that a command prints."""
    from typer.testing import CliRunner

    from steering.cli import app

    done = CliRunner().invoke(app, ["compare", "--json", *asked_of(command)])
    assert done.exit_code == 0, done.output
    return {row["name"]: row["text"] for row in json.loads(done.stdout)["rows"]}


def test_the_command_writes_what_the_page_wrote(bundled):
    from ui.exports import as_command

    for asked in (golden(bundled), golden(bundled, chat=False, prompt="--the 'bridge'\n\"is\"")):
        assert run(as_command(asked, bundled.session)) == texts(last(bundled, asked))


def test_the_program_writes_what_the_page_wrote(bundled):
    from ui.exports import as_script

    extras = (
        {"kind": "strength", "factor": 0.5},
        {"kind": "random"},
        {"kind": "system", "text": "x"},
    )
    asked = golden(bundled).model_dump() | {"panes": extras}
    asked = type(golden(bundled)).model_validate(asked)
    done = subprocess.run(
        [sys.executable, "-c", as_script(asked, bundled.session)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    frame = last(bundled, asked)
    for row in record(frame).rows:
        live = row.liveness
        said = f"    hook fired {live.hook_calls} times, {live.tokens_steered} tokens steered"
        assert f"{row.name}: {row.text}\n{said}\n" in done.stdout


def edits():
    return (
        intervention(strength=10.0),
        intervention(strength=-2.5, sae="sae"),
        intervention(strength=1e-12, unit="norm", edit="add"),
        intervention(strength=1 / 3, unit="raw", edit="cap"),
        intervention(strength=0.0, edit="scale"),
        intervention(edit="ablate"),
        intervention(strength=2.0, max_act=3.0),
        intervention(strength=2.0, control={"kind": "random"}),
        intervention(strength=2.0, control={"kind": "feature", "feature": 4}),
        intervention(strength=2.0, schedule={"kind": "ramp"}, positions={"where": "prompt"}),
        intervention(strength=2.0, condition={"feature": 0}, sae="a=b c"),
        intervention(strength=2.0, sae="a=b c"),
        intervention(
            None,
            direction={"path": "it's/v.safetensors", "hook_name": "blocks.1.hook_resid_post"},
            edit="add",
            strength=1.0,
            unit="norm",
        ),
    )


def test_the_command_line_reads_back_every_feature(bundled):
    from ui.exports import as_command

    command = as_command(state(bundled, interventions=edits()), bundled.session)
    read, flags = read_features(command)
    assert read == edits()
    short = ["3=10.0", "sae/3=-2.5", "3:add=1e-12norm", f"3:cap={1 / 3!r}raw", "3:scale=0.0"]
    assert flags[:6] == [*short, "3:ablate"]
    assert all(flag.startswith("{") for flag in flags[6:])


def test_the_command_says_every_setting_that_is_not_the_default(bundled):
    from steering.interventions import Sampling
    from ui.exports import as_command

    how = Sampling(
        max_new_tokens=7,
        temperature=0.0,
        top_k=5,
        top_p=0.9,
        min_p=0.1,
        repetition_penalty=1.1,
        seed=3,
        stop=("-x", "\n"),
        stop_at_eos=False,
    )
    asked = state(bundled, FEATURE, sampling=how, prompt="Who are you?")
    assert run(as_command(asked, bundled.session)) == texts(last(bundled, asked))
    words = asked_of(as_command(asked, bundled.session))
    assert words.count("--stop") == 2
    plain = state(bundled, FEATURE, sampling=Sampling(), prompt="hi")
    assert asked_of(as_command(plain, bundled.session)) == ["-f", f"{FEATURE}=0.6norm", "hi"]


def test_a_command_without_a_feature_is_refused(bundled):
    from steering.errors import FeatureError
    from ui.exports import as_command

    for asked in (state(bundled), state(bundled, FEATURE, on=False)):
        with pytest.raises(FeatureError, match="No feature is switched on"):
            as_command(asked, bundled.session)


def test_a_chat_that_waits_is_exported_before_its_last_message(bundled):
    from ui.exports import as_command, as_curl

    past = turns(("we", {"baseline": "fog", "steered": "bay"}), ("you", {"baseline": "sea"}))
    asked = state(bundled, FEATURE, chat=True, turns=past, prompt="")
    words = asked_of(as_command(asked, bundled.session))
    said = [each["content"] for each in json.loads(words[words.index("--messages") + 1])]
    assert said == ["we", "bay", "you"]
    assert '"content": "bay"' in as_curl(asked, "http://x")


def test_a_model_and_saes_of_one_s_own_are_named(tmp_path):
    from steering.session import Session
    from ui.exports import as_command, as_script, is_bundled

    model = tiny.tiny_model_folder(tmp_path / "it's a model")
    folders = {name: tiny.tiny_sae_folder(tmp_path / name) for name in ("a", "b")}
    page = host(Session.load(model, folders, device="cpu"))
    assert not is_bundled(page.session)
    edit = intervention(strength=0.5, unit="norm", sae="b")
    asked = state(page, interventions=[edit], prompt="the bridge")
    assert run(as_command(asked, page.session)) == texts(last(page, asked))
    assert str(model) in as_script(asked, page.session).replace("\\'", "'")


def test_an_sae_that_nothing_can_load_again_is_refused():
    from steering.errors import SteeringError
    from ui.exports import as_command, as_script

    page = host()
    for export in (as_command, as_script):
        with pytest.raises(SteeringError, match="comes from no release and no folder"):
            export(state(page, 3), page.session)


def test_the_request_carries_what_the_endpoint_takes():
    from ui.api import compare
    from ui.exports import as_curl

    page = host()
    asked = state(page, interventions=[intervention(strength=0.5, unit="norm", edit="add")])
    request = as_curl(asked, "http://127.0.0.1:7860/")
    assert "http://127.0.0.1:7860/gradio_api/call/compare " in request
    words = shlex.split(request.split("\\\n")[0])
    prompt, interventions, sampling = json.loads(words[words.index("-d") + 1])["data"]
    *_, record = compare(page, prompt, interventions, sampling, None)
    assert {row["name"]: row["text"] for row in record["rows"]} == texts(last(page, asked))
