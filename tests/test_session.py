"""The public surface: compare, generate, stream, convert, and every refusal."""

import json

import pytest
import torch

from tests import tiny
from tests.tiny import intervention

PROMPT = "the bridge is red"


def sampling(**fields):
    from steering.interventions import Sampling

    return Sampling(**{"max_new_tokens": 6, "stop_at_eos": False, **fields})


STRONG = {"strength": 9.0, "unit": "raw"}


def test_compare_gives_the_baseline_and_the_steered_text():
    session = tiny.session()
    comparison = session.compare(PROMPT, [intervention(**STRONG)], sampling())
    assert [row.name for row in comparison.rows] == ["baseline", "steered"]
    assert comparison.baseline.text != comparison.steered.text
    assert comparison.baseline.liveness.tokens_steered == 0
    live = comparison.steered.liveness
    assert (live.hook_calls, live.first_difference) == (6, 0)
    assert live.kl is not None
    assert live.kl > 0
    assert live.max_delta_ratio > 0
    written = enumerate(comparison.steered.token_ids[:-1])
    ordinary = [5 + i for i, token in written if token not in session.model.special_ids]
    assert live.steered_positions == (1, 2, 3, 4, *ordinary)
    assert live.tokens_steered == len(live.steered_positions)


def test_the_record_is_plain_json_with_everything_in_it():
    session = tiny.session()
    made = session.compare(PROMPT, [intervention(strength=0.5, unit="norm")], sampling())
    record = json.loads(json.dumps(made.to_dict()))
    assert list(record) == ["model", "saes", "sampling", "timing", "rows", "warnings"]
    assert record["saes"]["sae"]["fingerprint"] == session.saes["sae"].fingerprint
    row = record["rows"][1]
    assert {"name", "prompt", "seed", "text", "token_ids", "logprobs", "liveness"} <= set(row)
    (edit,) = row["interventions"]
    assert (edit["unit"], edit["strength"], edit["feature"]) == ("norm", 0.5, 3)
    assert edit["raw"] == pytest.approx(0.5 * edit["median_norm"])
    assert len(row["logprobs"]) == len(row["token_ids"]) == 6


def test_generate_gives_the_same_steered_row_without_a_baseline():
    session = tiny.session()
    row = session.generate(PROMPT, [intervention(**STRONG)], sampling())
    beside = session.compare(PROMPT, [intervention(**STRONG)], sampling()).steered
    assert (row.text, row.token_ids) == (beside.text, beside.token_ids)
    assert row.liveness.kl is None


def test_variants_prompts_and_samples_are_rows_of_one_decode():
    session = tiny.session()
    variants = {"low": [intervention(strength=3.0, unit="raw")], "high": [intervention(**STRONG)]}
    made = session.compare([PROMPT, "the sea"], variants, sampling(), samples=2)
    assert [row.name for row in made.rows] == ["baseline", "low", "high"] * 4
    assert [row.seed for row in made.rows] == [0, 0, 0, 1, 1, 1] * 2
    assert made.rows[0].text != made.rows[3].text
    calls = {row.liveness.hook_calls for row in made.rows}
    assert calls == {6}, "one decode carried them all"


def test_stream_advances_every_row_together_and_spells_the_same_texts():
    session = tiny.session()
    variants = {"2x": [intervention(strength=2.0, unit="raw")], "10x": [intervention(**STRONG)]}
    texts = {0: "", 1: "", 2: ""}
    stream = session.stream(PROMPT, variants, sampling())
    for index, step in enumerate(stream):
        assert step.index == index
        assert [token.row for token in step.tokens] == [0, 1, 2]
        for token in step.tokens:
            texts[token.row] += token.text
    assert [row.text for row in stream.comparison.rows] == list(texts.values())


