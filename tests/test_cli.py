"""The command line: what flags mean, what comes out where, and how it ends."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests import tiny

ROOT = Path(__file__).parent.parent
EDIT = ("-f", "3=9raw")
SHORT = ("-n", "6", "--no-stop-at-eos")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A tiny session in place of the bundled model; its SAE lies in a folder."""
    from steering.models import LanguageModel
    from steering.sae import Sae
    from steering.session import Session

    folder = tiny.tiny_sae_folder(tmp_path_factory.mktemp("bundle") / "sae")
    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer(chat=True))
    return Session(model, {"sae": Sae.load(folder)})


@pytest.fixture
def steer(bundle, tmp_path, monkeypatch):
    """Runs a command against the tiny session; standard input is empty and no terminal."""
    from steering.cli import app
    from steering.session import Session

    monkeypatch.setattr(Session, "demo", classmethod(lambda cls: bundle))
    monkeypatch.setattr("steering.presets.use.BUNDLE", bundle.saes["sae"].folder.parent)
    monkeypatch.setattr("steering.presets.files.packaged_folder", lambda: tmp_path / "packaged")
    monkeypatch.setattr("steering.presets.files.user_folder", lambda: tmp_path / "own")

    def run(*arguments: str, given: str | None = None):
        done = CliRunner().invoke(app, arguments, input=given)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


def failed(done, *words: str) -> None:
    """The command ended with code 2 and one message that has these words."""
    assert done.exit_code == 2, done.output
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2017=10", {"feature": 2017, "edit": "clamp", "strength": 10.0}),
        ("2017", {"feature": 2017, "edit": "clamp", "strength": 10.0}),
        ("2017=-3", {"feature": 2017, "edit": "clamp", "strength": -3.0}),
        ("2017=12raw", {"feature": 2017, "edit": "clamp", "strength": 12.0, "unit": "raw"}),
        ("2017=5max", {"feature": 2017, "edit": "clamp", "strength": 5.0, "unit": "max_act"}),
        ("2017=5x", {"feature": 2017, "edit": "clamp", "strength": 5.0, "unit": "max_act"}),
        ("2017=1e-2 norm", {"feature": 2017, "edit": "clamp", "strength": 0.01, "unit": "norm"}),
        ("2017:add=0.5norm", {"feature": 2017, "edit": "add", "strength": 0.5, "unit": "norm"}),
        ("2017:scale=2", {"feature": 2017, "edit": "scale", "strength": 2.0}),
        ("2017:ablate", {"feature": 2017, "edit": "ablate"}),
        ("mid.1/7=.5", {"feature": 7, "edit": "clamp", "strength": 0.5, "alias": "mid.1"}),
        (
            "https://www.neuronpedia.org/gpt2-small/8-res-jb/2017",
            {"feature": 2017, "strength": 10.0, "neuronpedia_id": "gpt2-small/8-res-jb"},
        ),
        (
            "neuronpedia.org/gpt2-small/8-res-jb/2017/=3norm",
            {"strength": 3.0, "unit": "norm", "neuronpedia_id": "gpt2-small/8-res-jb"},
        ),
        (
            "https://neuronpedia.org/gemma-2-2b/20-gemmascope-res-16k/5?embed=true&x=1:add=4",
            {"feature": 5, "edit": "add", "strength": 4.0},
        ),
        ("https://neuronpedia.org/a/b/5?embed=1", {"feature": 5, "strength": 10.0}),
    ],
)
def test_a_feature_flag_is_parsed_once(text, expected):
    from steering.cli.parse import parse_feature

    found = vars(parse_feature(text))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["Cannot read the feature ''", "2017=10"]),
        ("bridge", ["Cannot read the feature 'bridge'"]),
        ("2017=", ["Cannot read the strength ''"]),
        ("2017=ten", ["Cannot read the strength 'ten'"]),
        ("2017=10volts", ["no unit 'volts'", "max_act", "norm", "raw"]),
        ("2017=nan", ["strength is nan", "finite"]),
        ("2017=-inf", ["strength is -inf"]),
        ("2017=1e999", ["strength is inf"]),
        ("2017:clmp=3", ["edit is 'clmp'", "'clamp'"]),
        ("2017:add", ["add needs a strength"]),
        ("2017:ablate=3", ["takes no strength"]),
        ("2017:scale=3norm", ["carries no unit"]),
        ("2017 then 3", ["Cannot read ' then 3'"]),
        ("-3=10", ["negative", "count from 0"]),
    ],
)
def test_a_feature_flag_that_cannot_be_read_says_what_can(steer, text, words):
    failed(steer("compare", "the bridge", "-f", text), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["nothing to steer", "-f 2017=10", "--preset"]),
        (("-f", "64=1"), ["Feature 64", "features 0 to 63"]),
        (("-f", "other/3=1"), ["'other'", "sae"]),
        (("--preset", "none"), ["no preset 'none'"]),
        (("--preset", "../../x"), ["no preset name"]),
        ((*EDIT, "-n", "0"), ["max_new_tokens is 0"]),
        ((*EDIT, "--temperature", "nan"), ["temperature is nan"]),
        ((*EDIT, "--top-p", "1.5"), ["top_p is 1.5", "less than or equal to 1"]),
        ((*EDIT, "--seed", "-1"), ["seed is -1"]),
        ((*EDIT, "--stop", ""), ["stop[0]", "at least 1 character"]),
        ((*EDIT, "--model", "here"), ["comes without an SAE", "--sae"]),
        ((*EDIT, "--sae", "./here"), ["folder './here'", "--model"]),
        ((*EDIT, "--sae", "here"), ["'here'", "RELEASE:SAE_ID"]),
        ((*EDIT, "--sae", "a:b", "--sae", "c:d"), ["2 SAEs", "ALIAS="]),
        ((*EDIT, "--sae", "x=a:b", "--sae", "x=c:d"), ["'x' is given to two"]),
        ((*EDIT, "--sae", "gpt2-smal-res-jb:x"), ["no SAE release", "gpt2-small-res-jb"]),
        (("-f", "neuronpedia.org/gpt2-small/8-res-jx/3"), ["8-res-jx", "gpt2-small/8-res-jb"]),
        (
            (
                "-f",
                "neuronpedia.org/gpt2-small/8-res-jb/3",
                "-f",
                "neuronpedia.org/gemma-2-2b/20-gemmascope-res-16k/3",
            ),
            ["several models", "gpt2", "google/gemma-2-2b"],
        ),
        ((*EDIT, "--model", "./none", "--sae", "./none"), ["'none'", "no such folder"]),
        ((*EDIT, "--device", "cuda"), ["bundled model runs on the CPU"]),
    ],
)
def test_what_cannot_be_done_is_one_message_and_exit_code_2(steer, arguments, words):
    failed(steer("compare", "the bridge", *arguments), *words)