def test_a_closed_stream_leaves_no_hook_and_keeps_what_was_written():
    session = tiny.session()
    clean = session.compare(PROMPT, [], sampling())
    stream = session.stream(PROMPT, [intervention(**STRONG)], sampling())
    next(stream)
    next(stream)
    hooks = [m for m in session.model.hf.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooks == [], "no hook lives across a yield"
    stream.close()
    assert list(stream) == []
    assert [row.finish for row in stream.comparison.rows] == ["interrupted"] * 2
    assert [len(row.token_ids) for row in stream.comparison.rows] == [2, 2]
    after = session.compare(PROMPT, [], sampling())
    assert after.baseline.logprobs == clean.baseline.logprobs


def test_two_streams_on_one_session_take_turns_without_cross_talk():
    session = tiny.session()
    alone = session.compare(PROMPT, [intervention(**STRONG)], sampling())
    one = session.stream(PROMPT, [intervention(**STRONG)], sampling())
    other = session.stream("the sea", [intervention(9, edit="ablate")], sampling())
    for _ in zip(one, other, strict=False):
        pass
    assert [r.token_ids for r in one.comparison.rows] == [r.token_ids for r in alone.rows]


@pytest.mark.parametrize(
    "neutral",
    [
        [],
        [{"edit": "add", "strength": 0.0, "unit": "raw"}],
        [{"edit": "scale", "strength": 1.0}],
        [{"strength": 9.0, "unit": "raw", "enabled": False}],
    ],
    ids=str,
)
def test_a_neutral_row_is_decoded_on_its_own_and_equals_row_zero(neutral):
    session = tiny.session()
    made = session.compare(PROMPT, [intervention(**fields) for fields in neutral], sampling())
    assert made.steered is not made.baseline
    assert made.steered.token_ids == made.baseline.token_ids
    assert made.steered.logprobs == pytest.approx(made.baseline.logprobs, abs=1e-4)
    assert made.warnings == ()


def test_units_convert_into_each_other():
    session = tiny.session()
    raw = session.convert(2.0, "norm", "raw", feature=3)
    assert raw == pytest.approx(2 * session.calibration(session.saes["sae"]).median_norm(None))
    back = session.convert(raw, "raw", "max_act", feature=3)
    assert session.convert(back, "max_act", "norm", feature=3) == pytest.approx(2.0)


@pytest.mark.parametrize("to", ["max_act", "norm", "raw"])
@pytest.mark.parametrize("unit", ["max_act", "norm", "raw"])
def test_an_intervention_in_another_unit_comes_to_the_same_raw_coefficient(unit, to):
    from steering.interventions import Positions

    session = tiny.session()
    own = {"max_act": 4.0, "edit": "add", "positions": Positions.paper(), "enabled": False}
    for each in (
        intervention(strength=-2.5, unit=unit),
        intervention(strength=0.1, unit=unit, **own),
    ):
        made = session.in_unit(each, to)
        assert made.unit == to
        assert session.resolve(made).raw == pytest.approx(session.resolve(each).raw, rel=1e-14)
        assert made.model_copy(update={"unit": unit, "strength": each.strength}) == each
    assert session.in_unit(each, unit) == each


def test_a_plain_direction_goes_into_the_units_that_it_has(tmp_path):
    from safetensors.torch import save_file

    from steering.errors import StrengthError
    from steering.interventions import Direction

    save_file({"v": torch.ones(tiny.D_MODEL)}, tmp_path / "v.safetensors")
    place = Direction(path=str(tmp_path / "v.safetensors"), hook_name="blocks.1.hook_resid_post")
    plain = intervention(None, direction=place, edit="add", strength=0.5, unit="norm")
    session = tiny.session()
    raw = session.in_unit(plain, "raw")
    assert raw.strength is not None
    assert raw.strength == session.resolve(plain).raw
    assert session.in_unit(raw, "norm").strength == pytest.approx(0.5)
    with pytest.raises(StrengthError, match="no maximum"):
        session.in_unit(plain, "max_act")
    of_two = plain.model_copy(update={"max_act": 2.0})
    assert session.in_unit(of_two, "max_act").strength == pytest.approx(raw.strength / 2)


@pytest.mark.parametrize(
    ("fields", "unit", "match"),
    [
        ({"edit": "scale", "strength": 2.0}, "raw", "carries no unit"),
        ({"edit": "ablate"}, "norm", "carries no unit"),
        ({"feature": 63, "strength": 1.0, "unit": "raw"}, "max_act", "never fired"),
        ({"strength": 1e308, "unit": "norm"}, "raw", "Use a smaller strength"),
    ],
)
def test_an_intervention_that_no_other_unit_can_hold_is_refused(fields, unit, match, monkeypatch):
    from steering.calibration import Calibration
    from steering.errors import StrengthError

    def never(self, sae, feature):
        raise StrengthError("It never fired.")

    monkeypatch.setattr(Calibration, "estimate_max_act", never)
    with pytest.raises(StrengthError, match=match):
        tiny.session().in_unit(intervention(**fields), unit)


def test_a_neuronpedia_address_finds_its_sae_among_the_loaded_ones():
    from steering.errors import AliasError
    from steering.session import Session

    alone = tiny.session()
    known = tiny.sae(metadata={"neuronpedia_id": "gpt2-small/8-res-jb"})
    two = Session(alone.model, {"x": tiny.sae(), "y": known})
    assert two.alias_of("gpt2-small/8-res-jb") == "y"
    with pytest.raises(AliasError, match="9-res-jb"):
        two.alias_of("gpt2-small/9-res-jb")
    # One that does not know its address is taken where its model fits.
    assert alone.alias_of("tiny/9-res-jb") == "sae"
    with pytest.raises(AliasError, match="gpt2-small/9-res-jb"):
        alone.alias_of("gpt2-small/9-res-jb")
    with pytest.raises(AliasError, match="loaded are none"):
        Session(alone.model, {}).alias_of("gpt2-small/9-res-jb")


def test_max_act_comes_from_the_intervention_then_the_file_then_an_estimate(tmp_path):
    from steering.models import LanguageModel
    from steering.sae import Sae
    from steering.session import Session

    folder = tiny.tiny_sae_folder(tmp_path / "sae")
    text = '{"schema_version": 1, "features": {"3": {"max_act": 2.5}}}'
    (folder / "features.json").write_text(text)
    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    session = Session(model, {"sae": Sae.load(folder)})
    given = session.resolve(intervention(strength=2.0, max_act=4.0))
    assert (given.raw, given.max_act_source) == (8.0, "given with the intervention")
    filed = session.resolve(intervention(strength=2.0))
    assert (filed.raw, filed.max_act_source) == (5.0, "features file")
    estimated = session.resolve(intervention(5, strength=2.0))
    assert "estimate: fired on " in str(estimated.max_act_source)
    acts = session.calibration(session.saes["sae"])
    encoded = session.saes["sae"].encode(acts.stream)[:, 5]
    assert estimated.raw == pytest.approx(2 * float(encoded.max()), rel=1e-4)


def test_a_feature_that_hardly_fires_has_no_estimate_and_norm_is_offered():
    from steering.errors import StrengthError

    session = tiny.session()
    with torch.no_grad():
        session.saes["sae"].inner.get_parameter("threshold")[3] = 1e9
    with pytest.raises(StrengthError, match=r"fired on 0 of .* unit 'norm'"):
        session.resolve(intervention(strength=2.0))
    assert (session.resolve(intervention(strength=2.0, unit="norm")).raw or 0) > 0


def test_a_calibration_text_beside_the_sae_is_used_instead_of_the_packaged_one(tmp_path):
    from steering.models import LanguageModel
    from steering.sae import Sae
    from steering.session import Session

    folder = tiny.tiny_sae_folder(tmp_path / "sae")
    (folder / "calibration.txt").write_text("the bridge is red\n---\nwe see the sea")
    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    session = Session(model, {"sae": Sae.load(folder)})
    assert session.calibration(session.saes["sae"]).tokens == 8


def test_several_saes_are_addressed_by_alias():
    from steering.errors import AliasError
    from steering.models import LanguageModel
    from steering.session import Session

    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    saes = {"a": tiny.sae(), "b": tiny.sae("topk", hook_name="blocks.0.hook_resid_post")}
    session = Session(model, saes)
    edits = [intervention(sae=alias, **STRONG) for alias in saes]
    made = session.compare(PROMPT, edits, sampling())
    assert [item.sae for item in made.steered.interventions] == ["a", "b"]
    assert made.steered.liveness.hook_calls == 12
    with pytest.raises(AliasError, match=r"Several SAEs are loaded \(a, b\)"):
        session.compare(PROMPT, [intervention(**STRONG)], sampling())
    with pytest.raises(AliasError, match="'c'; loaded are a, b"):
        session.compare(PROMPT, [intervention(sae="c", **STRONG)], sampling())


def test_an_edit_that_cannot_reach_a_token_raises_and_keeps_the_texts():
    from steering.errors import InertSteeringError
    from steering.interventions import Positions

    session = tiny.session()
    late = intervention(**STRONG, positions=Positions(start=60))
    with pytest.raises(InertSteeringError, match="no token of this row lies in its") as caught:
        session.compare(PROMPT, [late], sampling())
    assert len(caught.value.comparison.steered.token_ids) == 6
    allowed = session.compare(PROMPT, [late], sampling(), allow_inert=True)
    assert "no token of this row" in allowed.warnings[0]


def test_one_inert_edit_among_live_ones_is_found():
    from steering.errors import InertSteeringError
    from steering.interventions import Positions

    session = tiny.session()
    edits = [intervention(9, **STRONG), intervention(**STRONG, positions=Positions(start=60))]
    with pytest.raises(InertSteeringError, match="feature 3: clamp 9"):
        session.compare(PROMPT, edits, sampling())


def test_a_delta_that_vanishes_in_the_cast_raises():
    from steering.errors import InertSteeringError

    session = tiny.session()
    torch.nn.Module.to(session.model.hf, torch.bfloat16)
    weak = intervention(edit="add", strength=1e-6, unit="raw")
    with pytest.raises(InertSteeringError, match="vanished in the cast"):
        session.generate(PROMPT, [weak], sampling())


def test_an_edit_that_moves_no_logit_raises():
    from steering.errors import InertSteeringError

    session = tiny.session()
    weak = intervention(edit="add", strength=1e-5, unit="raw")
    with pytest.raises(InertSteeringError, match="no log-probability moved"):
        session.compare(PROMPT, [weak], sampling())


def test_a_hook_that_never_fires_raises():
    from steering.errors import InertSteeringError
    from steering.models import Site

    session = tiny.session()
    bystander = torch.nn.Linear(2, 2)
    session.model.site = lambda point: Site(bystander, "out")
    with pytest.raises(InertSteeringError, match="never fired"):
        session.generate(PROMPT, [intervention(**STRONG)], sampling())


def test_a_clamp_to_the_value_that_is_there_already_is_not_inert():
    session = tiny.session()
    with torch.no_grad():
        session.saes["sae"].inner.get_parameter("threshold")[3] = 1e9
    off = intervention(strength=0.0, unit="raw")
    row = session.compare(PROMPT, [off], sampling()).steered
    assert "found nothing to change" in row.liveness.notes[0]


@pytest.mark.parametrize("edit", ["ablate", "scale"])
def test_an_edit_that_found_its_feature_nowhere_says_so_in_the_record(edit):
    session = tiny.session()
    with torch.no_grad():
        session.saes["sae"].inner.get_parameter("threshold")[3] = 1e9
    fields = {"strength": 3.0} if edit == "scale" else {}
    row = session.compare(PROMPT, [intervention(edit=edit, **fields)], sampling()).steered
    assert "found nothing to change at 9 tokens" in row.liveness.notes[0]


def test_a_condition_that_never_held_says_so_in_the_record():
    from steering.interventions import Condition

    session = tiny.session()
    edit = intervention(**STRONG, condition=Condition(feature=5, above=1e9))
    row = session.compare(PROMPT, [edit], sampling()).steered
    assert "condition was true at no token" in row.liveness.notes[0]


@pytest.mark.parametrize("prompt", ["", "  \n ", [], [{"role": "user", "content": " "}]], ids=str)
def test_an_empty_prompt_is_refused(prompt):
    from steering.errors import PromptError

    with pytest.raises(PromptError, match=r"empty|no prompt|no message"):
        tiny.session().compare(prompt, [], sampling())


def test_a_prompt_longer_than_the_context_says_by_how_much():
    from steering.errors import PromptError

    with pytest.raises(PromptError, match=r"81 tokens.*64.*by at least 18"):
        tiny.session().compare("the " * 80, [], sampling())


def test_a_variant_cannot_take_the_baselines_name():
    from steering.errors import AliasError

    with pytest.raises(AliasError, match="'baseline'"):
        tiny.session().compare(PROMPT, {"baseline": []}, sampling())


def test_an_sae_of_another_width_is_refused():
    from steering.errors import UnsupportedSaeError

    with pytest.raises(UnsupportedSaeError, match=r"width of 16.* has 32"):
        tiny.session(d_in=16)


@pytest.mark.parametrize("hook_name", ["blocks.3.hook_resid_post", "blocks.9.attn.hook_z"])
def test_a_hook_that_the_model_lacks_is_refused(hook_name):
    from steering.errors import HookNameError

    with pytest.raises(HookNameError, match="layers 0 to 2"):
        tiny.session(hook_name=hook_name)


def test_an_sae_of_another_model_is_used_with_a_warning_and_a_figure():
    session = tiny.session(metadata={"model_name": "gemma-2-2b"})
    assert "trained on 'gemma-2-2b'" in session.warnings[0]
    assert "% of variance unexplained" in session.warnings[0]
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling())
    assert made.warnings == session.warnings


@pytest.mark.parametrize(
    ("sae_says", "model"),
    [
        ("gpt2-small", "gpt2"),
        ("gpt2-small", "openai-community/gpt2"),
        ("google/gemma-2-2b", "gemma-2-2b"),
    ],
)
def test_names_of_one_model_are_told_to_be_one(sae_says, model):
    from steering.pairing import same_model

    assert same_model(sae_says, model)
    assert not same_model(sae_says, "pythia-70m")


def test_folders_load_end_to_end_and_a_loaded_model_is_not_mutated(tmp_path):
    from steering.session import Session

    model = tiny.tiny_model_folder(tmp_path / "model")
    sae = tiny.tiny_sae_folder(tmp_path / "sae", metadata={"model_name": "model"})
    session = Session.load(str(model), sae=str(sae), device="cpu")
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling())
    own = tiny.hf_model()
    kinds = [type(module) for module in own.modules()]
    loaded = Session.load(own, sae={"x": sae}, tokenizer=tiny.tokenizer())
    again = loaded.compare(PROMPT, [intervention(**STRONG)], sampling())
    assert again.steered.token_ids == made.steered.token_ids
    assert [type(module) for module in own.modules()] == kinds
    assert own.config._attn_implementation == "sdpa"


def test_a_dispatched_model_steers_as_any_other(tmp_path):
    from steering.session import Session

    model = tiny.tiny_model_folder(tmp_path / "model")
    sae = tiny.tiny_sae_folder(tmp_path / "sae", metadata={"model_name": "model"})
    plain = Session.load(model, sae=sae, device="cpu")
    spread = Session.load(model, sae=sae, device_map={"": "cpu"})
    made = [each.compare(PROMPT, [intervention(**STRONG)], sampling()) for each in (plain, spread)]
    assert made[0].steered.token_ids == made[1].steered.token_ids