def test_bad_utf8_in_a_prompt_is_refused(steer):
    failed(steer("compare", "a\udcff", *EDIT), "not valid UTF-8")


def test_the_two_texts_come_as_plain_sections_in_a_pipe(steer, bundle):
    done = steer("compare", "the bridge is", *EDIT, *SHORT)
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    first, text, second = done.stdout.split("\n\n")[:3]
    assert (first, second) == ("## baseline", "## steered: feature 3: clamp 9 × raw")
    assert "hook fired 6 times" in done.stdout
    assert "KL " in done.stdout
    from steering.interventions import Sampling

    sampling = Sampling(max_new_tokens=6, stop_at_eos=False)
    made = bundle.compare("the bridge is", [tiny.intervention(strength=9.0, unit="raw")], sampling)
    assert text.rstrip("\n") == made.baseline.text
    assert made.steered.text in done.stdout


def test_json_is_the_whole_record_and_nothing_else(steer, bundle):
    done = steer("compare", "the bridge is", *EDIT, *SHORT, "--json", "--samples", "2")
    record = json.loads(done.stdout)
    assert list(record) == ["model", "saes", "sampling", "timing", "rows", "warnings"]
    assert [(row["name"], row["seed"]) for row in record["rows"]] == [
        ("baseline", 0),
        ("steered", 0),
        ("baseline", 1),
        ("steered", 1),
    ]
    assert record["rows"][1]["interventions"][0]["raw"] == 9.0