def test_out_of_memory_says_what_to_shrink(monkeypatch):
    from steering.errors import OutOfMemoryError

    session = tiny.session()

    def full(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GB")

    monkeypatch.setattr(session.model.hf, "forward", full)
    with pytest.raises(OutOfMemoryError, match="fewer rows"):
        session.compare(PROMPT, [intervention(**STRONG)], sampling())


def test_out_of_memory_while_loading_is_not_blamed_on_the_files(tmp_path, monkeypatch):
    from steering.errors import OutOfMemoryError
    from steering.session import Session

    model = tiny.tiny_model_folder(tmp_path / "model")
    sae = tiny.tiny_sae_folder(tmp_path / "sae")

    def full(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("steering.models.AutoModelForCausalLM.from_pretrained", full)
    with pytest.raises(OutOfMemoryError, match="smaller model"):
        Session.load(model, sae=sae)


def test_an_edit_that_vanishes_beside_a_strong_one_is_found():
    from steering.errors import InertSteeringError

    session = tiny.session()
    edits = [intervention(9, **STRONG), intervention(edit="add", strength=1e-30, unit="raw")]
    with pytest.raises(InertSteeringError, match=r"feature 3: add 1e-30.*vanished in the cast"):
        session.compare(PROMPT, edits, sampling())


def test_a_clamp_that_its_schedule_keeps_at_zero_is_found():
    from steering.errors import InertSteeringError
    from steering.interventions import Positions, Schedule

    session = tiny.session()
    late = Positions(where="generated", start=8)
    edit = intervention(**STRONG, positions=late, schedule=Schedule(kind="stop_after", tokens=2))
    with pytest.raises(InertSteeringError, match="no token of this row"):
        session.compare(PROMPT, [edit], sampling())


def test_a_stream_closed_by_another_thread_in_mid_step_stays_closed():
    session = tiny.session()
    stream = session.stream(PROMPT, [intervention(**STRONG)], sampling())
    step = stream._decoder.step

    def closed_meanwhile(state):
        stream.close()
        return step(state)

    object.__setattr__(stream._decoder, "step", closed_meanwhile)
    next(stream)
    assert list(stream) == []


def test_a_search_shows_the_first_of_every_sae_before_the_second_of_one(monkeypatch, tmp_path):
    from steering.atlas.labels import Label, add_labels
    from steering.atlas.places import own_atlas
    from steering.session import Session

    monkeypatch.setattr("steering.atlas.places.user_folder", lambda: tmp_path)
    saes = {"a": tiny.sae(), "b": tiny.sae(seed=1)}
    two = Session(tiny.session().model, saes)
    for alias, features in (("a", range(30)), ("b", range(5))):
        atlas = own_atlas(saes[alias])
        add_labels(atlas, [Label(f, "a bridge", "file") for f in features])
    found = two.search("bridge", limit=20)
    assert [alias for alias, _ in found[:4]] == ["a", "b", "a", "b"]
    assert len(found) == 20


def test_two_sessions_on_one_model_share_its_lock():
    from steering.models import LanguageModel

    hf = tiny.hf_model()
    one, other = (LanguageModel("tiny", hf, tiny.tokenizer()) for _ in range(2))
    assert one.lock is other.lock
    assert LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer()).lock is not one.lock


def test_a_condition_may_gate_a_plain_direction(tmp_path):
    from safetensors.torch import save_file

    from steering.interventions import Condition, Direction, Intervention

    session = tiny.session()
    path = tmp_path / "d.safetensors"
    save_file({"d": torch.randn(tiny.D_MODEL)}, path)
    direction = Direction(path=str(path), hook_name="blocks.1.hook_resid_post")
    fields = {"edit": "add", "strength": 9.0, "unit": "raw"}
    gated = Intervention(direction=direction, condition=Condition(feature=5, above=1e9), **fields)
    row = session.compare(PROMPT, [gated], sampling()).steered
    assert row.liveness.tokens_steered == 0


def test_a_single_intervention_needs_no_list_and_no_sample_is_refused():
    from steering.errors import PromptError

    session = tiny.session()
    alone = session.compare(PROMPT, intervention(**STRONG), sampling())
    assert alone.steered.liveness.tokens_steered > 0
    with pytest.raises(PromptError, match="at least 1"):
        session.compare(PROMPT, [], sampling(), samples=0)


def test_converting_a_number_that_is_none_or_an_unknown_feature_is_refused():
    from steering.errors import FeatureError, StrengthError

    session = tiny.session()
    with pytest.raises(StrengthError, match="nan"):
        session.convert(float("nan"), "raw", "norm", feature=3)
    with pytest.raises(FeatureError, match="features 0 to 63"):
        session.convert(1.0, "raw", "norm", feature=-1)


def test_a_row_with_its_own_prompt_writes_what_it_writes_alone():
    from steering.requests import RowRequest

    session = tiny.session(chat=True)
    chat = [{"role": "system", "content": "fog"}, {"role": "user", "content": "you"}]
    rows = [
        RowRequest("text", "the sea", [intervention(**STRONG)]),
        RowRequest("chat", chat, [intervention(9, **STRONG)]),
        RowRequest("baseline", PROMPT),
        RowRequest("same", PROMPT, [intervention(**STRONG)]),
    ]
    stream = session.stream_rows(rows, sampling(seed=3))
    assert [len(step.tokens) for step in stream] == [4] * 6
    for asked, row in zip(rows, stream.comparison.rows, strict=True):
        alone = session.generate(asked.prompt, asked.interventions, sampling(seed=3))
        assert (row.name, row.token_ids, row.seed) == (asked.name, alone.token_ids, 3)
        assert row.prompt_format == ("chat_template" if asked.name == "chat" else "text")


def test_only_rows_with_the_baselines_own_tokens_are_held_against_it():
    from steering.interventions import Message
    from steering.requests import RowRequest

    session = tiny.session()
    edit = [intervention(**STRONG)]
    rows = [
        RowRequest("other", "the sea", edit),
        RowRequest("same tokens", [Message(role="user", content="you")], edit),
        RowRequest("baseline", "User: you\nAssistant:"),
    ]
    stream = session.stream_rows(rows, sampling())
    for _ in stream:
        pass
    other, same, _ = (row.liveness for row in stream.comparison.rows)
    assert (other.first_difference, other.kl) == (None, None)
    assert other.tokens_steered > 0
    assert same.first_difference == 0


def test_a_row_without_a_baseline_is_not_called_inert_by_log_probabilities():
    from steering.errors import InertSteeringError
    from steering.requests import RowRequest

    session = tiny.session()
    weak = [intervention(edit="add", strength=1e-5, unit="raw")]
    for prompt, inert in (("the sea", False), (PROMPT, True)):
        stream = session.stream_rows(
            [RowRequest("baseline", PROMPT), RowRequest("weak", prompt, weak)], sampling()
        )
        if inert:
            with pytest.raises(InertSteeringError, match="no log-probability moved"):
                list(stream)
        else:
            assert len(list(stream)) == 6


def test_rows_need_a_prompt_and_a_name_each():
    from steering.errors import AliasError, PromptError
    from steering.requests import RowRequest

    session = tiny.session()
    with pytest.raises(PromptError, match="no row"):
        session.stream_rows([])
    with pytest.raises(AliasError, match="2 rows are named 'a'"):
        session.stream_rows([RowRequest("a", PROMPT), RowRequest("a", "the sea")])
    with pytest.raises(AliasError, match="'baseline'"):
        session.stream_rows([RowRequest("baseline", PROMPT, [intervention(**STRONG)])])
    with pytest.raises(PromptError, match="empty"):
        session.stream_rows([RowRequest("a", " ")])