def test_every_sampling_flag_reaches_the_record(steer):
    done = steer(
        *("compare", "the bridge", *EDIT, "--json", "-n", "3", "-t", "0.5", "--top-k", "9"),
        *("--top-p", "0.9", "--min-p", "0.01", "--repetition-penalty", "1.1", "--seed", "7"),
        *("--stop", "fog", "--stop", "sea", "--no-stop-at-eos"),
    )
    assert json.loads(done.stdout)["sampling"] == {
        "max_new_tokens": 3,
        "temperature": 0.5,
        "top_k": 9,
        "top_p": 0.9,
        "min_p": 0.01,
        "repetition_penalty": 1.1,
        "seed": 7,
        "stop": ["fog", "sea"],
        "stop_at_eos": False,
    }


def test_a_strength_that_overflows_is_refused_and_json_holds_no_infinity(steer):
    def strict(constant: str) -> None:
        raise AssertionError(constant)

    done = steer("compare", "the bridge", "-f", "3=1e38raw", *SHORT, "--json")
    assert done.exit_code == 2
    assert "smaller strength" in done.stderr
    json.loads(done.stdout, parse_constant=strict)


@pytest.mark.parametrize("flags", [(), ("-",)])
def test_the_prompt_can_come_from_a_pipe(steer, flags):
    done = steer("compare", *flags, *EDIT, *SHORT, "--json", given="the red bridge\n")
    assert json.loads(done.stdout)["rows"][0]["prompt"] == "the red bridge"


@pytest.mark.parametrize("given", ["", " \n"])
def test_an_empty_prompt_is_refused(steer, given):
    failed(steer("compare", *EDIT, given=given), "There is no prompt")


def test_chat_and_system_make_messages(steer):
    done = steer("compare", "who", *EDIT, *SHORT, "--json", "--chat", "--system", "you are")
    row = json.loads(done.stdout)["rows"][0]
    assert row["prompt"] == [
        {"role": "system", "content": "you are"},
        {"role": "user", "content": "who"},
    ]
    assert row["prompt_format"] == "chat_template"


def test_positions_and_paper_reach_the_edit(steer):
    done = steer(
        *("compare", "the bridge", *EDIT, *SHORT, "--json", "--positions", "prompt", "--paper")
    )
    row = json.loads(done.stdout)["rows"][1]
    assert row["interventions"][0]["positions"]["where"] == "prompt"
    assert row["liveness"]["steered_positions"] == [0, 1, 2]


DECAY = '{"feature": 3, "strength": 9, "unit": "raw", "schedule": {"kind": "decay", "tokens": 8}}'


def test_an_intervention_as_json_is_the_one_schema(steer):
    from steering.interventions import Intervention

    whole = json.dumps(
        {
            **json.loads(DECAY),
            "edit": "add",
            "positions": {"where": "generated"},
            "condition": {"feature": 5, "above": 0.5},
            "control": {"kind": "random", "seed": 2},
        }
    )
    done = steer("compare", "the bridge", "-f", whole, "-f", "5:add=2raw", *SHORT, "--json")
    first, second = json.loads(done.stdout)["rows"][1]["interventions"]
    asked = Intervention.model_validate_json(whole).model_dump(mode="json")
    assert {key: first[key] for key in asked} == {**asked, "sae": "sae"}
    assert (second["feature"], second["positions"]["where"]) == (5, "all")


@pytest.mark.parametrize(
    ("flags", "where"),
    [((), "generated"), (("--positions", "prompt"), "prompt"), (("--paper",), "all")],
)
def test_positions_of_json_are_replaced_only_where_a_flag_says_so(steer, flags, where):
    own = json.dumps({**json.loads(DECAY), "positions": {"where": "generated"}})
    done = steer("compare", "the bridge", "-f", f" {own} ", *SHORT, "--json", *flags)
    edit = json.loads(done.stdout)["rows"][1]["interventions"][0]
    assert edit["positions"]["where"] == where
    assert edit["positions"]["first"] is ("--paper" in flags)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["Cannot read the intervention '{'", "Invalid JSON"]),
        ('{"feature": 3}', ["clamp needs a strength"]),
        ('{"feature": 3, "strenght": 1}', ["'strenght'", "did you mean 'strength'?"]),
        ('{"feature": 3, "strength": NaN}', ["strength is nan"]),
        ('{"feature": 64, "strength": 1}', ["Feature 64", "features 0 to 63"]),
        ('{"feature": 3, "strength": 1, "schedule": {"kind": "slow"}}', ["schedule.kind", "slow"]),
    ],
)
def test_an_intervention_as_json_that_cannot_be_read_says_why(steer, text, words):
    done = steer("compare", "the bridge", "-f", text)
    failed(done, *words)
    assert len(done.stderr.strip().splitlines()) == 1


CHAT = [
    {"role": "system", "content": "fog"},
    {"role": "user", "content": "are you red"},
    {"role": "assistant", "content": "I see"},
    {"role": "user", "content": "we walk"},
]


def test_messages_are_a_chat_of_several_turns(steer, tmp_path):
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(CHAT))
    texts = []
    for given in (json.dumps(CHAT), f"@{file}"):
        done = steer("compare", "--messages", given, *EDIT, *SHORT, "--json", given="piped")
        row = json.loads(done.stdout)["rows"][1]
        assert (row["prompt"], row["prompt_format"]) == (CHAT, "chat_template")
        texts.append(row["text"])
    assert texts[0] == texts[1]


def test_messages_take_the_place_of_a_presets_prompt(steer):
    saved(steer)
    chat = json.dumps(CHAT)
    other = DECAY.replace("3", "5", 1)
    done = steer("compare", "-p", "bridge", "--messages", chat, "-f", other, *SHORT, "--json")
    row = json.loads(done.stdout)["rows"][1]
    assert row["prompt"] == CHAT
    assert [each["feature"] for each in row["interventions"]] == [3, 5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--messages", "[{"), ["not valid JSON", '"role": "user"']),
        (("--messages", '{"role": "user", "content": "hi"}'), ["are a dict, not a list"]),
        (("--messages", "[]"), ["no prompt"]),
        (("--messages", '["hi"]'), ["Cannot read the chat"]),
        (("--messages", '[{"role": "bot", "content": "hi"}]'), ["role is 'bot'", "'user'"]),
        (("--messages", '[{"role": "user", "content": ""}]'), ["no message"]),
        (("--messages", '[{"role": "user", "content": "\\ud800"}]'), ["not valid UTF-8"]),
        (("--messages", "@none.json"), ["'none.json'", "No such file"]),
        (("--messages", "[]", "the bridge"), ["--messages is the whole prompt"]),
        (("--messages", "[]", "-"), ["--messages is the whole prompt"]),
        (("--messages", "[]", "--chat"), ["--messages is the whole prompt"]),
        (("--messages", "[]", "--system", "fog"), ["--messages is the whole prompt"]),
    ],
)
def test_messages_that_cannot_be_read_say_why(steer, arguments, words):
    failed(steer("compare", *arguments, *EDIT), *words)


def test_an_edit_that_changed_nothing_is_an_alarm_beside_the_texts(steer):
    inert = ("compare", "the bridge", "-f", "3:add=1e-30raw", *SHORT)
    done = steer(*inert)
    failed(done, "changed nothing", "--allow-inert")
    assert "## steered" in done.stdout
    assert done.stderr.count("changed nothing") == 1
    assert len(json.loads(steer(*inert, "--json").stdout)["rows"]) == 2
    allowed = steer(*inert, "--allow-inert")
    assert allowed.exit_code == 0
    assert "Warning: Row 'steered'" in allowed.stderr


def test_an_error_in_the_middle_loses_no_text(steer, monkeypatch):
    from steering.errors import OutOfMemoryError
    from steering.generation import Decoder

    real = Decoder.step

    def failing(self, state):
        if state.rows[0].step == 3:
            raise OutOfMemoryError("Out of memory. Use fewer rows.")
        return real(self, state)

    monkeypatch.setattr(Decoder, "step", failing)
    done = steer("compare", "the bridge", *EDIT, *SHORT, "--json")
    failed(done, "Out of memory")
    assert [len(row["token_ids"]) for row in json.loads(done.stdout)["rows"]] == [3, 3]


def saved(steer, *flags: str):
    """Save a preset named `bridge`."""
    done = steer("preset", "save", "bridge", "-f", "3=2", "--prompt", "the bridge", *flags)
    assert done.exit_code == 0, done.output
    return Path(done.stdout.strip())


def test_a_preset_saved_from_flags_runs_with_its_own_numbers(steer, tmp_path):
    path = saved(steer, "--prompt", "a city", "--seed", "5", "-n", "4", "--no-stop-at-eos")
    assert path == tmp_path / "own" / "bridge.json"
    done = steer("compare", "--preset", "bridge", "--json")
    record = json.loads(done.stdout)
    assert record["rows"][0]["prompt"] == "the bridge"
    assert "1 more in the preset" in done.stderr
    assert (record["sampling"]["seed"], record["sampling"]["max_new_tokens"]) == (5, 4)
    kept = json.loads(path.read_text())["interventions"][0]
    ran = record["rows"][1]["interventions"][0]
    assert (ran["raw"], ran["max_act"]) == (kept["raw"], kept["max_act"])
    other = json.loads(
        steer("compare", "fog", "-p", "bridge", "-f", "5:add=9raw", "-n", "2", "--json").stdout
    )
    assert other["rows"][0]["prompt"] == "fog"
    assert [each["feature"] for each in other["rows"][1]["interventions"]] == [3, 5]
    assert (other["sampling"]["seed"], other["sampling"]["max_new_tokens"]) == (5, 2)


def test_a_preset_of_another_sae_runs_only_when_forced(steer, bundle, tmp_path):
    saved(steer)
    model = tiny.tiny_model_folder(tmp_path / "model")
    other = tiny.tiny_sae_folder(tmp_path / "other", seed=1)
    run = ("compare", "--preset", "bridge", *SHORT)
    failed(steer(*run, "--model", str(model)), "belongs to the bundled model")
    loaded = (*run, "--model", str(model), "--sae", str(other))
    failed(steer(*loaded), bundle.saes["sae"].fingerprint, "--force")
    forced = steer(*loaded, "--force")
    assert forced.exit_code == 0, forced.output
    assert "It was forced" in forced.stderr


def test_a_preset_of_folders_loads_them_again(steer, tmp_path):
    model = tiny.tiny_model_folder(tmp_path / "model")
    sae = tiny.tiny_sae_folder(tmp_path / "other", metadata={"model_name": "model"})
    saved(steer, "--model", str(model), "--sae", f"mine={sae}")
    done = steer("compare", "--preset", "bridge", *SHORT, "--json")
    record = json.loads(done.stdout)
    assert (record["model"]["name"], list(record["saes"])) == (str(model), ["mine"])
    assert "Warning" not in done.stderr


def test_a_model_and_sae_from_folders_are_steered(steer, tmp_path):
    model = tiny.tiny_model_folder(tmp_path / "model")
    one = tiny.tiny_sae_folder(tmp_path / "one")
    two = tiny.tiny_sae_folder(tmp_path / "two", seed=1, hook_name="blocks.0.hook_resid_post")
    done = steer(
        *("compare", "the bridge", "--model", str(model), "--sae", f"a={one}", "--sae", f"b={two}"),
        *("-f", "a/3=9raw", "-f", "b/4:add=9raw", *SHORT, "--json"),
    )
    record = json.loads(done.stdout)
    assert set(record["saes"]) == {"a", "b"}
    hooks = [each["hook_name"] for each in record["rows"][1]["interventions"]]
    assert hooks == ["blocks.1.hook_resid_post", "blocks.0.hook_resid_post"]


def test_presets_are_listed_shown_and_validated(steer, tmp_path):
    path = saved(steer, "--title", "A bridge", "--description", "It speaks.", "--sample")
    (path.parent / "broken.json").write_text("{")
    listing = steer("preset", "list").stdout
    assert "bridge\tA bridge" in listing
    assert "broken\tcannot be read" in listing
    about = {each["name"]: each for each in json.loads(steer("preset", "list", "--json").stdout)}
    assert about["bridge"]["edits"] == "feature 3: clamp 2 × max_act"
    assert "not valid JSON" in about["broken"]["problem"]
    shown = steer("preset", "show", "bridge").stdout
    assert [
        word for word in ("A bridge", "fingerprint", "raw", "steered:") if word not in shown
    ] == []
    assert json.loads(steer("preset", "show", "bridge", "--json").stdout)["name"] == "bridge"
    assert steer("preset", "validate", "bridge", str(path)).exit_code == 0
    failed(steer("preset", "validate", "broken", "bridge"), "broken.json")
    failed(steer("preset", "save", "bridge", "-f", "3=2"), "already")
    assert steer("preset", "save", "bridge", "-f", "3=2", "--overwrite").exit_code == 0


def test_doctor_reports_and_ends_with_1_where_something_is_off(steer):
    done = steer("doctor", "--json")
    (report,) = json.loads(done.stdout)
    assert done.exit_code == (0 if report["ok"] else 1)
    assert not report["ok"]
    text = steer("doctor")
    assert "variance unexplained" in text.stdout
    assert "Likely cause" in text.stderr


def test_a_pasted_address_is_looked_up_in_the_registry():
    from steering.cli.load import Place, choose_source

    source = choose_source(Place(), None, ["gpt2-small/8-res-jb"])
    assert source.model == "gpt2"
    assert source.saes == {"sae": ("gpt2-small-res-jb", "blocks.8.hook_resid_pre")}
    both = choose_source(Place("gpt2"), None, ["gpt2-small/8-res-jb", "gpt2-small/9-res-jb"])
    assert (both.model, set(both.saes)) == ("gpt2", {"8-res-jb", "9-res-jb"})


def test_what_a_model_writes_cannot_command_the_terminal():
    from steering.cli.terminal import visible

    assert visible("a\x1b[31mb\x07\x9b\u202e\n\tc\u200d") == "a␛[31mb␇\\x9b\\u202e\n\tc\u200d"


def test_columns_take_markup_as_text_and_grow_at_their_end(bundle):
    from rich.console import Console

    from steering.cli.terminal import columns, footer

    made = bundle.compare("the bridge", [tiny.intervention(strength=9.0, unit="raw")])
    rows = [replace(row, text=f"[red]{row.name}[/red] " * 40) for row in made.rows]
    long = replace(made, rows=tuple(rows))
    whole = io.StringIO()
    console = Console(file=whole, width=60, force_terminal=True, color_system=None)
    console.print(columns(long))
    console.print(footer(made))
    assert whole.getvalue().count("[red]") == 80
    assert "hook fired" in whole.getvalue()
    end = io.StringIO()
    Console(file=end, width=100).print(columns(long, lines=2, width=100))
    assert end.getvalue().count("\n") == 6


def python(*arguments: str, **options):
    """`python -m steering.cli` in a process of its own."""
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error::DeprecationWarning:steering",
            "-m",
            "steering.cli",
            *arguments,
        ],
        cwd=ROOT,
        **options,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model folder with room for a very long text, and an SAE folder."""
    model = tiny.tiny_model_folder(tmp_path_factory.mktemp("model"))
    config = json.loads((model / "config.json").read_text())
    config["max_position_embeddings"] = 100_000
    (model / "config.json").write_text(json.dumps(config))
    sae = tiny.tiny_sae_folder(tmp_path_factory.mktemp("sae"), metadata={"model_name": model.name})
    return ("--model", str(model), "--sae", str(sae), *EDIT, "--no-stop-at-eos")


def test_ctrl_c_prints_what_was_written_and_ends_with_130(folders):
    """In a terminal, where one can see that the stream has begun."""
    leader, follower = pty.openpty()
    done = python(
        *("compare", "the bridge", *folders, "-n", "90000"),
        stdout=follower,
        stderr=follower,
        # A shell that starts the tests behind an & has it ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(follower)
    seen, sent = b"", False
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            seen += os.read(leader, 4096)
        except OSError:
            break
        if not sent and seen.count("━┳━".encode()) >= 2:
            done.send_signal(signal.SIGINT)
            sent = True
    os.close(leader)
    text = seen.decode(errors="replace")
    try:
        assert done.wait(60) == 130
    finally:
        done.kill()
    assert "Interrupted: this is what was written so far." in text
    assert "hook fired" in text.rpartition("━┳━")[2]
    assert "Traceback" not in text


def test_a_closed_pipe_is_silent(folders):
    done = python(
        *("compare", "the bridge", *folders, "-n", "5"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert done.stdout is not None
    assert done.stderr is not None
    done.stdout.close()
    said = done.stderr.read().decode()
    done.stderr.close()
    done.wait(60)
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_help_loads_no_heavy_library_and_version_answers():
    """What makes help slow; how long it takes is a figure of the machine."""
    script = (
        "import sys\n"
        "from steering.cli import app\n"
        "try:\n"
        "    app(['--help'])\n"
        "finally:\n"
        "    heavy = {'torch', 'transformers', 'sae_lens', 'gradio', 'plotly', 'numpy'}\n"
        "    print('loaded', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "compare" in done.stdout
    assert done.stdout.endswith("loaded []\n")
    from steering.cli import app

    version = CliRunner().invoke(app, ["--version"])
    assert version.exit_code == 0
    assert version.stdout.strip()
